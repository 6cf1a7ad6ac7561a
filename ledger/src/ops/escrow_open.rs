//! Locking the payment of a task.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{Hash, TimeMs, Uftns};

/// Parts of one task, at most.
pub const MAX_PARTS: u32 = 4_096;

/// Locks `parts` times (`amount_per_part` + `reserve_per_part`). The escrow is named by this transaction's id.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EscrowOpen {
    /// Names the task among its opener's; receipts repeat it.
    pub task: Hash,
    /// Hash of the wasm module that runs.
    pub module: Hash,
    /// Pieces that are done and paid one by one.
    pub parts: u32,
    /// The most a worker is paid for one part.
    pub amount_per_part: Uftns,
    /// Held for the carbon charge and the premium of one part.
    pub reserve_per_part: Uftns,
    /// What is not released by this block time goes back to the opener by itself.
    pub release_deadline: TimeMs,
}
