//! The light client's first half: that a block is final and led to this state, for whoever holds nothing but the genesis.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::authority::{Authority, AuthorityError};
use crate::block::Header;
use crate::finality::{Certificate, Commitment};
use crate::genesis::Genesis;
use crate::handover::Handover;
use crate::types::BlockId;

/// A block's header, what came of it, and why to believe both.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct FinalityProof {
    /// The block's header.
    pub header: Header,
    /// What the validators vouched for.
    pub commitment: Commitment,
    /// That they did.
    pub certificate: Certificate,
    /// How the right to certify came from the validators of the genesis to them, in order; none in epoch 0.
    #[serde(default)]
    pub handovers: Vec<Handover>,
}

/// Why it proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum FinalityProofError {
    #[error("the certificate is for another block ({found}) than the header ({expected})")]
    WrongBlock { found: BlockId, expected: BlockId },
    #[error("the header's {0} differs from the certificate's")]
    HeaderMismatch(&'static str),
    #[error("the certificate cannot be traced back to the genesis")]
    Authority(#[from] AuthorityError),
    #[error("the commitment's parts do not make the hash that was certified")]
    WrongCommitment,
}

impl FinalityProof {
    /// Checks everything with nothing but the genesis.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn verify(&self, genesis: &Genesis) -> Result<(), FinalityProofError> {
        let authority = Authority::led_by(genesis, &self.handovers)?;
        check(&authority, &self.header, &self.commitment, &self.certificate)
    }
}

/// As [`FinalityProof::verify`], for whoever has followed the hand-overs already.
///
/// # Errors
/// The first thing that does not fit.
pub fn check(
    authority: &Authority,
    header: &Header,
    commitment: &Commitment,
    certificate: &Certificate,
) -> Result<(), FinalityProofError> {
    if certificate.block != header.id() {
        return Err(FinalityProofError::WrongBlock { found: certificate.block, expected: header.id() });
    }
    let same = [
        ("chain", header.chain == authority.context().chain),
        ("epoch", header.epoch == certificate.epoch),
        ("round", header.round == certificate.round),
        ("height", header.height == certificate.height),
        ("parent", header.parent == certificate.parent),
    ];
    if let Some((field, _)) = same.iter().find(|(_, equal)| !equal) {
        return Err(FinalityProofError::HeaderMismatch(field));
    }
    authority.check(certificate)?;
    if commitment.hash() != certificate.commitment {
        return Err(FinalityProofError::WrongCommitment);
    }
    Ok(())
}
