//! How much a content has been used lately.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// What one use, purchase or citation counts.
pub const IMPACT_OF_USE: u64 = 1_000;
/// At so much impact, a hundred uses of today, half of the highest bonus is reached.
pub const IMPACT_HALF: u64 = 100 * IMPACT_OF_USE;
/// Each period a score loses one part in so many, rounded up: half of it is gone after three weeks.
const LOSS: u64 = 32;
/// After so many periods even the highest score is nothing.
const MAX_AGE: u64 = 2_000;

/// Uses, purchases and citations, each period a little less of what was before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Impact {
    /// As of that period.
    pub score: u64,
    /// When it was last counted: block time / [`super::PERIOD_MS`].
    pub period: u64,
}

impl Impact {
    /// As of a period.
    #[must_use]
    pub fn at(self, period: u64) -> Self {
        let mut score = self.score;
        for _ in 0..period.saturating_sub(self.period).min(MAX_AGE) {
            if score == 0 {
                break;
            }
            score = score.saturating_sub(score.div_ceil(LOSS));
        }
        Self { score, period: period.max(self.period) }
    }

    /// With so many more uses.
    #[must_use]
    pub fn used(self, period: u64, times: u64) -> Self {
        let aged = self.at(period);
        Self { score: aged.score.saturating_add(times.saturating_mul(IMPACT_OF_USE)), ..aged }
    }

    /// The share of a highest bonus that it brings, rounded down: half of it at [`IMPACT_HALF`], never all.
    #[must_use]
    pub fn share_of(self, highest: u64) -> u64 {
        let scaled = u128::from(highest).saturating_mul(u128::from(self.score));
        let whole = u128::from(self.score).saturating_add(u128::from(IMPACT_HALF));
        u64::try_from(scaled.checked_div(whole).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}
