//! Immutable views of the registry: a reader holds one as long as it likes and never waits for a writer.

use super::membership::Membership;
use super::places::Places;
use super::rankings::Rankings;
use super::row::Row;
use super::{AgentState, Record, Summary};
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
    pub(super) membership: Arc<Membership>,
    /// By slot, see [`Membership`].
    pub(super) records: Vec<Arc<Record>>,
    /// By slot.
    pub(super) rows: Vec<Row>,
    pub(super) rankings: Rankings,
    /// In rising order.
    pub(super) hosts: Vec<(NodeId, HostBeat)>,
    /// Agents with a seat and no report yet, by their cluster's index.
    pub(super) unreported: Arc<BTreeMap<u32, u32>>,
}

/// All sectors that a node knows in full, each at its own position.
#[derive(Clone, Debug, Default)]
pub struct RegistryView {
    sectors: BTreeMap<SectorId, Arc<SectorView>>,
    places: Arc<Places>,
}

impl SectorView {
    /// A sector of which nothing is known.
    #[must_use]
    pub fn empty(sector: SectorId) -> Self {
        Self {
            sector,
            version: Fencing::NONE,
            membership: Arc::default(),
            records: Vec::new(),
            rows: Vec::new(),
            rankings: Rankings::default(),
            hosts: Vec::new(),
            unreported: Arc::default(),
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
        self.records.get(self.membership.slot(agent)?)
    }

    /// All agents that were reported, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter()
    }

    /// When `host` was last heard of.
    #[must_use]
    pub fn host(&self, host: NodeId) -> Option<&HostBeat> {
        self.hosts.get(self.host_place(host)?).map(|(_, beat)| beat)
    }

    /// All hosts heard of, by id.
    pub fn hosts(&self) -> impl Iterator<Item = (NodeId, &HostBeat)> {
        self.hosts.iter().map(|(host, beat)| (*host, beat))
    }

    /// State of a record of this view at `now`: offline when its host is silent.
    #[must_use]
    pub fn state(&self, record: &Record, now: MeshTimeUs) -> AgentState {
        if self.host(record.host).is_some_and(|beat| beat.is_live(now)) { record.state } else { AgentState::Offline }
    }

    pub(super) fn host_place(&self, host: NodeId) -> Option<usize> {
        self.hosts.binary_search_by_key(&host, |(known, _)| *known).ok()
    }

    /// State of the agent of a row, as [`Self::state`].
    pub(super) fn row_state(&self, row: &Row, now: MeshTimeUs) -> AgentState {
        let beat = self.hosts.get(row.host as usize).map(|(_, beat)| beat);
        if beat.is_some_and(|beat| beat.is_live(now)) { row.state } else { AgentState::Offline }
    }

    /// All records with their states at `now`.
    fn with_states(&self, now: MeshTimeUs) -> impl Iterator<Item = (&Arc<Record>, AgentState)> {
        self.records.iter().zip(&self.rows).map(move |(record, row)| (record, self.row_state(row, now)))
    }

    /// Statistics of each cluster at `now`, by its index.
    #[must_use]
    pub fn cluster_summaries(&self, now: MeshTimeUs) -> BTreeMap<u32, Summary> {
        let mut clusters: BTreeMap<u32, Summary> = BTreeMap::new();
        for (record, state) in self.with_states(now) {
            clusters.entry(record.cluster.index).or_default().add(record, state);
        }
        for (cluster, agents) in self.unreported.iter() {
            clusters.entry(*cluster).or_default().add_unreported(*agents);
        }
        clusters
    }

    /// Statistics of the sector at `now`.
    #[must_use]
    pub fn summary(&self, now: MeshTimeUs) -> Summary {
        let mut sum = Summary::default();
        for (record, state) in self.with_states(now) {
            sum.add(record, state);
        }
        self.unreported.values().for_each(|agents| sum.add_unreported(*agents));
        sum
    }
}

impl RegistryView {
    /// Knows no sector.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This view with one sector replaced; the others are shared. A sector never goes back to an older position.
    #[must_use]
    pub fn with_sector(&self, sector: Arc<SectorView>) -> Self {
        let old = self.sectors.get(&sector.sector);
        if old.is_some_and(|old| old.version > sector.version) {
            return self.clone();
        }
        let is_same = old.is_some_and(|old| Arc::ptr_eq(&old.membership, &sector.membership));
        let places = if is_same { Arc::clone(&self.places) } else { Arc::new(self.places.with_sector(&sector)) };
        let mut sectors = self.sectors.clone();
        sectors.insert(sector.sector, sector);
        Self { sectors, places }
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
        self.places.of(agent).find_map(|sector| self.sectors.get(&sector)?.get(agent))
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
