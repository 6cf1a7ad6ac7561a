//! One two-way exchange between a parent and a child, and why one may be refused.

use thiserror::Error;

use crate::time::{LocalTimeUs, MeshTimeUs};

/// Longest round trip that still says something about a clock.
pub const MAX_ROUND_TRIP_US: i64 = 10_000_000;

/// The four instants of one exchange: parent sends, child receives, child answers, parent receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Parent's send, mesh time.
    pub t1: MeshTimeUs,
    /// Child's receipt, its own clock.
    pub t2: LocalTimeUs,
    /// Child's answer, its own clock.
    pub t3: LocalTimeUs,
    /// Parent's receipt, mesh time.
    pub t4: MeshTimeUs,
}

impl Exchange {
    /// The same exchange after the parent's time was corrected by `by_us`: it was measured on the time that proved wrong.
    #[must_use]
    pub const fn corrected(self, by_us: i64) -> Self {
        Self { t1: self.t1.plus_us(by_us), t4: self.t4.plus_us(by_us), ..self }
    }
}

/// Why an exchange was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SampleError {
    /// The time on the wire came out below zero: one of the four instants is false.
    #[error("round trip of {delay_us} us is negative")]
    Negative {
        /// The computed time on the wire.
        delay_us: i64,
    },
    /// Too long on the way to bound an offset usefully.
    #[error("round trip of {delay_us} us exceeds the limit of {limit_us} us")]
    TooLong {
        /// The computed time on the wire.
        delay_us: i64,
        /// The limit it broke.
        limit_us: i64,
    },
    /// A later instant of one clock is before an earlier one of the same clock.
    #[error("the instants of one clock run backwards")]
    NonMonotone,
    /// This exchange was already counted.
    #[error("exchange sent at {sent_at} was already counted")]
    Duplicate {
        /// Its sending time.
        sent_at: MeshTimeUs,
    },
}

/// How many exchanges were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RejectCounts {
    /// Negative time on the wire.
    pub negative: u64,
    /// Longer than [`MAX_ROUND_TRIP_US`].
    pub too_long: u64,
    /// A clock that ran backwards inside the exchange.
    pub non_monotone: u64,
    /// Counted before.
    pub duplicate: u64,
    /// No error of the exchange's, but shorter than any other although the child took long: its clock may have been set meanwhile.
    pub too_good: u64,
}

impl RejectCounts {
    /// Notes one refusal.
    pub fn count(&mut self, error: SampleError) {
        let field = match error {
            SampleError::Negative { .. } => &mut self.negative,
            SampleError::TooLong { .. } => &mut self.too_long,
            SampleError::NonMonotone => &mut self.non_monotone,
            SampleError::Duplicate { .. } => &mut self.duplicate,
        };
        *field = field.saturating_add(1);
    }

    /// All refusals together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = [self.negative, self.too_long, self.non_monotone, self.duplicate, self.too_good];
        counts.into_iter().fold(0, u64::saturating_add)
    }
}

impl Exchange {
    /// Time on the wire in both directions: delta = (t4 - t1) - (t3 - t2).
    #[must_use]
    pub fn delay_us(&self) -> i64 {
        self.t4.since_us(self.t1).saturating_sub(self.t3.since_us(self.t2))
    }

    /// Child's clock minus mesh time: theta = ((t2 - t1) + (t3 - t4)) / 2; off by half the path's asymmetry.
    #[must_use]
    pub fn offset_us(&self) -> f64 {
        let forward = self.t2.0.saturating_sub(self.t1.0);
        let back = self.t3.0.saturating_sub(self.t4.0);
        (forward as f64 + back as f64) / 2.0
    }

    /// Refuses what cannot have happened or says nothing.
    ///
    /// # Errors
    /// [`SampleError`] with the figure that broke the rule.
    pub fn check(&self) -> Result<(), SampleError> {
        if self.t4 < self.t1 || self.t3 < self.t2 {
            return Err(SampleError::NonMonotone);
        }
        let delay_us = self.delay_us();
        if delay_us < 0 {
            return Err(SampleError::Negative { delay_us });
        }
        if delay_us > MAX_ROUND_TRIP_US {
            return Err(SampleError::TooLong { delay_us, limit_us: MAX_ROUND_TRIP_US });
        }
        Ok(())
    }
}
