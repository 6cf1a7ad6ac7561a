//! How well somebody's bids said what its work would emit.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::HalfLives;
use crate::types::{EscrowId, TimeMs};

/// Whoever always predicts exactly.
pub const CONFIDENCE_MAX_PPM: u32 = 1_000_000;
/// Where everybody begins, and what is drifted back to: as if always wrong by a factor of two.
pub const CONFIDENCE_START_PPM: u32 = 500_000;
/// Whoever is always wrong by a factor of ten or more; less would exclude for good.
pub const CONFIDENCE_MIN_PPM: u32 = 100_000;
/// Each prediction weighs one in so many, what was before the rest.
const MEMORY: u64 = 8;
/// Both figures are taken as so many micrograms more: the energy of a hundredth of a second of a processor core tells nobody apart.
const GRAIN_UG: u128 = 10;

/// One account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CalibrationRecord {
    /// The mean of [`agreement_ppm`], the latest weighing most; within its bounds, as of `updated_at`.
    pub confidence_ppm: u32,
    /// When it last changed.
    pub updated_at: TimeMs,
    /// Which order changed it last.
    pub because: EscrowId,
    /// Predictions that were counted.
    pub predictions: u64,
    /// Since when nothing of it has been forgotten.
    pub ages_from: TimeMs,
}

/// The smaller of what was expected and what was stated over the larger, rounded down; a million when they are the same. Too high costs
/// what too low does.
#[must_use]
pub fn agreement_ppm(expected_ug: u64, stated_ug: u64) -> u32 {
    let of = |ug: u64| u128::from(ug).saturating_add(GRAIN_UG);
    let (low, high) = (of(expected_ug.min(stated_ug)), of(expected_ug.max(stated_ug)));
    let ppm = low.saturating_mul(u128::from(CONFIDENCE_MAX_PPM)).checked_div(high).unwrap_or(0);
    u32::try_from(ppm).unwrap_or(CONFIDENCE_MAX_PPM)
}

impl CalibrationRecord {
    /// The confidence at a later time: each half-life takes half of what it is away from the start.
    #[must_use]
    pub fn confidence_at(&self, now: TimeMs) -> u32 {
        HalfLives::between(self.ages_from, now).drift(self.confidence_ppm, CONFIDENCE_START_PPM)
    }

    /// With one more prediction; of somebody without a record, from the start.
    #[must_use]
    pub fn with(before: Option<&Self>, agreement_ppm: u32, now: TimeMs, because: EscrowId) -> Self {
        let (confidence, since) =
            before.map_or((CONFIDENCE_START_PPM, now), |was| (was.confidence_at(now), was.ages_from));
        let kept = u64::from(confidence).saturating_mul(MEMORY.saturating_sub(1));
        let mean = kept.saturating_add(u64::from(agreement_ppm)).checked_div(MEMORY).unwrap_or(0);
        let mean = u32::try_from(mean).unwrap_or(CONFIDENCE_MAX_PPM);
        Self {
            confidence_ppm: mean.clamp(CONFIDENCE_MIN_PPM, CONFIDENCE_MAX_PPM),
            updated_at: now,
            because,
            predictions: before.map_or(0, |was| was.predictions).saturating_add(1),
            ages_from: HalfLives::between(since, now).end(since),
        }
    }
}
