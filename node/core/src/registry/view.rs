//! Immutable views of the registry: a reader holds one as long as it likes and never waits for a writer.

use super::find::Candidate;
use super::{AgentState, Capabilities, Record, Summary};
use crate::lead::Fencing;
use crate::time::MeshTimeUs;
use crate::wire::Hlc;
use mesh30k_ledger::types::{AgentId, NodeId, SectorId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An agent whose host was not heard of for 30 s (6 beats) is offline.
pub const AGENT_OFFLINE_AFTER_US: i64 = 30_000_000;

/// When a host was last heard of, by the sector group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostBeat {
    /// Sequence of its newest committed batch.
    pub sequence: u64,
    /// Stamp of that batch.
    pub last_beat: Hlc,
    /// It said that it leaves.
    pub left: bool,
}

impl HostBeat {
    /// Whether its agents are reachable at `now`.
    #[must_use]
    pub const fn is_live(&self, now: MeshTimeUs) -> bool {
        !self.left && now.since_us(self.last_beat.wall) < AGENT_OFFLINE_AFTER_US
    }
}

/// One sector at one position of its group. Records that did not change are shared with the view before.
#[derive(Clone, Debug)]
pub struct SectorView {
    pub(super) sector: SectorId,
    pub(super) version: Fencing,
    pub(super) records: BTreeMap<AgentId, Arc<Record>>,
    pub(super) hosts: BTreeMap<NodeId, HostBeat>,
    /// Agents with a seat and no report yet, by their cluster's index.
    pub(super) unreported: BTreeMap<u32, u32>,
    /// All records in rising order of (score, agent), with what most queries ask for beside them.
    pub(super) order: Vec<Candidate>,
    pub(super) capabilities: Capabilities,
}

/// All sectors that a node knows in full, each at its own position.
#[derive(Clone, Debug, Default)]
pub struct RegistryView {
    sectors: BTreeMap<SectorId, Arc<SectorView>>,
}

impl SectorView {
    /// A sector of which nothing is known.
    #[must_use]
    pub const fn empty(sector: SectorId) -> Self {
        Self {
            sector,
            version: Fencing::NONE,
            records: BTreeMap::new(),
            hosts: BTreeMap::new(),
            unreported: BTreeMap::new(),
            order: Vec::new(),
            capabilities: Capabilities(0),
        }
    }

    /// The sector.
    #[must_use]
    pub const fn sector(&self) -> SectorId {
        self.sector
    }

    /// Position in the sector group up to which it counts.
    #[must_use]
    pub const fn version(&self) -> Fencing {
        self.version
    }

    /// One agent.
    #[must_use]
    pub fn get(&self, agent: AgentId) -> Option<&Arc<Record>> {
        self.records.get(&agent)
    }

    /// All agents that were reported, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.values()
    }

    /// When `host` was last heard of.
    #[must_use]
    pub fn host(&self, host: NodeId) -> Option<&HostBeat> {
        self.hosts.get(&host)
    }

    /// All hosts heard of, by id.
    pub fn hosts(&self) -> impl Iterator<Item = (NodeId, &HostBeat)> {
        self.hosts.iter().map(|(host, beat)| (*host, beat))
    }

    /// State of a record of this view at `now`: offline when its host is silent.
    #[must_use]
    pub fn state(&self, record: &Record, now: MeshTimeUs) -> AgentState {
        if self.hosts.get(&record.host).is_some_and(|beat| beat.is_live(now)) {
            record.state
        } else {
            AgentState::Offline
        }
    }

    /// Statistics of each cluster at `now`, by its index.
    #[must_use]
    pub fn cluster_summaries(&self, now: MeshTimeUs) -> BTreeMap<u32, Summary> {
        let mut clusters: BTreeMap<u32, Summary> = BTreeMap::new();
        for record in self.records.values() {
            clusters.entry(record.cluster.index).or_default().add(record, self.state(record, now));
        }
        for (cluster, agents) in &self.unreported {
            let summary = clusters.entry(*cluster).or_default();
            (0..*agents).for_each(|_| summary.add_unreported());
        }
        clusters
    }

    /// Statistics of the sector at `now`.
    #[must_use]
    pub fn summary(&self, now: MeshTimeUs) -> Summary {
        let mut sum = Summary::default();
        for summary in self.cluster_summaries(now).values() {
            sum.merge(summary);
        }
        sum
    }
}

impl RegistryView {
    /// Knows no sector.
    #[must_use]
    pub const fn new() -> Self {
        Self { sectors: BTreeMap::new() }
    }

    /// This view with one sector replaced; the others are shared. A sector never goes back to an older position.
    #[must_use]
    pub fn with_sector(&self, sector: Arc<SectorView>) -> Self {
        let mut sectors = self.sectors.clone();
        let old = sectors.get(&sector.sector);
        if old.is_none_or(|old| old.version <= sector.version) {
            sectors.insert(sector.sector, sector);
        }
        Self { sectors }
    }

    /// One sector.
    #[must_use]
    pub fn sector(&self, sector: SectorId) -> Option<&Arc<SectorView>> {
        self.sectors.get(&sector)
    }

    /// All sectors, by id.
    pub fn sectors(&self) -> impl Iterator<Item = &Arc<SectorView>> {
        self.sectors.values()
    }

    /// One agent, in whatever sector it is.
    #[must_use]
    pub fn get(&self, agent: AgentId) -> Option<&Arc<Record>> {
        self.sectors.values().find_map(|sector| sector.get(agent))
    }

    /// State of one agent at `now`.
    #[must_use]
    pub fn state(&self, agent: AgentId, now: MeshTimeUs) -> Option<AgentState> {
        let record = self.get(agent)?;
        self.sectors.get(&record.cluster.sector).map(|sector| sector.state(record, now))
    }

    /// Statistics of everything known here at `now`.
    #[must_use]
    pub fn summary(&self, now: MeshTimeUs) -> Summary {
        let mut sum = Summary::default();
        for sector in self.sectors.values() {
            sum.merge(&sector.summary(now));
        }
        sum
    }
}
