//! Mergeable histogram of signed release errors, exact at the windows that are reported.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// Upper edges of |error|, microseconds, about logarithmic; 2, 5, 10, 50 and 250 ms are edges, so that counts within
/// them are exact. What is larger falls into one last bucket.
pub const ERROR_EDGES_US: [i64; 32] = [
    50, 100, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 12_000, 15_000,
    20_000, 30_000, 40_000, 50_000, 70_000, 100_000, 150_000, 200_000, 250_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000, 60_000_000,
];

/// Counts per bucket; positive keys are late, negative early, starting at one.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ErrorHistogram {
    counts: BTreeMap<i8, u32>,
}

impl ErrorHistogram {
    /// Nothing counted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one error.
    pub fn record(&mut self, error_us: i64) {
        let slot = self.counts.entry(key(error_us)).or_default();
        *slot = slot.saturating_add(1);
    }

    /// Adds another histogram; what a peer put under keys that do not exist is left out.
    pub fn merge(&mut self, other: &Self) {
        for (key, count) in other.counts.iter().filter(|(key, _)| is_key(**key)) {
            let slot = self.counts.entry(*key).or_default();
            *slot = slot.saturating_add(*count);
        }
    }

    /// Errors counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().map(|c| u64::from(*c)).sum()
    }

    /// Errors of at most `omega_us` either way; exact when `omega_us` is an edge, else the next smaller edge counts.
    #[must_use]
    pub fn within(&self, omega_us: i64) -> u64 {
        self.counts
            .iter()
            .filter(|(k, _)| upper_edge_us(**k).is_some_and(|e| e <= omega_us))
            .map(|(_, c)| u64::from(*c))
            .sum()
    }

    /// Upper edge of the bucket in which the median of |error| lies; `None` when empty or beyond the last edge.
    #[must_use]
    pub fn median_abs_us(&self) -> Option<i64> {
        let half = self.total().div_ceil(2);
        if half == 0 {
            return None;
        }
        ERROR_EDGES_US.iter().copied().find(|edge| self.within(*edge) >= half)
    }

    /// (signed upper edge of |error|, count), early to late; the outermost bucket has no edge.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<i64>, u32)> + '_ {
        self.counts.iter().map(|(k, c)| {
            let edge = upper_edge_us(*k).map(|e| if *k < 0 { e.saturating_neg() } else { e });
            (edge, *c)
        })
    }
}

fn key(error_us: i64) -> i8 {
    let magnitude = error_us.saturating_abs();
    let position = ERROR_EDGES_US.iter().position(|edge| magnitude <= *edge).unwrap_or(ERROR_EDGES_US.len());
    let key = i8::try_from(position.saturating_add(1)).unwrap_or(i8::MAX);
    if error_us < 0 { key.saturating_neg() } else { key }
}

fn is_key(key: i8) -> bool {
    key != 0 && usize::from(key.unsigned_abs()) <= ERROR_EDGES_US.len().saturating_add(1)
}

fn upper_edge_us(key: i8) -> Option<i64> {
    ERROR_EDGES_US.get(usize::from(key.unsigned_abs()).checked_sub(1)?).copied()
}
