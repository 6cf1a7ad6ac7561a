//! Hand-overs: how the right to certify passes from one set of validators to the next, provable with nothing but the genesis.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::block::Header;
use crate::codec::encode;
use crate::finality::{Certificate, ValidatorSet};
use crate::keys::PublicKey;
use crate::signing::{ChainContext, Domain, signing_hash};
use crate::transaction::KeyedSignature;
use crate::types::{BlockId, ChainId, Epoch, Hash, Height, NodeId, Round, TimeMs};

/// Hand-overs in one proof, at most.
pub const MAX_HANDOVERS: usize = 256;
/// Bytes of one encoded hand-over, at most.
pub const MAX_HANDOVER_BYTES: usize = 64 * 1_024;

/// One way in which the right to certify passes on.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handover {
    /// By an order of the operators, after a halt or the loss of too many validators.
    Restart(SignedRestartTerms),
    /// By a vote: in the last block of an epoch.
    Voted(VotedHandover),
}

/// The last block of an epoch: it names the next validators, and those before them certified it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct VotedHandover {
    /// Its header, with the hash of the set.
    pub header: Header,
    /// By the set before.
    pub certificate: Certificate,
    /// The set.
    pub validators: ValidatorSet,
}

/// What an order of the operators comes to: all of it that a reader of proofs needs, and what the operators sign.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RestartTerms {
    /// The chain that stood still.
    pub context: ChainContext,
    /// The final block to go on from, with its certificate.
    pub base: Certificate,
    /// The blocks above it that stay although fewer than a certificate needs voted for them, in order.
    pub stays: Vec<BlockResult>,
    /// The validator set's number from now on.
    pub epoch: Epoch,
    /// The new round.
    pub round: Round,
    /// A new name after a fork; such an order hands nothing over in the old chain.
    pub new_chain: Option<ChainId>,
    /// Who certifies from now on.
    pub validators: ValidatorSet,
    /// Hash of the last words of the old validators, which the order itself carries.
    pub statements: Hash,
    /// Void later than this, by the clock of whoever obeys.
    pub valid_until: TimeMs,
}

/// A block, and the hash of what it led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct BlockResult {
    /// Its position.
    pub height: Height,
    /// Its name.
    pub block: BlockId,
    /// Hash of the commitment after it.
    pub commitment: Hash,
}

/// The terms with the operators' signatures, in strictly ascending order of key.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SignedRestartTerms {
    /// What was ordered.
    pub terms: RestartTerms,
    /// By whom.
    pub signatures: Vec<KeyedSignature>,
}

/// Why a hand-over hands nothing over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum HandoverError {
    #[error("there are {found} hand-overs, at most {MAX_HANDOVERS} are taken")]
    TooMany { found: usize },
    #[error("it has {bytes} bytes, at most {MAX_HANDOVER_BYTES} are taken")]
    TooLarge { bytes: usize },
    #[error("it is for chain {found} (or another genesis), expected {expected}")]
    OtherChain { found: ChainId, expected: ChainId },
    #[error("it begins another chain, {0}, and hands nothing over in this one")]
    NewChain(ChainId),
    #[error("it leads to epoch {epoch}, round {round}; epoch {expected_epoch}, round {expected_round} would follow")]
    Sequence { epoch: Epoch, round: Round, expected_epoch: Epoch, expected_round: Round },
    #[error("its validator set is empty, not in order or repeats a key")]
    Validators,
    #[error("{found} operators of the genesis signed it, {threshold} are needed")]
    TooFewOperators { found: usize, threshold: u8 },
    #[error("the signature of {0} is not valid, not of an operator of the genesis, or out of order")]
    Signature(PublicKey),
    #[error("block {0}, which it begins at, is not certified by the validators before it")]
    Base(Height),
    #[error("block {0} does not name the validators that it is to hand over to")]
    NotNamed(Height),
    #[error("the blocks that stay do not follow one another from block {0}, which it begins at")]
    Stays(Height),
}

impl BlockResult {
    /// What a certificate is about.
    #[must_use]
    pub const fn of(certificate: &Certificate) -> Self {
        Self { height: certificate.height, block: certificate.block, commitment: certificate.commitment }
    }
}

impl RestartTerms {
    /// What operators sign.
    #[must_use]
    pub fn signing_hash(&self) -> Hash {
        signing_hash(Domain::Restart, &self.context, &encode(self))
    }

    /// The last block before the new validators begin.
    #[must_use]
    pub fn last(&self) -> BlockResult {
        self.stays.last().copied().unwrap_or(BlockResult::of(&self.base))
    }

    /// Whether the order says of exactly this result that it stays or is what it begins at.
    #[must_use]
    pub fn vouches_for(&self, result: &BlockResult) -> bool {
        BlockResult::of(&self.base) == *result || self.stays.contains(result)
    }
}

impl Handover {
    /// Where it leads.
    #[must_use]
    pub const fn leads_to(&self) -> (Epoch, Round) {
        match self {
            Self::Restart(signed) => (signed.terms.epoch, signed.terms.round),
            Self::Voted(voted) => (voted.header.epoch.next(), voted.header.round),
        }
    }

    /// Who certifies after it.
    #[must_use]
    pub const fn validators(&self) -> &ValidatorSet {
        match self {
            Self::Restart(signed) => &signed.terms.validators,
            Self::Voted(voted) => &voted.validators,
        }
    }

    /// The last block before it.
    #[must_use]
    pub fn last(&self) -> BlockResult {
        match self {
            Self::Restart(signed) => signed.terms.last(),
            Self::Voted(voted) => BlockResult::of(&voted.certificate),
        }
    }
}

/// Of a chain's hand-overs, in order, those up to this epoch and round.
#[must_use]
pub fn up_to(all: &[Handover], epoch: Epoch, round: Round) -> &[Handover] {
    let reached = all.iter().take_while(|handover| handover.leads_to() <= (epoch, round)).count();
    all.get(..reached).unwrap_or(all)
}

/// Of a chain's hand-overs, in order, those that a reader needs who is shown this certificate: up to its epoch and round, and one
/// more where its voters are too few and only the order that kept its block vouches for it. `first`: the validators of the genesis.
#[must_use]
pub fn leading_to<'a>(first: &ValidatorSet, all: &'a [Handover], certificate: &Certificate) -> &'a [Handover] {
    let reached = up_to(all, certificate.epoch, certificate.round);
    let validators = reached.last().map_or(first, Handover::validators);
    let kept = usize::from(certificate.signatures.len() < validators.quorum());
    all.get(..reached.len().saturating_add(kept)).unwrap_or(all)
}

/// Names of the nodes whose signatures a certificate carries.
#[must_use]
pub fn signers(certificate: &Certificate) -> Vec<NodeId> {
    certificate.signatures.iter().map(|signature| signature.node).collect()
}
