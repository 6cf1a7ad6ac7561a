//! How long messages take from a parent's child to the parent: the last few, for a while.

use std::collections::VecDeque;

use crate::delay::{QuantileRing, quantile};
use crate::time::MeshTimeUs;

/// Older ones say nothing of now: a mesh that forms takes seconds, and reports of an idle one are few.
const WINDOW_US: i64 = 120_000_000;
/// So many are kept, however old.
const FEWEST: usize = 8;
/// What the quantile of the stage budget is taken at (2.5).
const SHARE: f64 = 0.999;

/// The delays of one child.
#[derive(Clone, Debug, Default)]
pub(super) struct StageDelays {
    ring: QuantileRing,
    at: VecDeque<MeshTimeUs>,
}

impl StageDelays {
    /// Notes what one message took, microseconds.
    pub(super) fn push(&mut self, now: MeshTimeUs, delay_us: f64) {
        if !self.ring.push(delay_us) {
            return;
        }
        self.at.push_back(now);
        while self.at.len() > self.ring.len() {
            self.at.pop_front();
        }
        while self.at.len() > FEWEST && self.at.front().is_some_and(|at| now.since_us(*at) > WINDOW_US) {
            self.ring.drop_oldest();
            self.at.pop_front();
        }
    }

    /// What hardly any takes longer than, microseconds; nothing before the first.
    pub(super) fn long_us(&self) -> Option<f64> {
        quantile(self.ring.sorted(), SHARE)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_slow_long_ago_is_forgotten_and_the_last_few_are_not() {
        let mut delays = StageDelays::default();
        assert_eq!(delays.long_us(), None);
        for second in 0..70 {
            delays.push(MeshTimeUs(second * 1_000_000), if second < 65 { 4e6 } else { 1e4 });
        }
        assert!(delays.long_us().unwrap() > 3.9e6);
        for turn in 1..=7 {
            delays.push(MeshTimeUs((70 + turn * 30) * 1_000_000), 2e4);
        }
        assert!(delays.long_us().unwrap() <= 2e4, "{delays:?}");
        assert_eq!(delays.ring.len(), FEWEST);
        delays.push(MeshTimeUs(i64::MAX), 3e4);
        assert_eq!((delays.ring.len(), delays.at.len()), (FEWEST, FEWEST));
        assert!(delays.long_us().unwrap() > 2e4);
        delays.push(MeshTimeUs(i64::MAX), f64::NAN);
        assert_eq!(delays.at.len(), FEWEST);
    }
}
