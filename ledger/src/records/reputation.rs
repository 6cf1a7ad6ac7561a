//! Reputation: what somebody's receipts and rulings say.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{Hash, TimeMs};

/// The best.
pub const REPUTATION_MAX: u32 = 1_000;
/// Where everybody begins, and what scores drift back to.
pub const REPUTATION_START: u32 = 500;
/// In such a time, half the way back to the start: 30 days.
pub const HALF_LIFE_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// One account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ReputationRecord {
    /// 0 to [`REPUTATION_MAX`], as of `updated_at`.
    pub score: u32,
    /// When it last changed.
    pub updated_at: TimeMs,
    /// What changed it last: the escrow or the transaction.
    pub because: Hash,
}

impl ReputationRecord {
    /// The score at a later time: each half-life takes half of what it is away from the start.
    #[must_use]
    pub fn score_at(&self, now: TimeMs) -> u32 {
        let halves = now.since_ms(self.updated_at).checked_div(HALF_LIFE_MS).unwrap_or(0);
        let shift = u32::try_from(halves).unwrap_or(u32::MAX).min(31);
        let away = self.score.abs_diff(REPUTATION_START) >> shift;
        if self.score >= REPUTATION_START {
            REPUTATION_START.saturating_add(away)
        } else {
            REPUTATION_START.saturating_sub(away)
        }
    }
}
