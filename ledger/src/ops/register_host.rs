//! Registration of a node and of the agents it hosts.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::keys::PublicKey;
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::placement;
use crate::quota;
use crate::records::{AgentRange, AgentRecord, CapabilityRecord, NodeRecord, Sponsorship};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, AgentClass, AgentId, ClusterId, Hash, NodeId, Region, SectorId};

/// Agents in one transaction, at most.
pub const MAX_AGENTS_PER_BATCH: usize = 512;
/// Addresses of a node, at most.
pub const MAX_ADDRESSES: usize = 4;
/// Bytes of one address, at most.
pub const MAX_ADDRESS_BYTES: usize = 128;
/// Bytes of a transport key, at most.
pub const MAX_TRANSPORT_KEY_BYTES: usize = 64;

/// Registers the account's node (the first time) and agents on it (then and later). One node an account.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RegisterHost {
    /// The node, the first time.
    pub node: Option<NodeRegistration>,
    /// At most [`MAX_AGENTS_PER_BATCH`]; get ids in this order.
    pub agents: Vec<AgentRegistration>,
}

/// What a node says about itself.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct NodeRegistration {
    /// Its peer id in bytes, at most [`MAX_TRANSPORT_KEY_BYTES`].
    #[serde(with = "crate::records::hex_bytes")]
    pub transport_key: Vec<u8>,
    /// Signs host batches and task receipts; usually the account's key.
    pub host_key: PublicKey,
    /// Random name of its data directory.
    pub store_id: Hash,
    /// Where to dial it: at most [`MAX_ADDRESSES`] of [`MAX_ADDRESS_BYTES`].
    pub addresses: Vec<String>,
    /// Where its electricity comes from.
    pub region: Region,
}

/// What is said about one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AgentRegistration {
    /// Signs its receipts.
    pub key: PublicKey,
    /// Its class.
    pub class: AgentClass,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// A set of abilities, one a bit.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Reads sensors.
    pub const SENSE: Self = Self(1);
    /// Moves something in the world.
    pub const ACTUATE: Self = Self(1 << 1);
    /// Runs wasm tasks.
    pub const COMPUTE: Self = Self(1 << 2);
    /// Runs a language model.
    pub const INFER: Self = Self(1 << 3);
    /// Keeps data.
    pub const STORE: Self = Self(1 << 4);
    /// Forwards for others.
    pub const RELAY: Self = Self(1 << 5);
    /// A person who reviews.
    pub const REVIEW: Self = Self(1 << 6);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::SENSE, "sense"),
        (Self::ACTUATE, "actuate"),
        (Self::COMPUTE, "compute"),
        (Self::INFER, "infer"),
        (Self::STORE, "store"),
        (Self::RELAY, "relay"),
        (Self::REVIEW, "review"),
    ];

    /// Both together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has all of these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of those that have one.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, name)| name)
    }

    /// Every one that has a name.
    pub const ALL: Self = Self((1 << 7) - 1);

    /// Whether each of them has a name.
    pub(crate) const fn is_known(self) -> bool {
        Self::ALL.contains(self)
    }

    /// Refuses anything but one of those that have a name.
    pub(crate) fn must_be_one(self) -> Result<(), Rejection> {
        if self.each().count() == 1 && self.is_known() {
            return Ok(());
        }
        Err(Rejection::BadCapability { found: self.0, known: Self::ALL.0 })
    }

    /// Each of them, those that have a name.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> {
        Self::NAMES.into_iter().map(|(bit, _)| bit).filter(move |bit| self.contains(*bit))
    }

    /// The ability of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map(|(bit, _)| bit)
    }
}

/// The window in which sponsored registrations are counted.
const SPONSOR_WINDOW_MS: u64 = 60_000;

impl NodeRegistration {
    /// Whether every field is within its limits.
    pub(crate) fn check(&self) -> Result<(), Rejection> {
        within("transport key (bytes)", self.transport_key.len() as u64, 1, MAX_TRANSPORT_KEY_BYTES as u64)?;
        within("addresses", self.addresses.len() as u64, 0, MAX_ADDRESSES as u64)?;
        for address in &self.addresses {
            within("address (bytes)", address.len() as u64, 1, MAX_ADDRESS_BYTES as u64)?;
        }
        Ok(())
    }
}

