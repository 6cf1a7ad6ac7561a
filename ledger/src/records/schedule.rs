//! Scheduled transfers.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{AccountId, TimeMs, Uftns};

/// Payments to come; their money is set aside.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// Who pays, and may call it off.
    pub from: AccountId,
    /// Who is paid.
    pub to: AccountId,
    /// Each time.
    pub amount: Uftns,
    /// Payments still to come; at nothing the record goes away.
    pub left: u32,
    /// When the next is due.
    pub next_at: TimeMs,
    /// From one to the next, in ms of block time.
    pub every_ms: u64,
    /// What for.
    pub memo: String,
}
