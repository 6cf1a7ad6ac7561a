//! Certificates: votes of two thirds that are equal in every field.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Lock, Phase, SignedVote, ValidatorSet, Vote};
use crate::keys::{Signature, verify, verify_batch};
use crate::signing::ChainContext;
use crate::types::{BlockId, ChainId, Epoch, Hash, Height, NodeId, Round};

/// A validator's signature under the vote the certificate states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct NodeSignature {
    /// Whose.
    pub node: NodeId,
    /// Over [`Certificate::vote_of`] that node.
    pub signature: Signature,
}

/// Proof that a block is final.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Certificate {
    /// First in level 1.
    pub phase: Phase,
    /// Its chain.
    pub context: ChainContext,
    /// Whose votes count.
    pub epoch: Epoch,
    /// Counts resets.
    pub round: Round,
    /// Position of the block.
    pub height: Height,
    /// The block.
    pub block: BlockId,
    /// The block before it.
    pub parent: BlockId,
    /// Hash of the commitment after it.
    pub commitment: Hash,
    /// Nothing in level 1.
    pub lock: Option<Lock>,
    /// In strictly ascending order of node.
    pub signatures: Vec<NodeSignature>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Another chain, or another genesis.
    #[error("certificate is for chain {found} (or another genesis), expected {expected}")]
    WrongChain {
        /// Named by it.
        found: ChainId,
        /// Ours.
        expected: ChainId,
    },
    /// Too few votes.
    #[error("certificate of height {height} has {votes} votes, {quorum} are needed")]
    TooFew {
        /// Of the block.
        height: Height,
        /// Signatures it carries.
        votes: usize,
        /// Signatures it needs.
        quorum: usize,
    },
    /// Nodes not strictly ascending: a vote counted twice, or another encoding of the same certificate.
    #[error("signatures of the certificate are not in strictly ascending order at node {0}")]
    Order(NodeId),
    /// Not a validator of this epoch.
    #[error("node {0} signed the certificate and is no validator of the epoch")]
    Stranger(NodeId),
    /// Does not verify.
    #[error("signature of node {0} in the certificate is not valid")]
    BadSignature(NodeId),
    /// Votes that are to make one certificate differ.
    #[error("votes of node {0} and of the first voter differ in more than the voter")]
    Differ(NodeId),
}

impl Certificate {
    /// Joins equal votes in any order; does not verify them.
    ///
    /// # Errors
    /// No votes, two of one validator, or votes that differ.
    pub fn assemble(votes: &[SignedVote]) -> Result<Self, CertificateError> {
        let Some(first) = votes.first().map(|signed| signed.vote) else {
            return Err(CertificateError::TooFew { height: Height(0), votes: 0, quorum: 1 });
        };
        let mut certificate = Self {
            phase: first.phase,
            context: first.context,
            epoch: first.epoch,
            round: first.round,
            height: first.height,
            block: first.block,
            parent: first.parent,
            commitment: first.commitment,
            lock: first.lock,
            signatures: Vec::with_capacity(votes.len()),
        };
        for SignedVote { vote, signature } in votes {
            if certificate.vote_of(vote.validator) != *vote {
                return Err(CertificateError::Differ(vote.validator));
            }
            certificate.signatures.push(NodeSignature { node: vote.validator, signature: *signature });
        }
        certificate.signatures.sort_by_key(|signature| signature.node);
        certificate.check_order()?;
        Ok(certificate)
    }

    /// The vote this validator must have signed.
    #[must_use]
    pub const fn vote_of(&self, validator: NodeId) -> Vote {
        Vote {
            phase: self.phase,
            context: self.context,
            epoch: self.epoch,
            round: self.round,
            height: self.height,
            block: self.block,
            parent: self.parent,
            commitment: self.commitment,
            lock: self.lock,
            validator,
        }
    }

    /// Checks chain, quorum and every signature against the validators of its epoch.
    ///
    /// # Errors
    /// The first thing that is wrong, naming the node.
    pub fn verify(&self, validators: &ValidatorSet, context: &ChainContext) -> Result<(), CertificateError> {
        self.check_votes(validators, context, validators.quorum())
    }

    /// As [`Self::verify`] for a certificate whose block somebody else vouches for: one vote is enough.
    ///
    /// # Errors
    /// The first thing that is wrong, naming the node.
    pub fn check_signatures(&self, validators: &ValidatorSet, context: &ChainContext) -> Result<(), CertificateError> {
        self.check_votes(validators, context, 1)
    }

    fn check_votes(
        &self,
        validators: &ValidatorSet,
        context: &ChainContext,
        quorum: usize,
    ) -> Result<(), CertificateError> {
        if self.context != *context {
            return Err(CertificateError::WrongChain { found: self.context.chain, expected: context.chain });
        }
        let votes = self.signatures.len();
        if votes < quorum || votes == 0 {
            return Err(CertificateError::TooFew { height: self.height, votes, quorum });
        }
        self.check_order()?;
        let mut checks = Vec::with_capacity(votes);
        for NodeSignature { node, signature } in &self.signatures {
            let validator = validators.get(*node).ok_or(CertificateError::Stranger(*node))?;
            checks.push((*node, validator.key, self.vote_of(*node).signing_hash(), *signature));
        }
        let batch: Vec<_> =
            checks.iter().map(|(_, key, message, signature)| (*key, message.0.as_slice(), *signature)).collect();
        if verify_batch(&batch) {
            return Ok(());
        }
        match checks.iter().find(|(_, key, message, signature)| !verify(key, &message.0, signature)) {
            Some((node, ..)) => Err(CertificateError::BadSignature(*node)),
            None => Ok(()),
        }
    }

    fn check_order(&self) -> Result<(), CertificateError> {
        let pairs = self.signatures.iter().zip(self.signatures.iter().skip(1));
        for (before, after) in pairs {
            if before.node >= after.node {
                return Err(CertificateError::Order(after.node));
            }
        }
        Ok(())
    }
}
