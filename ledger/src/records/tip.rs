//! The last block.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{BlockId, Hash, Height, Round, TimeMs};

/// What the next block must extend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Tip {
    /// Its position; 0 is genesis.
    pub height: Height,
    /// Its name; the genesis hash at 0.
    pub block: BlockId,
    /// Its time.
    pub time: TimeMs,
    /// State after it.
    pub state_root: Hash,
    /// Resets so far.
    pub round: Round,
}
