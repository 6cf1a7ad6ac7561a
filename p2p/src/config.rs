//! What a node is told at its start.

use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::identity::Keypair;

use crate::error::SpawnError;

/// Longest chain name, in bytes.
pub const MAX_CHAIN_NAME_BYTES: usize = 64;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportKind {
    /// TCP (and QUIC with the feature `quic`), encrypted by Noise, multiplexed by Yamux.
    #[default]
    Net,
    /// Memory of this process, for tests; the same encryption and multiplexing on top.
    Memory,
}

/// Bounds on connections and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Established connections, both directions.
    pub connections_max: u32,
    /// Established inbound connections.
    pub inbound_max: u32,
    /// Inbound connections still shaking hands.
    pub pending_inbound_max: u32,
    /// Dials under way.
    pub pending_outbound_max: u32,
    /// New connections are refused while the process holds more memory than this. Bytes, not a share of the machine:
    /// many nodes may share one.
    pub process_memory_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 128,
            inbound_max: 96,
            pending_inbound_max: 32,
            pending_outbound_max: 32,
            process_memory_bytes_max: 512 << 20,
        }
    }
}

/// The times that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Connections nobody uses are closed after this.
    pub idle_connection: Duration,
    /// Between two pings of a connection; also how long an answer may take.
    pub ping_interval: Duration,
    /// How long a dial or a handshake may take.
    pub handshake: Duration,
    /// How long a new peer may take to say which chain it is on.
    pub identify: Duration,
    /// First and longest delay between attempts to reach bootstrap and reserved peers.
    pub redial_first: Duration,
    /// See `redial_first`.
    pub redial_max: Duration,
    /// How long a peer with too many strikes, or of another chain, is refused.
    pub refusal: Duration,
    /// How long the application may take over a gossip verdict; gossip itself forgets a message after 5 heartbeats.
    pub verdict: Duration,
    /// Gossip's heartbeat.
    pub gossip_heartbeat: Duration,
    /// Between two looks for more peers, while there are fewer than wanted.
    pub discovery: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            idle_connection: Duration::from_secs(300),
            ping_interval: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            identify: Duration::from_secs(15),
            redial_first: Duration::from_millis(200),
            redial_max: Duration::from_secs(5),
            refusal: Duration::from_secs(60),
            verdict: Duration::from_secs(3),
            gossip_heartbeat: Duration::from_secs(3),
            discovery: Duration::from_secs(10),
        }
    }
}

/// The configuration of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Chain name; part of protocol names and of what peers tell each other. Name it so that two networks never share
    /// it, for example with some digits of the genesis hash.
    pub chain: String,
    /// The transport key pair.
    pub keypair: Keypair,
    /// Seed of all jitter. The only source of randomness besides the libraries' own.
    pub seed: u64,
    /// What carries the bytes.
    pub transport: TransportKind,
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// Where to find the network, with or without `/p2p/<peer>`; retried for ever.
    pub bootstrap: Vec<Multiaddr>,
    /// Look for more peers while fewer are connected than this; 0 turns discovery off.
    pub wanted_peers: usize,
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub timing: Timing,
}

impl Config {
    /// A node of `chain` that listens nowhere and knows nobody yet.
    #[must_use]
    pub fn new(chain: impl Into<String>, keypair: Keypair, seed: u64) -> Self {
        Self {
            chain: chain.into(),
            keypair,
            seed,
            transport: TransportKind::default(),
            listen: Vec::new(),
            bootstrap: Vec::new(),
            wanted_peers: 8,
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), SpawnError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let length = self.chain.len();
        if length == 0 || length > MAX_CHAIN_NAME_BYTES || !self.chain.chars().all(allowed) {
            return Err(SpawnError::ChainName { name: self.chain.clone(), max: MAX_CHAIN_NAME_BYTES });
        }
        Ok(())
    }

    /// What identify tells peers, and what it must hear from them.
    pub(crate) fn protocol_version(&self) -> String {
        format!("/mesh30k/{}/1", self.chain)
    }
}
