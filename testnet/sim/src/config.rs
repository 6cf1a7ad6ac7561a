//! What is simulated.

use mesh30k_core::event::{ArrivalParams, ClassSet, Strategy};
use mesh30k_core::hosted::ReplayError;
use mesh30k_ledger::types::ChainIdError;
use thiserror::Error;

/// Largest mesh the simulator accepts.
pub(crate) const MAX_AGENTS: u32 = 100_000;

/// A run. The same configuration gives the same trace.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Hosted agents, dealt to hosts, clusters and sectors in sequence.
    pub agents: u32,
    /// Host processes.
    pub hosts: u32,
    /// Agents of a cluster.
    pub cluster_size: u32,
    /// Agents of a sector.
    pub sector_capacity: u32,
    /// From forming to the first wave, microseconds.
    pub warm_up_us: i64,
    /// The waves, one after the other.
    pub waves: Vec<Strategy>,
    /// Who takes part.
    pub classes: ClassSet,
    /// Parameters of the machines.
    pub params: ArrivalParams,
    /// Lead time of the events; none for what the plan asks for.
    pub lead_us: Option<i64>,
    /// Agents whose host never answers for them, from the first wave on.
    pub dead: u32,
    /// Largest error of a node's mesh clock, microseconds either way.
    pub node_clock_error_us: i64,
    /// Largest lateness of a timer, microseconds.
    pub timer_late_us: i64,
}

impl Default for SimConfig {
    /// The mesh of `make up`: 600 agents on 8 hosts in two sectors, three holds and three throws.
    fn default() -> Self {
        Self {
            seed: 1,
            agents: 600,
            hosts: 8,
            cluster_size: 30,
            sector_capacity: 300,
            warm_up_us: 8_000_000,
            waves: vec![
                Strategy::Hold,
                Strategy::Throw,
                Strategy::Hold,
                Strategy::Throw,
                Strategy::Hold,
                Strategy::Throw,
            ],
            classes: ClassSet::MACHINES,
            params: ArrivalParams::default(),
            lead_us: None,
            dead: 0,
            node_clock_error_us: 100,
            timer_late_us: 500,
        }
    }
}

impl SimConfig {
    pub(crate) fn check(&self) -> Result<(), SimError> {
        let fields = [
            ("agents", self.agents, MAX_AGENTS),
            ("hosts", self.hosts, MAX_AGENTS),
            ("cluster_size", self.cluster_size, 256),
            ("sector_capacity", self.sector_capacity, 3_000),
        ];
        for (field, value, limit) in fields {
            if value == 0 || value > limit {
                return Err(SimError::Field { field, value, limit });
            }
        }
        Ok(())
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
    /// The simulated network's own name was refused.
    #[error("name of the simulated network")]
    Chain(#[from] ChainIdError),
    /// The embedded delays are unusable.
    #[error("replayed delays")]
    Replay(#[from] ReplayError),
}
