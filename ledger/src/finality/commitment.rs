//! What a vote vouches for.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::Hash;

/// State, outcomes and history after a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Commitment {
    /// Root of the state after the block.
    pub state_root: Hash,
    /// Merkle root of the outcomes of its transactions and of what fell due in it.
    pub outcomes_root: Hash,
    /// Root of the mountain range of blocks up to and with this one.
    pub blocks_root: Hash,
}

impl Commitment {
    /// The hash that votes carry.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::derive("mesh30k commitment v1", &[&self.state_root.0, &self.outcomes_root.0, &self.blocks_root.0])
    }
}
