//! What a block changes of nodes, agents, sectors and clusters: so that who keeps them in memory need not read all of them
//! again after every registration.

use crate::records::{AgentRecord, ClusterRecord, NodeRecord, SectorRecord};
use crate::state::{ChangeSet, StateError, decode_record, keyspace};

/// The records of the topology that a change set writes, each kind in order of its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopologyChanges {
    /// Nodes, new or changed.
    pub nodes: Vec<NodeRecord>,
    /// Agents, new or changed.
    pub agents: Vec<AgentRecord>,
    /// Sectors, new or changed.
    pub sectors: Vec<SectorRecord>,
    /// Clusters, new or changed.
    pub clusters: Vec<ClusterRecord>,
    /// A record of the topology goes away; which one does not matter, for who sees this reads everything again.
    pub removes: bool,
}

impl TopologyChanges {
    /// Whether the topology stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What `changes` write of the topology.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] when a record is not what its key says.
    pub fn of(changes: &ChangeSet) -> Result<Self, StateError> {
        let mut topology = Self::default();
        let prefix = [keyspace::TOPOLOGY];
        for (key, value) in changes.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(&prefix)) {
            topology.note(key, value.as_deref())?;
        }
        Ok(topology)
    }

    fn note(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StateError> {
        let kinds = [keyspace::NODES, keyspace::AGENTS, keyspace::SECTORS, keyspace::CLUSTERS];
        let Some(kind) = kinds.into_iter().find(|kind| key.starts_with(kind)) else { return Ok(()) };
        let Some(bytes) = value else {
            self.removes = true;
            return Ok(());
        };
        match kind {
            keyspace::NODES => self.nodes.push(decode_record(key, bytes)?),
            keyspace::AGENTS => self.agents.push(decode_record(key, bytes)?),
            keyspace::SECTORS => self.sectors.push(decode_record(key, bytes)?),
            _ => self.clusters.push(decode_record(key, bytes)?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;
    use crate::types::{ClusterId, NodeId, SectorId};

    fn sector(id: u32) -> SectorRecord {
        let nodes = vec![NodeId(1)];
        SectorRecord {
            id: SectorId(id),
            agents: 3,
            clusters: 1,
            last_cluster_agents: 3,
            nodes,
            voters: vec![NodeId(1)],
        }
    }

    #[test]
    fn only_records_of_the_topology_are_taken_and_removals_are_noticed() {
        let cluster = ClusterRecord { id: ClusterId { sector: SectorId(2), index: 1 }, agents: Vec::new() };
        let mut changes = ChangeSet::from([
            (keyspace::sector(SectorId(2)), Some(encode(&sector(2)))),
            (keyspace::sector(SectorId(1)), Some(encode(&sector(1)))),
            (keyspace::cluster(cluster.id), Some(encode(&cluster))),
            (keyspace::agent_of_key(&[7; 32]), Some(vec![1])),
            (b"aa".to_vec(), Some(vec![2])),
            (b"zz".to_vec(), None),
        ]);
        let found = TopologyChanges::of(&changes).unwrap();
        let expected =
            TopologyChanges { sectors: vec![sector(1), sector(2)], clusters: vec![cluster], ..Default::default() };
        assert_eq!(found, expected);
        changes.insert(keyspace::node(NodeId(4)), None);
        assert!(TopologyChanges::of(&changes).unwrap().removes);
        changes.insert(keyspace::node(NodeId(4)), Some(vec![1, 2]));
        assert!(TopologyChanges::of(&changes).is_err());
        assert!(TopologyChanges::of(&ChangeSet::new()).unwrap().is_empty());
    }
}
