//! Reputation: what somebody's receipts and rulings say.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::HalfLives;
use crate::types::{Hash, TimeMs};

/// The best.
pub const REPUTATION_MAX: u32 = 1_000;
/// Where everybody begins, and what scores drift back to.
pub const REPUTATION_START: u32 = 500;

/// One account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ReputationRecord {
    /// 0 to [`REPUTATION_MAX`], as of `updated_at`.
    pub score: u32,
    /// When it last changed.
    pub updated_at: TimeMs,
    /// What changed it last: the escrow or the transaction.
    pub because: Hash,
    /// Since when nothing of it has been forgotten.
    pub ages_from: TimeMs,
}

impl ReputationRecord {
    /// The score at a later time: each half-life takes half of what it is away from the start.
    #[must_use]
    pub fn score_at(&self, now: TimeMs) -> u32 {
        HalfLives::between(self.ages_from, now).drift(self.score, REPUTATION_START)
    }

    /// With a change, within the bounds; of somebody without a record, from the start.
    #[must_use]
    pub fn moved(before: Option<&Self>, by: i32, now: TimeMs, because: Hash) -> Self {
        let (score, since) = before.map_or((REPUTATION_START, now), |was| (was.score_at(now), was.ages_from));
        Self {
            score: score.saturating_add_signed(by).min(REPUTATION_MAX),
            updated_at: now,
            because,
            ages_from: HalfLives::between(since, now).end(since),
        }
    }
}
