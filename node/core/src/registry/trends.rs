//! The pasts of the agents of several sectors, taken from one registry view after the other.

use std::collections::BTreeMap;

use mesh30k_ledger::types::{AgentId, SectorId};

use super::history::{HISTORY_STEP_US, History};
use super::{AgentState, SectorView};
use crate::time::MeshTimeUs;

/// Most agents whose past is kept; those beyond are not, and counted.
pub const MAX_TRENDS: usize = 32_768;

/// Histories of agents and of whole sectors. Pure: views and the time come from outside.
#[derive(Debug, Default)]
pub struct Trends {
    sectors: BTreeMap<SectorId, Kept>,
    agents: usize,
    overflow: u64,
}

#[derive(Debug, Default)]
struct Kept {
    whole: History,
    /// Boxed: a map's half-filled nodes would hold as many empty histories as full ones.
    agents: BTreeMap<AgentId, Box<History>>,
}

/// Minute of mesh time, counted from its epoch.
#[must_use]
pub fn minute_of(now: MeshTimeUs) -> u32 {
    u32::try_from(now.0.checked_div(HISTORY_STEP_US).unwrap_or(0).max(0)).unwrap_or(u32::MAX)
}

impl Trends {
    /// Nothing happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets sectors that are not to be kept any more.
    pub fn retain(&mut self, keep: impl Fn(SectorId) -> bool) {
        self.sectors.retain(|sector, _| keep(*sector));
        self.agents = self.sectors.values().map(|kept| kept.agents.len()).sum();
    }

    /// Takes in how a sector stands. Agents that are offline add nothing: their last delay says nothing of today; agents
    /// that are not in the view any more are forgotten.
    pub fn record(&mut self, now: MeshTimeUs, view: &SectorView) {
        let minute = minute_of(now);
        let kept = self.sectors.entry(view.sector()).or_default();
        let before = kept.agents.len();
        kept.agents.retain(|agent, _| view.get(*agent).is_some());
        self.agents = self.agents.saturating_sub(before.saturating_sub(kept.agents.len()));
        for record in view.iter().filter(|record| view.state(record, now) != AgentState::Offline) {
            if !kept.agents.contains_key(&record.agent) {
                if self.agents >= MAX_TRENDS {
                    self.overflow = self.overflow.saturating_add(1);
                    continue;
                }
                self.agents = self.agents.saturating_add(1);
            }
            kept.agents.entry(record.agent).or_default().record(minute, record.z_us, record.z_us);
        }
        let summary = view.summary(now);
        if let (Some(p50_us), Some(p95_us)) = (summary.z_p50_us(), summary.z_p95_us()) {
            kept.whole.record(minute, p50_us, p95_us);
        }
    }

    /// The past of an agent.
    #[must_use]
    pub fn agent(&self, agent: AgentId) -> Option<&History> {
        self.sectors.values().find_map(|kept| kept.agents.get(&agent)).map(AsRef::as_ref)
    }

    /// The past of a sector: medians as means, 95th percentiles as the worst.
    #[must_use]
    pub fn sector(&self, sector: SectorId) -> Option<&History> {
        self.sectors.get(&sector).map(|kept| &kept.whole)
    }

    /// Agents whose past is kept.
    #[must_use]
    pub const fn agents(&self) -> usize {
        self.agents
    }

    /// Times an agent's past was not kept for want of room.
    #[must_use]
    pub const fn overflow(&self) -> u64 {
        self.overflow
    }
}
