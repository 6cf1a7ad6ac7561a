//! Everything a bench found: run by run, and the medians.

use std::path::Path;

use mesh30k_core::delay::{ERROR_EDGES_US, ErrorHistogram};
use serde::Serialize;

use super::BenchError;
use super::calibration::{CalibrationPoint, curve};
use super::goals::{Goal, goals};
use super::jobs::{ArrivalBench, Job};
use super::median::median;
use super::runner::Results;
use crate::cascade::{CascadeReport, Latency};
use crate::config::Scenario;
use crate::report::StrategyReport;
use crate::strategies::StrategyKind;
use crate::tally::Counts;

/// A bench's findings.
#[derive(Debug, Serialize)]
pub struct ArrivalReport {
    /// The command that makes it.
    pub command: String,
    /// Agents.
    pub agents: u32,
    /// Events of a run.
    pub waves: u32,
    /// Seeds, one a run.
    pub seeds: Vec<u64>,
    /// Upper edges of the buckets of `errors`: bucket 1 is up to the first edge, -1 the same before T.
    pub error_edges_us: Vec<i64>,
    /// Scenario by scenario, strategy by strategy.
    pub rows: Vec<Row>,
    /// Promises at several wanted p.
    pub calibration: Vec<CalibrationPoint>,
    /// Cascades at once; null when they were left out.
    pub cascades: Option<CascadeRuns>,
    /// The goals, met or not.
    pub goals: Vec<Goal>,
}

/// One strategy in one scenario.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Where.
    pub scenario: Scenario,
    /// Which.
    pub strategy: StrategyKind,
    /// Wanted probability of being armed by T.
    pub target_p: f64,
    /// Medians over the runs.
    pub median: Medians,
    /// The runs.
    pub runs: Vec<Run>,
}

/// One run of one strategy.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// What came of it.
    #[serde(flatten)]
    pub report: StrategyReport,
}

/// Medians over runs. Shares are of everybody enrolled at dispatch, between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Medians {
    /// Share within 2 ms of T.
    pub within_2ms: f64,
    /// Within 5 ms.
    pub within_5ms: f64,
    /// Within 10 ms.
    pub within_10ms: f64,
    /// Within 50 ms.
    pub within_50ms: f64,
    /// Within 250 ms.
    pub within_250ms: f64,
    /// Median of |error|; null when too many were silent.
    pub median_abs_us: Option<f64>,
    /// Shortest interval that holds 95 of 100.
    pub width95_us: Option<f64>,
    /// Share armed by T.
    pub armed_by_t: f64,
    /// Mean time a result was held.
    pub mean_hold_ms: f64,
    /// Standbys sent, per slot.
    pub duplicates: f64,
    /// Share whose release is in the orchestrator's last summary.
    pub acked: f64,
    /// Of what was released, the share in that summary.
    pub acked_of_released: f64,
    /// Share proved to be within 10 ms, by what the mesh itself can know.
    pub proved: f64,
    /// Share estimated to be.
    pub estimated: f64,
    /// Share that may be.
    pub possible: f64,
    /// Share of promises that were kept; null when nothing was promised.
    pub kept: Option<f64>,
    /// Share within 10 ms in the five events from the middle on.
    pub after_change_10ms: f64,
    /// Within 50 ms in those.
    pub after_change_50ms: f64,
}

/// Cascades at once.
#[derive(Debug, Serialize)]
pub struct CascadeRuns {
    /// Medians over runs of each quantile, from the orchestrator's sending to the agent's receipt.
    pub delivery: Latency,
    /// There and back, without waiting for others.
    pub round_trip: Latency,
    /// To the orchestrator's first summary.
    pub folded: Latency,
    /// The runs.
    pub runs: Vec<CascadeReport>,
}

impl ArrivalReport {
    pub(super) fn new(bench: &ArrivalBench, folder: &Path, results: &Results) -> Result<Self, BenchError> {
        let out = folder.file_name().map_or_else(|| "DIR".into(), |name| name.to_string_lossy());
        let mut rows = Vec::new();
        for scenario in bench.scenarios.iter().copied() {
            for kind in bench.strategies.iter().copied() {
                rows.push(row(bench, results, scenario, kind)?);
            }
        }
        let mut report = Self {
            command: bench.command(&out),
            agents: bench.base.agents,
            waves: bench.base.waves,
            seeds: bench.seeds(),
            error_edges_us: ERROR_EDGES_US.to_vec(),
            rows,
            calibration: curve(bench, results),
            cascades: CascadeRuns::of(results),
            goals: Vec::new(),
        };
        report.goals = goals(&report);
        Ok(report)
    }

