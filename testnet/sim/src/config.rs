//! What is simulated.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use mesh30k_core::hosted::{Replay, ReplayError};
use mesh30k_ledger::types::ChainIdError;
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::delays::DelayFileError;
use crate::strategies::StrategyKind;

/// Largest mesh the simulator accepts.
pub const MAX_AGENTS: u32 = 1_000_000;
/// Most waves of a run.
pub const MAX_WAVES: u32 = 1_000;

/// What goes wrong, and where the last hops come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The model: asymmetric paths, queues, congestion, other routes, spikes, loss, cold starts, pauses, dead agents,
    /// stalled leads, timer ticks, clock steps, errors of provider time.
    Mixed,
    /// Measured last hops; joins and leaves, distances and weights of events from traces.
    Replayed,
    /// Mixed, and a tenth of the leads are off by 200 ms.
    Liars,
    /// Mixed, and in the middle half of the agents become 1.5 times slower at once.
    Slowdown,
    /// Mixed, and a coordinator is killed shortly before each T.
    CoordinatorKilled,
    /// Mixed, and a twentieth of the leads stall for two seconds before each T.
    LeadStalled,
}

/// All scenarios with their names.
pub const SCENARIOS: [(Scenario, &str); 6] = [
    (Scenario::Mixed, "mixed"),
    (Scenario::Replayed, "replayed"),
    (Scenario::Liars, "liars"),
    (Scenario::Slowdown, "slowdown"),
    (Scenario::CoordinatorKilled, "coordinator-killed"),
    (Scenario::LeadStalled, "lead-stalled"),
];

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SCENARIOS.iter().find(|(s, _)| s == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl Serialize for Scenario {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Scenario {
    type Err = SimError;

    fn from_str(text: &str) -> Result<Self, SimError> {
        let known = SCENARIOS.iter().find(|(_, name)| *name == text).map(|(scenario, _)| *scenario);
        known.ok_or_else(|| SimError::Scenario(text.chars().take(40).collect()))
    }
}

/// A rule broken on purpose, to see that its invariant notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Leads ask for a release 40 ms early, the most that an agent's own time service lets pass.
    EarlyRelease,
    /// Hosts run a slot a second time.
    SecondRelease,
    /// Leads lose answers that reached them.
    LostAck,
    /// A coordinator forgets a cluster.
    ForgottenCluster,
    /// Leads send standbys without a budget.
    Overspending,
}

/// A run. The same configuration gives the same trace.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Agents; shape and classes follow from their number.
    pub agents: u32,
    /// Events, each to everybody.
    pub waves: u32,
    /// What goes wrong.
    pub scenario: Scenario,
    /// What is compared, each on the same waves in a mesh of its own.
    pub strategies: Vec<StrategyKind>,
    /// Wanted probability of being armed by T; none for each strategy's own.
    pub target_p: Option<f64>,
    /// Last hops of [`Scenario::Replayed`]; none for the embedded ones.
    pub replay: Option<Arc<Replay>>,
    /// From forming to the first wave, microseconds.
    pub warm_up_us: i64,
    /// Mean distance between two events, microseconds.
    pub interval_us: i64,
    /// Factor on the shares of dead agents and stalled leads.
    pub fault_factor: f64,
    /// Every how many events one has effects; zero for never.
    pub effects_every: u32,
    /// Events are sent at once, for no T ahead, and need no work: what the tree itself takes.
    pub at_once: bool,
    /// A rule broken on purpose.
    pub plant: Option<Plant>,
    /// Threads; each strategy takes one at a time.
    pub threads: usize,
}

impl Default for SimConfig {
    /// An hour of 30,000 agents in the mixed scenario.
    fn default() -> Self {
        Self {
            seed: 1,
            agents: 30_000,
            waves: 100,
            scenario: Scenario::Mixed,
            strategies: StrategyKind::ALL.to_vec(),
            target_p: None,
            replay: None,
            warm_up_us: 60_000_000,
            interval_us: 35_000_000,
            fault_factor: 1.0,
            effects_every: 0,
            at_once: false,
            plant: None,
            threads: 1,
        }
    }
}

/// From this size on a run is a series of cascades in quick succession instead of an hour's.
const LARGE_MESH: u32 = 200_000;

impl SimConfig {
    /// The usual run of a mesh of this size: up to 200,000 agents events half a minute apart, above it ten seconds to form
    /// and events five seconds apart.
    #[must_use]
    pub fn of_size(agents: u32) -> Self {
        let usual = Self { agents, ..Self::default() };
        if agents < LARGE_MESH {
            return usual;
        }
        Self { warm_up_us: 10_000_000, interval_us: 5_000_000, ..usual }
    }

    pub(crate) fn check(&self) -> Result<(), SimError> {
        for (field, value, limit) in [("agents", self.agents, MAX_AGENTS), ("waves", self.waves, MAX_WAVES)] {
            if value == 0 || value > limit {
                return Err(SimError::Field { field, value, limit });
            }
        }
        match self.target_p {
            Some(p) if !(0.5..=0.999_9).contains(&p) => Err(SimError::TargetP(p)),
            _ => Ok(()),
        }
    }
}

/// Why a run is refused.
#[derive(Debug, Error)]
pub enum SimError {
    /// A figure outside its range.
    #[error("{field} is {value}, allowed are 1 to {limit}")]
    Field {
        /// Which.
        field: &'static str,
        /// Its value.
        value: u32,
        /// Its limit.
        limit: u32,
    },
    /// A probability outside its range.
    #[error("target p is {0}, allowed are 0.5 to 0.9999")]
    TargetP(f64),
    /// No scenario of this name.
    #[error("{0:?} is no scenario; there are mixed, replayed, liars, slowdown, coordinator-killed and lead-stalled")]
    Scenario(String),
    /// No strategy of this name.
    #[error("{0:?} is no strategy; there are first_draft, learned_throw, hold and hold_hedge")]
    Strategy(String),
    /// Delays given in a file cannot be used.
    #[error(transparent)]
    Delays(#[from] DelayFileError),
    /// The simulated network's own name was refused.
    #[error("name of the simulated network")]
    Chain(#[from] ChainIdError),
    /// The embedded delays are unusable.
    #[error("replayed delays")]
    Replay(#[from] ReplayError),
    /// An embedded trace is unusable.
    #[error("{file}, line {line}: {field:?} is not what stands there in a trace")]
    Trace {
        /// Which file.
        file: &'static str,
        /// Which line, from one.
        line: usize,
        /// What stands there.
        field: String,
    },
    /// A strategy's thread ended badly.
    #[error("the run of {0} ended without a result")]
    Lost(StrategyKind),
}
