//! What is counted of a node's duties.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::metrics::{MetricError, counters, gauge, gauges};

/// How far the duties of this node have come.
#[derive(Debug, Clone)]
pub struct DutyMetrics {
    /// Duties that wait for money for the fee.
    pub unpaid: IntGauge,
    /// Duties that the ledger did not take in so many tries.
    pub given_up: IntGauge,
    /// Sectors whose other voters anchored something else than this node holds.
    pub anchors_disputed: IntGauge,
    submitted: IntCounterVec,
    done_at: IntGaugeVec,
}

impl DutyMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, MetricError> {
        Ok(Self {
            unpaid: gauge(registry, "mesh30k_duties_unpaid", "Duties that wait for money for the fee.")?,
            given_up: gauge(
                registry,
                "mesh30k_duties_given_up",
                "Duties that the ledger did not take in so many tries.",
            )?,
            anchors_disputed: gauge(
                registry,
                "mesh30k_duties_anchors_disputed",
                "Sectors whose other voters anchored something else than this node holds.",
            )?,
            submitted: counters(
                registry,
                "mesh30k_duties_submitted_total",
                "Transactions this node made by itself for a duty.",
                "duty",
            )?,
            done_at: gauges(
                registry,
                "mesh30k_duties_last_done_seconds",
                "Unix time at which a duty was last done; absent when never, as far as this node knows.",
                "duty",
            )?,
        })
    }

    /// Notes a transaction made for a duty; `duty` is a constant of the program.
    pub fn count(&self, duty: &'static str) {
        self.submitted.with_label_values(&[duty]).inc();
    }

    /// Notes when a duty was last done; `duty` is a constant of the program.
    pub fn set_done(&self, duty: &'static str, at_ms: u64) {
        self.done_at.with_label_values(&[duty]).set(i64::try_from(at_ms / 1_000).unwrap_or(i64::MAX));
    }
}
