//! Jittered exponential backoff, decided from an injected seed.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, good enough for jitter; not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0. The modulo bias is of no consequence for jitter.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }
}

/// Delays that double from `first` to `max`, each drawn from half to one and a half of its nominal length,
/// so that peers cut off together do not come back together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
    rng: SplitMix,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration, seed: u64) -> Self {
        Self { first, max, failures: 0, rng: SplitMix::new(seed) }
    }

    /// Forgets the failures so far.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The delay before the next attempt.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let nominal = self.first.saturating_mul(1 << self.failures.min(20)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        let nominal_us = u64::try_from(nominal.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros((nominal_us / 2).saturating_add(self.rng.below(nominal_us.saturating_add(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn delays_stay_within_half_and_one_and_a_half_of_the_doubling(seed: u64, steps in 1_u32..40) {
            let (first, max) = (Duration::from_millis(100), Duration::from_secs(5));
            let mut backoff = Backoff::new(first, max, seed);
            let mut nominal = first;
            for _ in 0..steps {
                let delay = backoff.next_delay();
                prop_assert!(delay >= nominal / 2 && delay <= nominal * 3 / 2, "{delay:?} for nominal {nominal:?}");
                nominal = (nominal * 2).min(max);
            }
        }
    }

    #[test]
    fn a_seed_gives_one_sequence_and_another_seed_another() {
        let run = |seed| {
            let mut b = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), seed);
            (0..8).map(|_| b.next_delay()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
