//! The roster as the event tree needs it: agents by cluster, and who an event means. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh30k_core::event::{AgentLink, ClassSet, Enrolment, Event, class_index};
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::records::AgentRecord;
use mesh30k_ledger::types::{AgentId, ClusterId, NodeId, Scope, SectorId};

use crate::roster::Roster;
use crate::sectors::kept_by;

/// At which level of the tree the denominators are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Per sector, for an orchestrator.
    Sectors,
    /// Per cluster of one sector, for its coordinator.
    ClustersOf(SectorId),
}

/// A part of the mesh, by what its agents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// One sector; none for the whole mesh.
    pub sector: Option<SectorId>,
    /// Which classes.
    pub classes: ClassSet,
    /// Capability bits that each must have.
    pub capabilities: u64,
    /// Only these, in rising order; empty for all.
    pub agents: Vec<AgentId>,
}

impl Default for Selection {
    /// Everybody but people, in the whole mesh.
    fn default() -> Self {
        Self { sector: None, classes: ClassSet::MACHINES, capabilities: 0, agents: Vec::new() }
    }
}

/// One reading of the roster, as one node needs it.
#[derive(Clone, Default)]
pub(super) struct Topology {
    roster: Arc<Roster>,
    kept: BTreeSet<SectorId>,
}

impl Topology {
    /// For node `me`.
    pub(super) fn new(roster: Arc<Roster>, me: NodeId) -> Self {
        let kept = kept_by(&roster, me);
        Self { roster, kept }
    }

    /// The sectors this node keeps: those of its agents and those it votes in.
    pub(super) const fn kept(&self) -> &BTreeSet<SectorId> {
        &self.kept
    }

    /// Whether this is still the reading of `roster`.
    pub(super) fn is_of(&self, roster: &Arc<Roster>) -> bool {
        Arc::ptr_eq(&self.roster, roster)
    }

    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The agents of a cluster.
    pub(super) fn agents_of(&self, cluster: ClusterId) -> Vec<AgentLink> {
        self.records_of(cluster).map(link_of).collect()
    }

    pub(super) fn has_agents(&self, cluster: ClusterId) -> bool {
        self.records_of(cluster).next().is_some()
    }

    /// Agents of a sector that are not people.
    pub(super) fn machines_of(&self, sector: SectorId) -> u32 {
        let agents = self.roster.clusters_of(sector).flat_map(|cluster| self.records_of(cluster.id));
        let machines = agents.filter(|agent| ClassSet::MACHINES.contains(agent.class)).count();
        u32::try_from(machines).unwrap_or(u32::MAX)
    }

    fn records_of(&self, cluster: ClusterId) -> impl Iterator<Item = &AgentRecord> {
        let agents = self.roster.clusters.get(&cluster).map(|record| record.agents.as_slice()).unwrap_or_default();
        agents.iter().filter_map(|agent| self.roster.agents.get(agent))
    }

    pub(super) fn has_node(&self, node: NodeId) -> bool {
        self.roster.nodes.contains_key(&node)
    }

    pub(super) fn host_key(&self, node: NodeId) -> Option<PublicKey> {
        self.roster.nodes.get(&node).map(|known| known.record.host_key)
    }

    pub(super) fn is_voter(&self, node: NodeId, sector: SectorId) -> bool {
        self.roster.sectors.get(&sector).is_some_and(|record| record.voters.contains(&node))
    }

    /// Whether the sector's coordinator could appoint this node: its nodes, its voters, hosts of the cluster.
    pub(super) fn may_lead(&self, node: NodeId, cluster: ClusterId) -> bool {
        let record = self.roster.sectors.get(&cluster.sector);
        record.is_some_and(|record| record.nodes.contains(&node) || record.voters.contains(&node))
            || self.records_of(cluster).any(|agent| agent.node == node)
    }

    /// The cluster of an agent, where the roster has it.
    pub(super) fn cluster_of(&self, agent: AgentId) -> Option<ClusterId> {
        self.roster.agents.get(&agent).map(|record| record.cluster)
    }

    /// Everybody in a part of the mesh.
    pub(super) fn matching<'a>(&'a self, wanted: &'a Selection) -> impl Iterator<Item = &'a AgentRecord> {
        let named = wanted.agents.iter().filter_map(|agent| self.roster.agents.get(agent));
        let all = self.roster.agents.values().filter(|_| wanted.agents.is_empty());
        named.chain(all).filter(|a| {
            wanted.classes.contains(a.class)
                && a.capabilities.0 & wanted.capabilities == wanted.capabilities
                && wanted.sector.is_none_or(|sector| sector == a.cluster.sector)
        })
    }

    /// The first of these agents that is not on the ledger, and how many are not.
    pub(super) fn unknown(&self, agents: &[AgentId]) -> Option<(AgentId, u64)> {
        let mut unknown = agents.iter().filter(|agent| self.roster.agents.get(agent).is_none());
        let first = *unknown.next()?;
        Some((first, (unknown.count() as u64).saturating_add(1)))
    }

    /// The one sector in which all of these agents are; none for several, or for nobody.
    pub(super) fn only_sector(&self, agents: &[AgentId]) -> Option<SectorId> {
        let mut sectors = agents.iter().filter_map(|agent| self.cluster_of(*agent)).map(|cluster| cluster.sector);
        let first = sectors.next()?;
        sectors.all(|sector| sector == first).then_some(first)
    }

    /// Everybody an event means.
    pub(super) fn selected<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = &'a AgentRecord> {
        self.roster.agents.values().filter(|a| event.selects(a.id, a.class, a.capabilities.0, a.cluster))
    }

    /// The denominators of an event, fixed at dispatch.
    pub(super) fn enrol(&self, event: &Event, level: Level) -> Vec<Enrolment> {
        let mut counts: BTreeMap<Scope, [u32; 6]> = BTreeMap::new();
        for agent in self.selected(event) {
            let child = match level {
                Level::Sectors => Scope::Sector(agent.cluster.sector),
                Level::ClustersOf(sector) if sector == agent.cluster.sector => Scope::Cluster(agent.cluster),
                Level::ClustersOf(_) => continue,
            };
            if let Some(count) = counts.entry(child).or_default().get_mut(class_index(agent.class)) {
                *count = count.saturating_add(1);
            }
        }
        counts.into_iter().map(|(child, agents)| Enrolment { child, agents }).collect()
    }
}

fn link_of(agent: &AgentRecord) -> AgentLink {
    AgentLink { agent: agent.id, host: agent.node, class: agent.class, capabilities: agent.capabilities.0 }
}

/// Everybody enrolled, by class.
pub(super) fn total(enrolments: &[Enrolment]) -> [u32; 6] {
    let mut sum = [0_u32; 6];
    for enrolment in enrolments {
        for (slot, count) in sum.iter_mut().zip(enrolment.agents) {
            *slot = slot.saturating_add(count);
        }
    }
    sum
}
