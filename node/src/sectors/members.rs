//! What the ledger's roster says of a sector: seats, who may lead, whose home lead is where. Pure.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_core::registry::AgentSeat;
use mesh30k_ledger::types::{ClusterId, NodeId, SectorId};

use crate::roster::Roster;

/// Hosts of each cluster of a sector with the number of their agents in it.
pub type ClusterHosts = BTreeMap<ClusterId, BTreeMap<NodeId, u32>>;

/// The agents of a sector as the ledger has them.
#[must_use]
pub fn seats(roster: &Roster, sector: SectorId) -> Vec<AgentSeat> {
    let here = roster.clusters_of(sector);
    let agents = here.flat_map(|cluster| &cluster.agents).filter_map(|agent| roster.agents.get(agent));
    agents
        .filter_map(|agent| {
            let host = roster.nodes.get(&agent.node)?;
            Some(AgentSeat {
                agent: agent.id,
                class: agent.class,
                host: agent.node,
                cluster: agent.cluster,
                capabilities: agent.capabilities,
                region: host.record.region,
            })
        })
        .collect()
}

/// Who may lead the clusters of a sector: their hosts, and beside them the sector's nodes and voters.
#[must_use]
pub(super) fn candidates(roster: &Roster, sector: SectorId) -> (ClusterHosts, BTreeSet<NodeId>) {
    let mut clusters = ClusterHosts::new();
    for seat in seats(roster, sector) {
        let agents = clusters.entry(seat.cluster).or_default().entry(seat.host).or_insert(0);
        *agents = agents.saturating_add(1);
    }
    let record = roster.sectors.get(&sector);
    let others = record.into_iter().flat_map(|record| record.nodes.iter().chain(&record.voters)).copied().collect();
    (clusters, others)
}

/// The cluster whose lead is the home lead of `host` in `sector`: that of its first agent there.
#[must_use]
pub fn home_cluster(roster: &Roster, host: NodeId, sector: SectorId) -> Option<ClusterId> {
    roster.hosted_by(host).map(|agent| agent.cluster).find(|cluster| cluster.sector == sector)
}

/// The hosts whose home cluster is `cluster`.
#[must_use]
pub fn home_hosts(roster: &Roster, cluster: ClusterId) -> BTreeSet<NodeId> {
    let agents = roster.clusters.get(&cluster).map(|record| record.agents.as_slice()).unwrap_or_default();
    let hosts: BTreeSet<NodeId> =
        agents.iter().filter_map(|agent| roster.agents.get(agent)).map(|agent| agent.node).collect();
    hosts.into_iter().filter(|host| home_cluster(roster, *host, cluster.sector) == Some(cluster)).collect()
}

/// The voters of a sector's group.
#[must_use]
pub fn voters(roster: &Roster, sector: SectorId) -> &[NodeId] {
    roster.sectors.get(&sector).map(|record| record.voters.as_slice()).unwrap_or_default()
}

/// Whether some node of a sector does not vote in it: then news of it must go out by gossip.
#[must_use]
pub(super) fn has_followers(roster: &Roster, sector: SectorId) -> bool {
    let record = roster.sectors.get(&sector);
    record.is_some_and(|record| record.nodes.iter().any(|node| !record.voters.contains(node)))
}

/// The sectors in whose groups `node` votes.
pub fn voted_by(roster: &Roster, node: NodeId) -> impl Iterator<Item = SectorId> {
    roster.sectors.values().filter(move |record| record.voters.contains(&node)).map(|record| record.id)
}

/// The sectors that `node` keeps in full: its own, those of its agents and those it votes in.
#[must_use]
pub fn kept_by(roster: &Roster, node: NodeId) -> BTreeSet<SectorId> {
    let own = roster.nodes.get(&node).and_then(|node| node.record.sector);
    let hosted = roster.hosted_by(node).map(|agent| agent.cluster.sector);
    own.into_iter().chain(hosted).chain(voted_by(roster, node)).collect()
}
