//! Validator sets.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::keys::PublicKey;
use crate::types::{AccountId, Hash, NodeId};

/// One seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Validator {
    /// The node that holds it.
    pub node: NodeId,
    /// The key its headers and votes are signed with; used for nothing else.
    pub key: PublicKey,
    /// Where its share of the fees goes.
    pub account: AccountId,
}

/// The validators of an epoch in ascending order of node.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValidatorSet(pub Vec<Validator>);

impl ValidatorSet {
    /// Votes that make a certificate: two thirds, rounded up.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.0.len().saturating_mul(2).div_ceil(3)
    }

    /// Validators.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The seat of a node.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&Validator> {
        self.0.iter().find(|validator| validator.node == node)
    }

    /// Whether nodes are strictly ascending and keys are distinct, as every set on a ledger must be.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let ascending = self.0.iter().zip(self.0.iter().skip(1)).all(|(a, b)| a.node < b.node);
        let keys: std::collections::BTreeSet<_> = self.0.iter().map(|validator| validator.key).collect();
        ascending && keys.len() == self.0.len()
    }

    /// Names the set in headers.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::derive("mesh30k validator set v1", &[&encode(self)])
    }
}
