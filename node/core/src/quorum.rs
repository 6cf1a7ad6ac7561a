//! Trinary quorum: READY, CONFLICT and TRANSIT decide what to do next, in a fixed order.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Arrival states of everybody enrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrinaryCounts {
    /// Arrived (+1).
    pub ready: u64,
    /// Contradicted (-1).
    pub conflict: u64,
    /// Still under way, or never heard of (0).
    pub transit: u64,
}

impl TrinaryCounts {
    /// Everybody enrolled.
    #[must_use]
    pub fn enrolled(&self) -> u64 {
        self.ready.saturating_add(self.conflict).saturating_add(self.transit)
    }
}

/// Rates that decide, each between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuorumRates {
    /// Least share READY to proceed.
    pub ready_min: f64,
    /// Largest share in CONFLICT to proceed.
    pub conflict_max: f64,
    /// Largest share in TRANSIT not worth waiting for.
    pub transit_max: f64,
}

impl Default for QuorumRates {
    fn default() -> Self {
        Self { ready_min: 0.95, conflict_max: 0.05, transit_max: 0.10 }
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum QuorumDecision {
    /// Enough arrived.
    Proceed {
        /// Ready rate minus half the conflict rate.
        confidence: f64,
    },
    /// Too many contradict; waiting does not cure that.
    ResolveConflicts,
    /// Too many are under way.
    Wait {
        /// How long, from the arrival quantiles of those under way, microseconds.
        wait_us: i64,
    },
    /// Neither: try again with new lead times.
    Retry,
}

/// Why nothing can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum QuorumError {
    /// A quorum over nobody.
    #[error("quorum over no answers: nobody is enrolled")]
    Nobody,
    /// A rate that is none.
    #[error("{field} is {value}, outside 0 to 1")]
    Rate {
        /// Which rate.
        field: &'static str,
        /// Its value.
        value: f64,
    },
}

/// Decides in the order of 70-resilience: proceed, resolve, wait, retry. `remaining_us` is the wanted quantile of the
/// time those in TRANSIT still need.
///
/// # Errors
/// [`QuorumError`] when nobody is enrolled or a rate is not between 0 and 1.
pub fn decide(counts: &TrinaryCounts, rates: &QuorumRates, remaining_us: i64) -> Result<QuorumDecision, QuorumError> {
    for (field, value) in
        [("ready_min", rates.ready_min), ("conflict_max", rates.conflict_max), ("transit_max", rates.transit_max)]
    {
        if !(0.0..=1.0).contains(&value) {
            return Err(QuorumError::Rate { field, value });
        }
    }
    let enrolled = counts.enrolled();
    if enrolled == 0 {
        return Err(QuorumError::Nobody);
    }
    let rate = |count: u64| count as f64 / enrolled as f64;
    let (ready, conflict, transit) = (rate(counts.ready), rate(counts.conflict), rate(counts.transit));
    Ok(if ready >= rates.ready_min && conflict <= rates.conflict_max {
        QuorumDecision::Proceed { confidence: ready - conflict / 2.0 }
    } else if conflict > rates.conflict_max {
        QuorumDecision::ResolveConflicts
    } else if transit > rates.transit_max {
        QuorumDecision::Wait { wait_us: remaining_us.max(0) }
    } else {
        QuorumDecision::Retry
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nobody_is_an_error_and_conflicts_come_before_waiting() {
        let rates = QuorumRates::default();
        assert_eq!(decide(&TrinaryCounts::default(), &rates, 0), Err(QuorumError::Nobody));
        let torn = TrinaryCounts { ready: 50, conflict: 10, transit: 40 };
        assert_eq!(decide(&torn, &rates, 7), Ok(QuorumDecision::ResolveConflicts));
        let slow = TrinaryCounts { ready: 80, conflict: 0, transit: 20 };
        assert_eq!(decide(&slow, &rates, 7), Ok(QuorumDecision::Wait { wait_us: 7 }));
        let almost = TrinaryCounts { ready: 92, conflict: 2, transit: 6 };
        assert_eq!(decide(&almost, &rates, 7), Ok(QuorumDecision::Retry));
        let bad = QuorumRates { ready_min: f64::NAN, ..rates };
        assert!(matches!(decide(&slow, &bad, 0), Err(QuorumError::Rate { field: "ready_min", .. })));
    }

    proptest! {
        #[test]
        fn more_ready_never_stops_a_quorum_that_proceeds(ready in 0u64..1000, conflict in 0u64..100, transit in 0u64..100) {
            let counts = TrinaryCounts { ready, conflict, transit };
            let rates = QuorumRates::default();
            if let Ok(QuorumDecision::Proceed { confidence }) = decide(&counts, &rates, 0) {
                prop_assert!((0.9..=1.0).contains(&confidence));
                let more = TrinaryCounts { ready: ready + 1, ..counts };
                let proceeds = matches!(decide(&more, &rates, 0), Ok(QuorumDecision::Proceed { .. }));
                prop_assert!(proceeds);
            }
        }
    }
}
