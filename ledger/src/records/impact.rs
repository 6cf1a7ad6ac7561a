//! How much a content has been used lately.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// What one use, download or citation counts.
pub const IMPACT_OF_USE: u64 = 1_000;
/// At so much impact, a hundred uses of today, half of the highest bonus is reached.
pub const IMPACT_HALF: u64 = 100 * IMPACT_OF_USE;
/// Each period a score loses one part in so many, rounded up: half of it is gone after three weeks.
const LOSS: u64 = 32;
/// After so many periods even the highest score is nothing.
const MAX_AGE: u64 = 2_000;

/// What was done with a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImpactKind {
    /// It was the module of a paid part, or a use of it was bought.
    Use,
    /// An order of it was delivered.
    Download,
    /// What was made from it, and names it as a source, earned something.
    Citation,
}

/// Uses, downloads and citations, each period a little less of what was before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Impact {
    /// Of uses, as of that period.
    pub uses: u64,
    /// Of downloads.
    pub downloads: u64,
    /// Of citations.
    pub citations: u64,
    /// When they were last counted: block time / [`super::PERIOD_MS`].
    pub period: u64,
}

impl Impact {
    /// As of a period.
    #[must_use]
    pub fn at(self, period: u64) -> Self {
        let age = period.saturating_sub(self.period);
        Self {
            uses: aged(self.uses, age),
            downloads: aged(self.downloads, age),
            citations: aged(self.citations, age),
            period: period.max(self.period),
        }
    }

    /// With so many more of a kind.
    #[must_use]
    pub fn counted(self, kind: ImpactKind, period: u64, times: u64) -> Self {
        let mut counted = self.at(period);
        let score = match kind {
            ImpactKind::Use => &mut counted.uses,
            ImpactKind::Download => &mut counted.downloads,
            ImpactKind::Citation => &mut counted.citations,
        };
        *score = score.saturating_add(times.saturating_mul(IMPACT_OF_USE));
        counted
    }

    /// All kinds together; they weigh the same.
    #[must_use]
    pub const fn score(self) -> u64 {
        self.uses.saturating_add(self.downloads).saturating_add(self.citations)
    }

    /// The share of a highest bonus that it brings, rounded down: half of it at [`IMPACT_HALF`], never all.
    #[must_use]
    pub fn share_of(self, highest: u64) -> u64 {
        let scaled = u128::from(highest).saturating_mul(u128::from(self.score()));
        let whole = u128::from(self.score()).saturating_add(u128::from(IMPACT_HALF));
        u64::try_from(scaled.checked_div(whole).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

fn aged(mut score: u64, periods: u64) -> u64 {
    for _ in 0..periods.min(MAX_AGE) {
        if score == 0 {
            break;
        }
        score = score.saturating_sub(score.div_ceil(LOSS));
    }
    score
}
