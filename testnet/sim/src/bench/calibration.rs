//! Whether what was promised with probability p was kept in a share p of all cases.

use serde::Serialize;

use super::jobs::{ArrivalBench, Job};
use super::median::median;
use super::runner::Results;
use crate::config::Scenario;

/// One run at one wanted p.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CalibrationRun {
    /// Its seed.
    pub seed: u64,
    /// Slots whose lead gave the work the time in which it is done with probability p.
    pub promised: u64,
    /// Of those, the ones in which it was.
    pub kept: u64,
}

/// All runs at one wanted p in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationPoint {
    /// Which scenario.
    pub scenario: String,
    /// p.
    pub wanted: f64,
    /// Median of the runs' shares that were kept; null when nothing was promised.
    pub kept: Option<f64>,
    /// The runs.
    pub runs: Vec<CalibrationRun>,
}

impl CalibrationPoint {
    /// How far the share kept is from the wanted one, in points of a hundred; positive when more was kept than promised.
    #[must_use]
    pub fn off_points(&self) -> Option<f64> {
        self.kept.map(|kept| (kept - self.wanted) * 100.0)
    }
}

/// The curve of every calibrated scenario.
pub(super) fn curve(bench: &ArrivalBench, results: &Results) -> Vec<CalibrationPoint> {
    let mut points = Vec::new();
    for scenario in bench.calibrated() {
        points.extend(bench.calibration.iter().map(|p| point(bench, results, scenario, *p)));
    }
    points
}

fn point(bench: &ArrivalBench, results: &Results, scenario: Scenario, wanted: f64) -> CalibrationPoint {
    let run = |seed: u64| {
        let job: Job = bench.calibration_job(scenario, seed, wanted);
        let counts = results.arrivals.get(&job.to_string())?.counts;
        Some(CalibrationRun { seed, promised: counts.promised, kept: counts.kept })
    };
    let runs: Vec<CalibrationRun> = bench.seeds().into_iter().filter_map(run).collect();
    let shares = runs.iter().filter(|run| run.promised > 0).map(|run| run.kept as f64 / run.promised as f64);
    CalibrationPoint { scenario: scenario.to_string(), wanted, kept: median(shares), runs }
}
