//! Who is where: nodes, agents, clusters and sectors as the ledger has them, in memory for everybody to read.

mod agent_table;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{AgentRecord, ClusterRecord, NodeRecord, SectorRecord};
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::topology::TopologyChanges;
use mesh30k_ledger::types::{AgentId, ClusterId, NodeId, SectorId};
use mesh30k_p2p::{Multiaddr, PeerId};

pub use self::agent_table::AgentTable;

/// Records read at a time.
const PAGE: usize = 1_024;

/// A node with the network identity that its transport key stands for.
#[derive(Clone, Debug)]
pub struct RosterNode {
    /// What the ledger says.
    pub record: NodeRecord,
    /// Its libp2p identity.
    pub peer: PeerId,
}

impl RosterNode {
    /// Its addresses that can be read.
    pub fn addresses(&self) -> impl Iterator<Item = Multiaddr> {
        self.record.addresses.iter().filter_map(|text| text.parse().ok())
    }
}

/// One reading of the ledger's topology.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// Nodes by number.
    pub nodes: BTreeMap<NodeId, RosterNode>,
    /// Agents by number.
    pub agents: AgentTable,
    /// Sectors by number.
    pub sectors: BTreeMap<SectorId, SectorRecord>,
    /// Clusters.
    pub clusters: BTreeMap<ClusterId, ClusterRecord>,
    by_peer: BTreeMap<PeerId, NodeId>,
}

impl Roster {
    /// Reads the topology from state.
    ///
    /// # Errors
    /// State that can't be read.
    pub fn read(state: &dyn StateRead) -> Result<Self, StateError> {
        let mut roster = Self::default();
        query::nodes(state)?.into_iter().for_each(|record| roster.set_node(record));
        let mut from = AgentId(0);
        loop {
            let page = query::agents(state, from, PAGE)?;
            let Some(last) = page.last() else { break };
            from = last.id.next();
            page.into_iter().for_each(|agent| roster.agents.insert(agent));
        }
        for sector in query::sectors(state)? {
            for cluster in query::clusters(state, sector.id)? {
                roster.clusters.insert(cluster.id, cluster);
            }
            roster.sectors.insert(sector.id, sector);
        }
        Ok(roster)
    }

    /// The roster after a block that made these changes, none of which removes anything.
    #[must_use]
    pub fn with(&self, changes: &TopologyChanges) -> Self {
        let mut roster = self.clone();
        changes.nodes.iter().for_each(|record| roster.set_node(record.clone()));
        changes.agents.iter().for_each(|agent| roster.agents.insert(*agent));
        roster.sectors.extend(changes.sectors.iter().map(|sector| (sector.id, sector.clone())));
        roster.clusters.extend(changes.clusters.iter().map(|cluster| (cluster.id, cluster.clone())));
        roster
    }

    fn set_node(&mut self, record: NodeRecord) {
        let Some(peer) = peer_of(&record.transport_key) else {
            tracing::warn!(node = %record.id, "a node's transport key on the ledger is no Ed25519 key; it can't be reached");
            return;
        };
        if let Some(known) = self.nodes.get(&record.id) {
            self.by_peer.remove(&known.peer);
        }
        self.by_peer.insert(peer, record.id);
        self.nodes.insert(record.id, RosterNode { record, peer });
    }

    /// The clusters of a sector.
    pub fn clusters_of(&self, sector: SectorId) -> impl Iterator<Item = &ClusterRecord> {
        let (first, last) = (ClusterId { sector, index: 0 }, ClusterId { sector, index: u32::MAX });
        self.clusters.range(first..=last).map(|(_, cluster)| cluster)
    }

    /// The node behind a network identity.
    #[must_use]
    pub fn node_of(&self, peer: &PeerId) -> Option<NodeId> {
        self.by_peer.get(peer).copied()
    }

    /// The network identity of a node.
    #[must_use]
    pub fn peer_of(&self, node: NodeId) -> Option<PeerId> {
        self.nodes.get(&node).map(|node| node.peer)
    }

    /// Agents hosted by a node.
    pub fn hosted_by(&self, node: NodeId) -> impl Iterator<Item = &AgentRecord> {
        let ranges = self.nodes.get(&node).map(|node| node.record.agents.as_slice()).unwrap_or_default();
        ranges.iter().flat_map(|range| range.iter()).filter_map(|agent| self.agents.get(&agent))
    }
}

/// The network identity of a transport key as the ledger holds it.
#[must_use]
pub fn peer_of(transport_key: &[u8]) -> Option<PeerId> {
    let key: [u8; 32] = transport_key.try_into().ok()?;
    mesh30k_p2p::peer_id_of(&key).ok()
}

/// The latest roster; readers never wait for the writer.
#[derive(Clone, Debug, Default)]
pub struct SharedRoster(Arc<ArcSwap<Roster>>);

impl SharedRoster {
    /// The latest reading.
    #[must_use]
    pub fn load(&self) -> Arc<Roster> {
        self.0.load_full()
    }

    /// Replaces it.
    pub fn store(&self, roster: Roster) {
        self.0.store(Arc::new(roster));
    }
}
