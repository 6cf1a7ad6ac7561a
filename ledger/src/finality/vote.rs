//! Votes.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::keys::{PublicKey, SecretKey, Signature, verify};
use crate::signing::{ChainContext, Domain, signing_hash};
use crate::types::{BlockId, Epoch, Hash, Height, NodeId, Round};

/// Which of the two votes of level 2 it is; level 1 has only the first, and it decides.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    std::hash::Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// "I executed this block and came to this."
    First,
    /// "I saw a certificate of first votes" (level 2).
    Second,
}

/// The highest first-vote certificate a voter has seen (level 2).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    std::hash::Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
pub struct Lock {
    /// Its round.
    pub round: Round,
    /// Its height.
    pub height: Height,
}

/// One validator's word on one block.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    std::hash::Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
pub struct Vote {
    /// First or second.
    pub phase: Phase,
    /// The chain it is meant for.
    pub context: ChainContext,
    /// The validator set it counts in.
    pub epoch: Epoch,
    /// Counts resets.
    pub round: Round,
    /// Position of the block.
    pub height: Height,
    /// The block.
    pub block: BlockId,
    /// The block before it.
    pub parent: BlockId,
    /// Hash of the [`super::Commitment`] after it.
    pub commitment: Hash,
    /// Nothing in level 1.
    pub lock: Option<Lock>,
    /// Who votes.
    pub validator: NodeId,
}

impl Vote {
    /// What is signed.
    #[must_use]
    pub fn signing_hash(&self) -> Hash {
        signing_hash(Domain::Vote, &self.context, &encode(self))
    }

    /// Signs it. Callers record it in the sign-log first.
    #[must_use]
    pub fn sign(self, key: &SecretKey) -> SignedVote {
        SignedVote { vote: self, signature: key.sign(self.signing_hash().as_bytes()) }
    }
}

/// A vote with its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SignedVote {
    /// What is said.
    pub vote: Vote,
    /// By the validator's key.
    pub signature: Signature,
}

impl SignedVote {
    /// Whether this key signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        verify(key, self.vote.signing_hash().as_bytes(), &self.signature)
    }
}
