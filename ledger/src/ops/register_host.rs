//! Registration of a node and of the agents it hosts.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::keys::PublicKey;
use crate::types::{AgentClass, Hash, Region};

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

    /// The ability of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map(|(bit, _)| bit)
    }
}
