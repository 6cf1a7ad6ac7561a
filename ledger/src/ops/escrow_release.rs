//! Paying one part of a task.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::TaskReceipt;
use crate::types::EscrowId;

/// The opener accepts one part: its worker is paid, its carbon charged, the rest returned.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EscrowRelease {
    /// Which escrow.
    pub escrow: EscrowId,
    /// What was done, by whom, at what cost in energy and carbon.
    pub receipt: TaskReceipt,
}
