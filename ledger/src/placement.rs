//! Where nodes and agents go: the same answer on every machine.

use crate::execute::{Stop, Working};
use crate::parameters::Parameter;
use crate::records::{ClusterRecord, NodeRecord, SectorRecord};
use crate::state::{decode_record, keyspace};
use crate::types::{AgentId, ClusterId, NodeId, SectorId};

/// Voters of a sector's group, where the mesh has as many nodes.
pub const SECTOR_VOTERS: usize = 3;
/// Nodes looked at when voters are borrowed; far above the nodes a mesh has.
const MAX_NODES: usize = 100_000;

/// Places a node in the lowest sector with room for so many agents, else in a new one. The caller writes the node.
pub(crate) fn place_node(working: &mut Working<'_>, node: &mut NodeRecord, agents: u32) -> Result<SectorId, Stop> {
    let capacity = working.parameter(Parameter::SectorCapacity);
    let sectors = working.globals().counters.next_sector;
    for id in (0..sectors.0).map(SectorId) {
        let mut sector: SectorRecord = working.must_read(&keyspace::sector(id))?;
        if u64::from(sector.agents).saturating_add(u64::from(agents)) <= capacity {
            sector.nodes.push(node.id);
            working.write(keyspace::sector(id), &sector);
            node.sector = Some(id);
            return Ok(id);
        }
    }
    let voters = name_voters(working, node)?;
    let sector =
        SectorRecord { id: sectors, agents: 0, clusters: 0, last_cluster_agents: 0, nodes: vec![node.id], voters };
    working.write(keyspace::sector(sectors), &sector);
    working.globals_mut().counters.next_sector = sectors.next();
    node.sector = Some(sectors);
    Ok(sectors)
}

/// The sector's own node first, then those with the fewest seats, the lowest number first.
fn name_voters(working: &mut Working<'_>, own: &mut NodeRecord) -> Result<Vec<NodeId>, Stop> {
    let mut others: Vec<NodeRecord> = Vec::new();
    for (key, value) in working.scan(keyspace::NODES, MAX_NODES)? {
        others.push(decode_record(&key, &value)?);
    }
    others.retain(|node| node.id != own.id);
    others.sort_by_key(|node| (node.voter_seats, node.id));
    own.voter_seats = own.voter_seats.saturating_add(1);
    let mut voters = vec![own.id];
    for mut node in others.into_iter().take(SECTOR_VOTERS.saturating_sub(1)) {
        node.voter_seats = node.voter_seats.saturating_add(1);
        voters.push(node.id);
        working.write(keyspace::node(node.id), &node);
    }
    Ok(voters)
}

/// Seats agents in the sector's clusters in sequence; gives the cluster of each.
pub(crate) fn seat_agents(
    working: &mut Working<'_>,
    sector: SectorId,
    first: AgentId,
    count: u32,
) -> Result<Vec<ClusterId>, Stop> {
    let size = u32::try_from(working.parameter(Parameter::ClusterSize)).unwrap_or(u32::MAX);
    let key = keyspace::sector(sector);
    let mut record: SectorRecord = working.must_read(&key)?;
    let mut places = Vec::new();
    let mut agents = (first.0..first.0.saturating_add(u64::from(count))).map(AgentId).peekable();
    while agents.peek().is_some() {
        if record.clusters == 0 || record.last_cluster_agents >= size {
            record.clusters = record.clusters.saturating_add(1);
            record.last_cluster_agents = 0;
        }
        let id = ClusterId { sector, index: record.clusters.saturating_sub(1) };
        let cluster_key = keyspace::cluster(id);
        let mut cluster: ClusterRecord =
            working.read(&cluster_key)?.unwrap_or_else(|| ClusterRecord { id, agents: Vec::new() });
        let room = usize::try_from(size.saturating_sub(record.last_cluster_agents)).unwrap_or(0);
        for agent in agents.by_ref().take(room) {
            cluster.agents.push(agent);
            record.last_cluster_agents = record.last_cluster_agents.saturating_add(1);
            places.push(id);
        }
        working.write(cluster_key, &cluster);
    }
    record.agents = record.agents.saturating_add(count);
    working.write(key, &record);
    Ok(places)
}