impl RegisterHost {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let min = u64::from(self.node.is_none());
        within("agents", self.agents.len() as u64, min, MAX_AGENTS_PER_BATCH as u64)?;
        if let Some(sponsor) = call.signed.tx.sponsor {
            count_sponsorship(working, &sponsor)?;
        }
        let owned: Option<NodeId> = working.read(&keyspace::node_of_account(&call.account))?;
        let mut node = match (&self.node, owned) {
            (Some(_), Some(node)) => return Err(Rejection::NodeExists { account: call.account, node }.into()),
            (Some(registration), None) => create_node(working, call.account, registration, 0)?,
            (None, Some(node)) => working.must_read(&keyspace::node(node))?,
            (None, None) => return Err(Rejection::NodeMissing(call.account).into()),
        };
        let first_agent = self.add_agents(working, &mut node)?;
        working.write(keyspace::node(node.id), &node);
        let agents = u32::try_from(self.agents.len()).unwrap_or(u32::MAX);
        Ok(Effect::HostRegistered { node: node.id, first_agent, agents, sector: node.sector })
    }

    fn add_agents(&self, working: &mut Working<'_>, node: &mut NodeRecord) -> Result<Option<AgentId>, Stop> {
        let Ok(count @ 1..) = u32::try_from(self.agents.len()) else {
            return Ok(None);
        };
        for agent in &self.agents {
            if let Some(taken) = working.read(&keyspace::agent_of_key(&agent.key.0))? {
                return Err(Rejection::AgentKeyTaken { key: agent.key, agent: taken }.into());
            }
            // Written at once, so that a key standing twice in one batch is found too.
            working.write(keyspace::agent_of_key(&agent.key.0), &working.globals().counters.next_agent.clone());
        }
        let sector = match node.sector {
            Some(sector) => sector,
            None => placement::place_node(working, node, count)?,
        };
        self.write_agents(working, node, sector, count).map(Some)
    }

    /// More agents offer what they can do.
    fn count_capabilities(&self, working: &mut Working<'_>) -> Result<(), Stop> {
        let all = self.agents.iter().fold(Capabilities::default(), |all, agent| all.union(agent.capabilities));
        for capability in all.each() {
            let mut record = capability_now(working, capability)?;
            let agents = self.agents.iter().filter(|agent| agent.capabilities.contains(capability)).count();
            record.agents = record.agents.saturating_add(agents as u64);
            working.write(keyspace::capability(capability), &record);
        }
        Ok(())
    }

    fn write_agents(
        &self,
        working: &mut Working<'_>,
        node: &mut NodeRecord,
        sector: SectorId,
        count: u32,
    ) -> Result<AgentId, Stop> {
        let first = working.globals().counters.next_agent;
        let places: Vec<ClusterId> = placement::seat_agents(working, sector, first, count)?;
        let mut id = first;
        for (agent, cluster) in self.agents.iter().zip(places) {
            let record = AgentRecord {
                id,
                key: agent.key,
                class: agent.class,
                capabilities: agent.capabilities,
                node: node.id,
                cluster,
            };
            working.write(keyspace::agent(id), &record);
            working.write(keyspace::agent_of_key(&agent.key.0), &id);
            id = id.next();
        }
        working.globals_mut().counters.next_agent = id;
        self.count_capabilities(working)?;
        quota::allocate(working, &node.account, &self.agents)?;
        match node.agents.last_mut().filter(|range| range.first.0.checked_add(u64::from(range.count)) == Some(first.0))
        {
            Some(range) => range.count = range.count.saturating_add(count),
            None => node.agents.push(AgentRange { first, count }),
        }
        Ok(first)
    }
}

/// A capability's price and use at the block's time.
pub(super) fn capability_now(working: &Working<'_>, capability: Capabilities) -> Result<CapabilityRecord, Stop> {
    let parameters = &working.chain.parameters;
    let record: Option<CapabilityRecord> = working.read(&keyspace::capability(capability))?;
    Ok(record.unwrap_or_else(|| CapabilityRecord::new(working.now, parameters)).at(working.now, parameters))
}

/// Gives a node its number and its indexes; the caller writes the record.
pub(crate) fn create_node(
    working: &mut Working<'_>,
    account: AccountId,
    registration: &NodeRegistration,
    renewable_ppm: u32,
) -> Result<NodeRecord, Stop> {
    registration.check()?;
    let id = working.globals().counters.next_node;
    let store = keyspace::node_of_store(&registration.store_id);
    let transport = keyspace::node_of_transport(&registration.transport_key);
    for (field, key) in [("transport key", &transport), ("store id", &store)] {
        if let Some(node) = working.read(key)? {
            return Err(Rejection::NodeKeyTaken { field: field.into(), node }.into());
        }
    }
    for key in [store, transport, keyspace::node_of_account(&account)] {
        working.write(key, &id);
    }
    working.globals_mut().counters.next_node = id.next();
    Ok(NodeRecord {
        id,
        transport_key: registration.transport_key.clone(),
        account,
        host_key: registration.host_key,
        store_id: registration.store_id,
        addresses: registration.addresses.clone(),
        region: registration.region,
        renewable_ppm,
        sector: None,
        voter_seats: 0,
        agents: Vec::new(),
    })
}

fn count_sponsorship(working: &mut Working<'_>, sponsor: &AccountId) -> Result<(), Stop> {
    let key = keyspace::sponsorship(sponsor);
    let limit = working.parameter(Parameter::SponsoredPerMinute);
    let mut window: Sponsorship = working.read(&key)?.unwrap_or_default();
    if working.now.since_ms(window.since) >= SPONSOR_WINDOW_MS {
        window = Sponsorship { since: working.now, count: 0 };
    }
    if window.count >= limit {
        return Err(Rejection::SponsorLimit { sponsor: *sponsor, limit }.into());
    }
    window.count = window.count.saturating_add(1);
    working.write(key, &window);
    Ok(())
}
