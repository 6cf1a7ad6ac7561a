//! How the hosted agents fare, as their host tells the mesh.

use mesh30k_core::beat::AgentReport;
use mesh30k_core::registry::{AgentState, EnergySource, Impedance, reliability_ppm};
use mesh30k_ledger::types::{AgentId, Hash, Uftns};

/// Knows how the agents of this host fare. Asked about once a second; must not wait.
pub trait AgentReports: Send + Sync {
    /// One report for each hosted agent.
    fn reports(&self) -> Vec<AgentReport>;
}

/// The same report for each of some agents: for hosts that measure nothing yet, and tests.
#[derive(Clone, Debug, Default)]
pub struct StaticReports {
    agents: Vec<AgentId>,
}

impl StaticReports {
    /// Reports for these agents.
    #[must_use]
    pub const fn new(agents: Vec<AgentId>) -> Self {
        Self { agents }
    }
}

impl AgentReports for StaticReports {
    fn reports(&self) -> Vec<AgentReport> {
        self.agents.iter().map(|agent| unmeasured(*agent)).collect()
    }
}

/// What is said of an agent before anything was measured: active, a newcomer's reliability, no delays.
#[must_use]
pub fn unmeasured(agent: AgentId) -> AgentReport {
    AgentReport {
        agent,
        impedance: Impedance::default(),
        reliability_ppm: reliability_ppm(0, 0),
        drift_ppm: 0,
        calibration_ppm: 0,
        state: AgentState::Active,
        context: Hash::ZERO,
        energy: EnergySource::Grid,
        price_uftns: Uftns::ZERO.0,
    }
}
