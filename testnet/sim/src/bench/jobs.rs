//! What a bench consists of: runs that know nothing of each other.

use std::fmt;

use super::BenchError;
use crate::config::{Scenario, SimConfig};
use crate::strategies::StrategyKind;

/// Most runs of one bench.
pub(super) const MAX_RUNS: u32 = 100;
/// Cascades in a run of them, at most.
const MAX_CASCADES: u32 = 20;

/// A bench. The same arguments give the same report.
#[derive(Clone, Debug)]
pub struct ArrivalBench {
    /// Size, number of events and the first seed; run k has the first seed plus k.
    pub base: SimConfig,
    /// Scenarios, each with all strategies.
    pub scenarios: Vec<Scenario>,
    /// Strategies, each on the same events.
    pub strategies: Vec<StrategyKind>,
    /// Runs, of which the median counts.
    pub runs: u32,
    /// Wanted probabilities at which calibration is measured, by `hold` without standbys, in the mixed and the replayed
    /// scenario; empty for those of the strategies alone.
    pub calibration: Vec<f64>,
    /// Whether cascades at once are measured, too.
    pub cascades: bool,
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Job {
    /// A strategy on the events of a scenario.
    Arrival {
        /// Where.
        scenario: Scenario,
        /// Its seed.
        seed: u64,
        /// Which.
        kind: StrategyKind,
        /// Wanted probability; none for the strategy's own.
        target_p: Option<f64>,
    },
    /// Cascades at once in the mixed scenario.
    Cascades {
        /// Their seed.
        seed: u64,
    },
}

impl fmt::Display for Job {
    /// Names its file, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrival { scenario, seed, kind, target_p: None } => write!(f, "{scenario}-{seed}-{kind}"),
            Self::Arrival { scenario, seed, kind, target_p: Some(p) } => write!(f, "{scenario}-{seed}-{kind}-p{p}"),
            Self::Cascades { seed } => write!(f, "cascades-{seed}"),
        }
    }
}

impl ArrivalBench {
    /// The usual bench of a mesh of this size.
    #[must_use]
    pub fn of_size(agents: u32) -> Self {
        Self {
            base: SimConfig::of_size(agents),
            scenarios: vec![
                Scenario::Mixed,
                Scenario::Replayed,
                Scenario::Liars,
                Scenario::Slowdown,
                Scenario::CoordinatorKilled,
            ],
            strategies: StrategyKind::ALL.to_vec(),
            runs: 5,
            calibration: vec![0.5, 0.9, 0.95, 0.99, 0.999],
            cascades: true,
        }
    }

    pub(super) fn check(&self) -> Result<(), BenchError> {
        if self.runs == 0 || self.runs > MAX_RUNS {
            return Err(BenchError::Runs(self.runs));
        }
        for (name, empty) in [("scenarios", self.scenarios.is_empty()), ("strategies", self.strategies.is_empty())] {
            if empty {
                return Err(BenchError::Empty(name));
            }
        }
        self.base.check()?;
        for p in &self.calibration {
            SimConfig { target_p: Some(*p), ..self.base.clone() }.check()?;
        }
        Ok(())
    }

    /// Seeds of the runs.
    #[must_use]
    pub fn seeds(&self) -> Vec<u64> {
        (0..u64::from(self.runs)).map(|run| self.base.seed.wrapping_add(run)).collect()
    }

