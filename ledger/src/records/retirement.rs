//! What a worker owes in retired credits.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// One worker's duty to retire credits, in micrograms of CO2e.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RetirementRecord {
    /// The period it was last brought to: block time / `retirement_period_ms`.
    pub period: u64,
    /// The missing shares of the footprints of parts paid in that period; due when it is over.
    pub accrued_ug: u64,
    /// Of periods that ended: neither retired nor paid for yet.
    pub due_ug: u64,
    /// Of the credits the account ever retired, those that were set against what was due: each counts once.
    pub counted_ug: u64,
    /// Paid for out of payouts, ever.
    pub paid_ug: u64,
}
