//! What came of a run, by the truth.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::explain::{Cause, Miss};
use crate::strategies::StrategyKind;
use crate::tally::{Counts, Tally};

/// A run. Counts, not rates; the denominator is everybody enrolled at dispatch, and silence is a miss.
#[derive(Debug, Serialize)]
pub struct SimReport {
    /// Its scenario.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// Agents.
    pub agents: u32,
    /// Events.
    pub waves: u32,
    /// Hash of everything that happened, in order, over all strategies.
    pub trace_hash: String,
    /// What came of each strategy on the same events.
    pub strategies: BTreeMap<StrategyKind, StrategyReport>,
}

/// One strategy.
#[derive(Debug, Serialize)]
pub struct StrategyReport {
    /// Counts over all events.
    #[serde(flatten)]
    pub counts: Counts,
    /// Median of |error|, microseconds; null when more than half were silent.
    pub median_abs_us: Option<i64>,
    /// Shortest interval that holds 95 of 100 enrolled, microseconds; null when fewer released.
    pub width95_us: Option<i64>,
    /// Wanted probability of being armed by T.
    pub target_p: f64,
    /// Mean time a result was held, of those armed early.
    pub mean_hold_ms: f64,
    /// Standbys that did the work of somebody else.
    pub duplicates: u64,
    /// Releases in the last summaries that the orchestrator had.
    pub acked: u64,
    /// Enrolled that were neither dead nor gone at T: what a prediction can be calibrated on.
    pub alive: u64,
    /// Releases the plans promised within the window, summed.
    pub predicted_within_10ms: f64,
    /// By class.
    pub classes: BTreeMap<String, Counts>,
    /// Why the rest is outside 10 ms.
    pub misses: BTreeMap<Cause, u64>,
    /// By event.
    pub per_wave: Vec<Counts>,
    /// Messages and timers handled.
    pub steps: u64,
    /// Mesh time simulated, seconds.
    pub mesh_s: i64,
    /// Hash of this strategy's run.
    pub trace_hash: String,
    /// Rules that did not hold; empty when all did.
    pub breaches: Vec<String>,
    /// Some of the misses, the first of each cause first.
    #[serde(skip)]
    pub examples: Vec<Miss>,
}

impl SimReport {
    /// Rules that did not hold in any strategy.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        let of = |(kind, report): (&StrategyKind, &StrategyReport)| -> Vec<String> {
            report.breaches.iter().map(|breach| format!("{kind}: {breach}")).collect()
        };
        self.strategies.iter().flat_map(of).collect()
    }
}

/// What a run gathers for its report.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) tally: Tally,
    pub(crate) per_wave: Vec<Counts>,
    pub(crate) misses: BTreeMap<Cause, u64>,
    pub(crate) examples: Vec<Miss>,
    pub(crate) duplicates: u64,
    pub(crate) acked: u64,
    pub(crate) alive: u64,
    pub(crate) predicted: f64,
}

/// Examples kept of each cause.
const EXAMPLES_MAX: u64 = 12;

impl Gathered {
    pub(crate) fn miss(&mut self, miss: Miss) {
        let count = self.misses.entry(miss.cause).or_default();
        *count += 1;
        if *count <= EXAMPLES_MAX {
            self.examples.push(miss);
        }
    }

    pub(crate) fn report(self, target_p: f64) -> StrategyReport {
        StrategyReport {
            counts: self.tally.counts,
            median_abs_us: self.tally.median_abs_us(),
            width95_us: self.tally.width95_us(),
            target_p,
            mean_hold_ms: self.tally.mean_hold_ms(),
            duplicates: self.duplicates,
            acked: self.acked,
            alive: self.alive,
            predicted_within_10ms: self.predicted,
            classes: self.tally.classes.iter().map(|(class, counts)| (class.to_string(), *counts)).collect(),
            misses: self.misses,
            per_wave: self.per_wave,
            steps: 0,
            mesh_s: 0,
            trace_hash: String::new(),
            breaches: Vec::new(),
            examples: self.examples,
        }
    }
}
