//! A mergeable sketch of durations: exact counts in logarithmic buckets, so that merged quantiles equal those of one
//! sketch that saw everything.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Buckets of one octave, as a power of two.
const SUB_BITS: u32 = 5;
const SUBS: u64 = 1 << SUB_BITS;
const PPM: u64 = 1_000_000;

/// A quantile is off by at most this share of its value: half a bucket of 1/32 octave, in ppm.
pub const SKETCH_RELATIVE_ERROR_PPM: u32 = 15_625;

/// Counts of durations (microseconds, or any other non-negative integer) by logarithmic bucket; at most 1,920 buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct LogSketch {
    buckets: BTreeMap<u16, u32>,
}

impl LogSketch {
    /// An empty sketch.
    #[must_use]
    pub const fn new() -> Self {
        Self { buckets: BTreeMap::new() }
    }

    /// Counts one value.
    pub fn add(&mut self, value: u64) {
        let count = self.buckets.entry(bucket_of(value)).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// Adds the counts of `other`. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, n) in &other.buckets {
            let count = self.buckets.entry(*bucket).or_insert(0);
            *count = count.saturating_add(*n);
        }
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.values().fold(0, |sum, n| sum.saturating_add(u64::from(*n)))
    }

    /// The value at quantile `q_ppm` (nearest rank; 950,000 is p95), within [`SKETCH_RELATIVE_ERROR_PPM`];
    /// nothing if nothing was counted.
    #[must_use]
    pub fn quantile(&self, q_ppm: u32) -> Option<u64> {
        let wanted = u128::from(self.count()).saturating_mul(u128::from(q_ppm)).div_ceil(u128::from(PPM)).max(1);
        let mut seen = 0_u128;
        for (bucket, n) in &self.buckets {
            seen = seen.saturating_add(u128::from(*n));
            if seen >= wanted {
                return Some(middle_of(*bucket));
            }
        }
        self.buckets.last_key_value().map(|(bucket, _)| middle_of(*bucket))
    }

    /// Whether every bucket is one that [`Self::add`] could have made; for sketches received from others.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.buckets.last_key_value().is_none_or(|(bucket, _)| *bucket <= bucket_of(u64::MAX))
            && self.buckets.values().all(|n| *n > 0)
    }
}

/// Values below 32 have a bucket each; above, each octave has 32.
pub(super) fn bucket_of(value: u64) -> u16 {
    let Some(shift) = value.checked_ilog2().and_then(|log| log.checked_sub(SUB_BITS)) else {
        return u16::try_from(value).unwrap_or(u16::MAX);
    };
    let octave = u64::from(shift).saturating_add(1).saturating_mul(SUBS);
    u16::try_from(octave.saturating_add((value >> shift) & (SUBS.saturating_sub(1)))).unwrap_or(u16::MAX)
}

/// The middle of a bucket; the inverse of [`bucket_of`].
pub(super) fn middle_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let Some(shift) = (bucket / SUBS).checked_sub(1).and_then(|octave| u32::try_from(octave).ok()) else {
        return bucket;
    };
    let low = (SUBS | (bucket & SUBS.saturating_sub(1))).checked_shl(shift).unwrap_or(u64::MAX);
    let width = 1_u64.checked_shl(shift).unwrap_or(u64::MAX);
    low.saturating_add(width / 2)
}
