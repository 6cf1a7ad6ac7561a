//! The mesh in rows, for people: the tree and the agents.

use mesh30k_core::registry::AgentState;
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::records::{AgentRecord, SectorRecord};
use mesh30k_ledger::types::{AgentClass, SectorId};

use super::freeze::FreezeView;
use super::handle::MeshHandle;
use crate::api::types::{AgentRow, ClusterRow, MeshTree, SectorRow};
use crate::roster::Roster;

/// Which agents to show.
#[derive(Clone, Debug, Default)]
pub struct AgentFilter {
    /// Only this sector.
    pub sector: Option<SectorId>,
    /// Only this class.
    pub class: Option<AgentClass>,
    /// Only those in this state, in the registry's words (`active`, `offline`, ..., or `unreported`).
    pub state: Option<String>,
    /// At most so many; none for all.
    pub limit: Option<usize>,
}

/// State of an agent that its host has not reported yet.
const UNREPORTED: &str = "unreported";

const fn word(state: AgentState) -> &'static str {
    match state {
        AgentState::Active => "active",
        AgentState::Degraded => "degraded",
        AgentState::Offline => "offline",
        AgentState::Quarantined => "quarantined",
        AgentState::Frozen => "frozen",
    }
}

impl MeshHandle {
    /// The tree of the whole mesh: what this node keeps as it is, the other sectors as their voters say.
    pub async fn tree(&self) -> MeshTree {
        self.refresh().await;
        self.tree_now()
    }

    /// The tree as far as it is known here, without asking anybody.
    #[must_use]
    pub fn tree_now(&self) -> MeshTree {
        let (roster, now) = (self.roster(), self.now());
        MeshTree { sectors: roster.sectors.values().map(|record| self.sector_row(&roster, record, now)).collect() }
    }

    /// Agents of the whole mesh, by id.
    pub async fn agents(&self, filter: &AgentFilter) -> Vec<AgentRow> {
        self.refresh().await;
        let (roster, now, freezes) = (self.roster(), self.now(), self.freezes().view());
        let wanted = roster.agents.values().filter(|agent| {
            filter.sector.is_none_or(|sector| agent.cluster.sector == sector)
                && filter.class.is_none_or(|class| agent.class == class)
        });
        let rows = wanted.map(|agent| self.agent_row(agent, &freezes, now));
        let rows = rows.filter(|row| filter.state.as_ref().is_none_or(|state| *state == row.state));
        rows.take(filter.limit.unwrap_or(usize::MAX)).collect()
    }

    fn sector_row(&self, roster: &Roster, record: &SectorRecord, now: TimeUs) -> SectorRow {
        let sector = record.id;
        let view = self.sectors().view(sector);
        let active = view.iter().filter(|agent| view.state(agent, now) == AgentState::Active).count();
        let coordinator = self.sectors().find_coordinator(sector);
        let clusters = roster.clusters_of(sector);
        let rows = clusters.map(|cluster| ClusterRow {
            cluster: cluster.id,
            lead: self.sectors().lead_of(cluster.id, now).map(|(node, _)| node),
            deputy: self.sectors().lease_of(cluster.id).and_then(|lease| lease.deputy),
            agents: cluster.agents.len(),
        });
        SectorRow {
            sector,
            voters: record.voters.clone(),
            coordinator: coordinator.map(|coordinator| coordinator.node),
            term: coordinator.map_or(0, |coordinator| coordinator.term),
            agents: usize::try_from(record.agents).unwrap_or(usize::MAX),
            active,
            clusters: rows.collect(),
        }
    }

    fn agent_row(&self, agent: &AgentRecord, freezes: &FreezeView, now: TimeUs) -> AgentRow {
        let view = self.sectors().view(agent.cluster.sector);
        let record = view.get(agent.id);
        AgentRow {
            agent: agent.id,
            class: agent.class,
            host: agent.node,
            cluster: agent.cluster,
            score: record.map(|record| u32::from(record.score)),
            one_way_us_p50: record.map(|record| record.impedance.one_way_p50_us),
            processing_us_p50: record.map(|record| record.impedance.processing_p50_us),
            state: record.map_or(UNREPORTED, |record| word(view.state(record, now))).to_owned(),
            frozen: freezes.is_frozen(agent.id, agent.cluster, now),
        }
    }
}
