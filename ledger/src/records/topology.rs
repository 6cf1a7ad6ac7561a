//! Nodes, agents, sectors, clusters.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::keys::PublicKey;
use crate::ops::Capabilities;
use crate::types::{AccountId, AgentClass, AgentId, ClusterId, Hash, NodeId, Region, SectorId, TimeMs};

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its number.
    pub id: NodeId,
    /// Its peer id in bytes.
    #[serde(with = "crate::records::hex_bytes")]
    pub transport_key: Vec<u8>,
    /// Its account.
    pub account: AccountId,
    /// Signs host batches and task receipts.
    pub host_key: PublicKey,
    /// Random name of its data directory.
    pub store_id: Hash,
    /// Where to dial it.
    pub addresses: Vec<String>,
    /// Where its electricity comes from.
    pub region: Region,
    /// Attested on-site or contracted renewable share, parts per million.
    pub renewable_ppm: u32,
    /// Its sector, once it hosts agents.
    pub sector: Option<SectorId>,
    /// Sector groups it votes in.
    pub voter_seats: u32,
    /// Its agents.
    pub agents: Vec<AgentRange>,
}

/// Agents with successive numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AgentRange {
    /// The first.
    pub first: AgentId,
    /// How many.
    pub count: u32,
}

impl AgentRange {
    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = AgentId> {
        (self.first.0..self.first.0.saturating_add(u64::from(self.count))).map(AgentId)
    }
}

/// An agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Its number.
    pub id: AgentId,
    /// Signs its receipts.
    pub key: PublicKey,
    /// Its class.
    pub class: AgentClass,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its host.
    pub node: NodeId,
    /// Where it was placed.
    pub cluster: ClusterId,
}

/// A sector.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SectorRecord {
    /// Its number.
    pub id: SectorId,
    /// Agents in it.
    pub agents: u32,
    /// Clusters in it; the last may have room.
    pub clusters: u32,
    /// Agents in the last cluster.
    pub last_cluster_agents: u32,
    /// Nodes placed in it, in order of arrival.
    pub nodes: Vec<NodeId>,
    /// Voters of its group, as named when it first appeared.
    pub voters: Vec<NodeId>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Its place.
    pub id: ClusterId,
    /// Its agents in order.
    pub agents: Vec<AgentId>,
}

/// What an account has sponsored in the running minute of block time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Sponsorship {
    /// When the minute began.
    pub since: TimeMs,
    /// Registrations in it.
    pub count: u64,
}

/// Bytes as hexadecimal text.
pub(crate) mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
