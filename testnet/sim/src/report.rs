//! What came of a run, by the truth.

use std::collections::BTreeMap;

use mesh30k_core::delay::ErrorHistogram;
use serde::{Deserialize, Serialize};

use crate::explain::{Cause, Miss, OMEGA_US};
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Releases that are within 10 ms for certain, by what the mesh itself can know: |estimate| + bound (2.10 rule 4).
    pub proved: u64,
    /// Releases within 10 ms by its estimate.
    pub estimated: u64,
    /// Releases that may be within 10 ms: |estimate| - bound.
    pub possible: u64,
    /// True release errors, by the buckets of [`mesh30k_core::delay::ERROR_EDGES_US`].
    pub errors: ErrorHistogram,
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

/// Events after a slow-down that are counted apart.
const AFTER_CHANGE: usize = 5;

impl StrategyReport {
    /// The five events from the middle on: those right after [`crate::Scenario::Slowdown`] strikes.
    #[must_use]
    pub fn after_change(&self) -> Counts {
        let mut counts = Counts::default();
        self.per_wave.iter().skip(self.per_wave.len() / 2).take(AFTER_CHANGE).for_each(|wave| counts.merge(wave));
        counts
    }
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
    pub(crate) grades: Grades,
    pub(crate) predicted: f64,
}

/// Releases proved, estimated and possible within the window (2.10 rule 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grades {
    pub(crate) proved: u64,
    pub(crate) estimated: u64,
    pub(crate) possible: u64,
}

impl Grades {
    /// Counts a release that lies between `low_us` and `high_us` and is thought to be at `estimate_us`, relative to T.
    pub(crate) fn add(&mut self, low_us: i64, estimate_us: i64, high_us: i64) {
        let window = -OMEGA_US..=OMEGA_US;
        self.proved += u64::from(window.contains(&low_us) && window.contains(&high_us));
        self.estimated += u64::from(window.contains(&estimate_us));
        self.possible += u64::from(low_us <= OMEGA_US && high_us >= -OMEGA_US);
    }

    /// Takes over what the orchestrator's last summary of an event says.
    pub(crate) fn add_folded(&mut self, tally: &mesh30k_core::event::Tally) {
        self.proved += u64::from(tally.proved);
        self.estimated += u64::from(tally.estimated);
        self.possible += u64::from(tally.possible);
    }
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
            proved: self.grades.proved,
            estimated: self.grades.estimated,
            possible: self.grades.possible,
            errors: self.tally.histogram.clone(),
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