    /// Scenarios in the order in which they were asked for.
    #[must_use]
    pub fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios: Vec<Scenario> = self.rows.iter().map(|row| row.scenario).collect();
        scenarios.dedup();
        scenarios
    }

    /// A strategy in a scenario.
    #[must_use]
    pub fn row(&self, scenario: Scenario, strategy: StrategyKind) -> Option<&Row> {
        self.rows.iter().find(|row| row.scenario == scenario && row.strategy == strategy)
    }

    /// Rules that did not hold, with the run in which they did not.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        let of_run = |row: &Row, run: &Run| -> Vec<String> {
            let place = format!("{} seed {} {}", row.scenario, run.seed, row.strategy);
            run.report.breaches.iter().map(|breach| format!("{place}: {breach}")).collect()
        };
        self.rows.iter().flat_map(|row| row.runs.iter().flat_map(move |run| of_run(row, run))).collect()
    }
}

impl Row {
    /// True release errors of all runs.
    #[must_use]
    pub fn errors(&self) -> ErrorHistogram {
        let mut errors = ErrorHistogram::new();
        self.runs.iter().for_each(|run| errors.merge(&run.report.errors));
        errors
    }

    /// Slots of all runs.
    #[must_use]
    pub fn enrolled(&self) -> u64 {
        self.runs.iter().map(|run| run.report.counts.enrolled).sum()
    }
}

fn row(bench: &ArrivalBench, results: &Results, scenario: Scenario, kind: StrategyKind) -> Result<Row, BenchError> {
    let mut runs = Vec::new();
    for seed in bench.seeds() {
        let name = Job::Arrival { scenario, seed, kind, target_p: None }.to_string();
        let report = results.arrivals.get(&name).cloned().ok_or(BenchError::Lost(name))?;
        runs.push(Run { seed, report });
    }
    let target_p = runs.first().map_or(0.0, |run| run.report.target_p);
    let reports: Vec<&StrategyReport> = runs.iter().map(|run| &run.report).collect();
    Ok(Row { scenario, strategy: kind, target_p, median: Medians::of(&reports), runs })
}

/// A share; zero of nobody.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Medians {
    /// Medians of these runs.
    pub(super) fn of(reports: &[&StrategyReport]) -> Self {
        let middle = |figure: &dyn Fn(&StrategyReport) -> f64| median(reports.iter().map(|r| figure(r)));
        let share_of =
            |part: &dyn Fn(&Counts) -> u64| middle(&|r| share(part(&r.counts), r.counts.enrolled)).unwrap_or_default();
        let of_enrolled =
            |part: &dyn Fn(&StrategyReport) -> u64| middle(&|r| share(part(r), r.counts.enrolled)).unwrap_or_default();
        let after = |part: &dyn Fn(&Counts) -> u64| {
            middle(&|r| share(part(&r.after_change()), r.after_change().enrolled)).unwrap_or_default()
        };
        let or_worst = |us: Option<i64>| us.map_or(f64::INFINITY, |us| us as f64);
        let promised = reports.iter().any(|r| r.counts.promised > 0);
        Self {
            within_2ms: share_of(&|c| c.within_2ms),
            within_5ms: share_of(&|c| c.within_5ms),
            within_10ms: share_of(&|c| c.within_10ms),
            within_50ms: share_of(&|c| c.within_50ms),
            within_250ms: share_of(&|c| c.within_250ms),
            median_abs_us: middle(&|r| or_worst(r.median_abs_us)),
            width95_us: middle(&|r| or_worst(r.width95_us)),
            armed_by_t: share_of(&|c| c.armed_by_t),
            mean_hold_ms: middle(&|r| r.mean_hold_ms).unwrap_or_default(),
            duplicates: of_enrolled(&|r| r.duplicates),
            acked: of_enrolled(&|r| r.acked),
            acked_of_released: middle(&|r| share(r.acked, r.counts.released)).unwrap_or_default(),
            proved: of_enrolled(&|r| r.proved),
            estimated: of_enrolled(&|r| r.estimated),
            possible: of_enrolled(&|r| r.possible),
            kept: if promised { middle(&|r| share(r.counts.kept, r.counts.promised)) } else { None },
            after_change_10ms: after(&|c| c.within_10ms),
            after_change_50ms: after(&|c| c.within_50ms),
        }
    }
}

impl CascadeRuns {
    fn of(results: &Results) -> Option<Self> {
        let runs: Vec<CascadeReport> = results.cascades.values().cloned().collect();
        if runs.is_empty() {
            return None;
        }
        let latency = |part: &dyn Fn(&CascadeReport) -> Latency| {
            let middle = |quantile: &dyn Fn(Latency) -> Option<i64>| {
                let figures = runs.iter().map(|run| quantile(part(run)).map_or(f64::INFINITY, |us| us as f64));
                median(figures).map(|us| us.ceil() as i64)
            };
            Latency {
                p50_us: middle(&|l| l.p50_us),
                p95_us: middle(&|l| l.p95_us),
                p99_us: middle(&|l| l.p99_us),
                p999_us: middle(&|l| l.p999_us),
            }
        };
        let (delivery, round_trip) = (latency(&|r| r.delivery), latency(&|r| r.round_trip));
        let folded = latency(&|r| r.folded);
        Some(Self { delivery, round_trip, folded, runs })
    }
}