    /// The scenarios in which calibration is measured.
    pub(super) fn calibrated(&self) -> impl Iterator<Item = Scenario> + '_ {
        let is_calibrated = |s: &Scenario| matches!(s, Scenario::Mixed | Scenario::Replayed);
        self.scenarios.iter().copied().filter(is_calibrated)
    }

    /// The job that measures calibration at `p`: the usual run of `hold`, where that is at this p.
    pub(super) fn calibration_job(&self, scenario: Scenario, seed: u64, p: f64) -> Job {
        let kind = StrategyKind::Hold;
        let usual = self.strategies.contains(&kind) && p == kind.usual_p();
        Job::Arrival { scenario, seed, kind, target_p: (!usual).then_some(p) }
    }

    /// All runs, a seed after the other, so that a bench that is stopped has whole seeds.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        let mut add = |job: Job| {
            if !jobs.contains(&job) {
                jobs.push(job);
            }
        };
        for seed in self.seeds() {
            for scenario in self.scenarios.iter().copied() {
                // The longest first, so that threads end together.
                let kinds = self.strategies.iter().rev().copied();
                kinds.for_each(|kind| add(Job::Arrival { scenario, seed, kind, target_p: None }));
            }
            for scenario in self.calibrated() {
                self.calibration.iter().for_each(|p| add(self.calibration_job(scenario, seed, *p)));
            }
            if self.cascades {
                add(Job::Cascades { seed });
            }
        }
        jobs
    }

    /// What is simulated for a job.
    pub(super) fn config(&self, job: &Job) -> SimConfig {
        let base = SimConfig { threads: 1, ..self.base.clone() };
        match *job {
            Job::Arrival { scenario, seed, kind, target_p } => {
                SimConfig { scenario, seed, strategies: vec![kind], target_p, ..base }
            }
            Job::Cascades { seed } => {
                SimConfig { scenario: Scenario::Mixed, seed, waves: base.waves.min(MAX_CASCADES), ..base }
            }
        }
    }

    /// The command that makes this bench.
    #[must_use]
    pub fn command(&self, out: &str) -> String {
        let names = |names: Vec<String>| names.join(",");
        let scenarios = names(self.scenarios.iter().map(ToString::to_string).collect());
        let strategies = names(self.strategies.iter().map(ToString::to_string).collect());
        let mut command = format!(
            "mesh30k testnet bench arrival --agents {} --waves {} --runs {} --seed {} --scenarios {scenarios}",
            self.base.agents, self.base.waves, self.runs, self.base.seed
        );
        if self.strategies != StrategyKind::ALL {
            command.push_str(&format!(" --strategies {strategies}"));
        }
        let calibration = names(self.calibration.iter().map(ToString::to_string).collect());
        match calibration.as_str() {
            "" => command.push_str(" --no-calibration"),
            "0.5,0.9,0.95,0.99,0.999" => {}
            other => command.push_str(&format!(" --calibration {other}")),
        }
        if !self.cascades {
            command.push_str(" --no-cascades");
        }
        format!("{command} --out {out}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_of_every_scenario_is_run_once_for_every_seed() {
        let bench = ArrivalBench::of_size(300);
        let jobs = bench.jobs();
        // Five scenarios of four strategies, four more wanted p in two of them (hold's own is run anyway), the cascades.
        assert_eq!(jobs.len(), 5 * (5 * 4 + 2 * 4 + 1));
        let names: std::collections::BTreeSet<String> = jobs.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), jobs.len());
        assert!(names.contains("replayed-5-hold-p0.95") && !names.contains("mixed-1-hold-p0.999"));
        assert_eq!(bench.config(&jobs[0]).strategies, [StrategyKind::HoldHedge]);
        let without_hold = ArrivalBench { strategies: vec![StrategyKind::HoldHedge], runs: 1, ..bench };
        assert!(without_hold.jobs().iter().any(|job| job.to_string() == "mixed-1-hold-p0.999"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let usual = || ArrivalBench::of_size(300);
        assert!(matches!(ArrivalBench { runs: 0, ..usual() }.check(), Err(BenchError::Runs(0))));
        assert!(matches!(ArrivalBench { strategies: vec![], ..usual() }.check(), Err(BenchError::Empty("strategies"))));
        let refused = ArrivalBench { calibration: vec![1.5], ..usual() }.check().unwrap_err();
        assert!(refused.to_string().contains("1.5"), "{refused}");
        assert!(usual().check().is_ok());
    }
}
