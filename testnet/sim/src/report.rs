//! What came of a run, by the truth.

use std::collections::BTreeMap;

use mesh30k_core::event::{FoldedAck, MissCause, Strategy, miss_cause};
use mesh30k_core::hosted::HarnessRecord;
use mesh30k_ledger::types::{AgentClass, AgentId};
use serde::Serialize;

/// One wave; all figures are counts over everybody enrolled.
#[derive(Clone, Debug, Serialize)]
pub struct WaveReport {
    /// Hold or throw.
    pub strategy: Strategy,
    /// From dispatch to T, milliseconds.
    pub lead_ms: i64,
    /// What the plan promised at that lead, of one.
    pub predicted_hit: f64,
    /// Everybody meant.
    pub enrolled: u32,
    /// True release within 2 ms of T.
    pub within_2ms: u32,
    /// Within 5 ms.
    pub within_5ms: u32,
    /// Within 10 ms.
    pub within_10ms: u32,
    /// Within 50 ms.
    pub within_50ms: u32,
    /// Within 250 ms.
    pub within_250ms: u32,
    /// Median of |error| of those released, microseconds.
    pub median_abs_us: i64,
    /// Armed at or before the true T.
    pub armed_by_target: u32,
    /// Why the rest is outside 10 ms.
    pub misses: BTreeMap<MissCause, u32>,
    /// (enrolled, within 10 ms) by class.
    pub classes: BTreeMap<String, (u32, u32)>,
    /// The last summary the orchestrator had.
    pub folded: Option<FoldedAck>,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct SimReport {
    /// Its seed.
    pub seed: u64,
    /// Agents.
    pub agents: u32,
    /// Agents with enough samples of their own when the first wave was planned.
    pub warm: u32,
    /// The waves.
    pub waves: Vec<WaveReport>,
    /// Messages and timers handled.
    pub steps: u64,
    /// Hash of everything that happened, in order.
    pub trace_hash: String,
}

/// Window by which misses are explained, microseconds.
const OMEGA_US: i64 = 10_000;

impl WaveReport {
    /// Counts one wave from the truth of those that ended and the list of everybody meant.
    pub(crate) fn count(
        strategy: Strategy,
        enrolled: &BTreeMap<AgentId, AgentClass>,
        records: &BTreeMap<AgentId, HarnessRecord>,
    ) -> Self {
        let errors: Vec<i64> = records.values().filter_map(HarnessRecord::release_error_us).collect();
        let within = |omega: i64| errors.iter().filter(|e| e.abs() <= omega).count() as u32;
        let mut magnitudes: Vec<i64> = errors.iter().map(|e| e.abs()).collect();
        magnitudes.sort_unstable();
        let mut report = Self {
            strategy,
            lead_ms: 0,
            predicted_hit: 0.0,
            enrolled: enrolled.len() as u32,
            within_2ms: within(2_000),
            within_5ms: within(5_000),
            within_10ms: within(OMEGA_US),
            within_50ms: within(50_000),
            within_250ms: within(250_000),
            median_abs_us: magnitudes.get(magnitudes.len() / 2).copied().unwrap_or(0),
            armed_by_target: records.values().filter(|r| r.armed_error_us().is_some_and(|e| e <= 0)).count() as u32,
            misses: BTreeMap::new(),
            classes: BTreeMap::new(),
            folded: None,
        };
        for (agent, class) in enrolled {
            let record = records.get(agent);
            let conflict = record.is_some_and(|r| r.released_us.is_none());
            let armed = record.and_then(HarnessRecord::armed_error_us);
            let released = record.and_then(HarnessRecord::release_error_us);
            let cause = miss_cause(strategy, conflict, armed, released, OMEGA_US);
            let row = report.classes.entry(class.to_string()).or_default();
            row.0 += 1;
            match cause {
                Some(cause) => *report.misses.entry(cause).or_default() += 1,
                None => row.1 += 1,
            }
        }
        report
    }
}
