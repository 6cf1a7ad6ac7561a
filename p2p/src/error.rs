//! What this crate refuses, one type per kind of call.

use std::time::Duration;

use libp2p::{Multiaddr, PeerId, identity};

/// Why a transport identity was refused.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The seed is not an ed25519 secret key.
    #[error("transport seed is not an ed25519 secret key")]
    Seed(#[source] identity::DecodingError),
    /// The bytes are not an ed25519 public key.
    #[error("transport key is not an ed25519 public key")]
    PublicKey(#[source] identity::DecodingError),
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Called outside a tokio runtime.
    #[error("p2p::spawn needs a running tokio runtime")]
    NoRuntime,
    /// The chain name cannot be part of protocol names.
    #[error("chain name {name:?} is refused: 1 to {max} letters, digits, '-', '_' or '.'")]
    ChainName {
        /// The refused name.
        name: String,
        /// Longest name allowed.
        max: usize,
    },
    /// The transport could not be built.
    #[error("transport could not be built")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Gossip settings contradict each other.
    #[error("gossip configuration is refused: {0}")]
    Gossip(String),
    /// The node cannot listen where it was told to, for example because the port is in use.
    #[error("cannot listen on {address}")]
    Listen {
        /// The refused address.
        address: Multiaddr,
        /// What the transport said.
        #[source]
        source: libp2p::TransportError<std::io::Error>,
    },
}

/// Why a command did not reach the swarm task or was refused by it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The node was shut down.
    #[error("the network task has ended")]
    Closed,
    /// The command queue is full.
    #[error("the network task's queue of {max} commands is full")]
    QueueFull {
        /// Its capacity.
        max: usize,
    },
    /// The address was refused by the transport.
    #[error("address {address} is refused")]
    Listen {
        /// The refused address.
        address: Multiaddr,
        /// What the transport said.
        #[source]
        source: libp2p::TransportError<std::io::Error>,
    },
    /// The dial did not start.
    #[error("dial is refused: {reason}")]
    Dial {
        /// What the swarm said.
        reason: String,
    },
    /// The topic name is not allowed.
    #[error("topic {topic:?} is refused")]
    Topic {
        /// The refused name.
        topic: String,
    },
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The command did not get through.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The message is longer than gossip carries.
    #[error("message of {bytes} bytes exceeds the {max} bytes gossip carries")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Gossip did not take it: no subscribed peers, full queues, or published before.
    #[error("gossip did not take the message")]
    Gossip(#[source] libp2p::gossipsub::PublishError),
}

/// Why a request has no answer. Only [`RequestError::Lost`] and [`RequestError::Timeout`] leave open whether the
/// other side acted on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No connection to the peer could be made.
    #[error("peer {peer} is unreachable")]
    Unreachable {
        /// The peer.
        peer: PeerId,
    },
    /// The peer does not serve this lane.
    #[error("peer {peer} does not serve lane {lane}")]
    Unsupported {
        /// The peer.
        peer: PeerId,
        /// The lane.
        lane: &'static str,
    },
    /// No answer came in time.
    #[error("no answer on lane {lane} from {peer} within {after:?}")]
    Timeout {
        /// The peer.
        peer: PeerId,
        /// The lane.
        lane: &'static str,
        /// The time that was given.
        after: Duration,
    },
    /// The other side's inbox is full or has too many requests of ours in work.
    #[error("peer is busy")]
    Busy,
    /// The other side answered that it will not.
    #[error("peer refused: {reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
    /// Our own queue to this peer and lane is full.
    #[error("queue of lane {lane} to {peer} is full")]
    QueueFull {
        /// The peer.
        peer: PeerId,
        /// The lane.
        lane: &'static str,
    },
    /// The body is longer than the lane carries.
    #[error("body of {bytes} bytes exceeds the {max} bytes lane {lane} carries")]
    TooLarge {
        /// The lane.
        lane: &'static str,
        /// The body's length.
        bytes: usize,
        /// The lane's limit.
        max: usize,
    },
    /// The stream broke while the request was under way.
    #[error("the stream broke while the request was under way")]
    Lost,
    /// The peer is this node itself.
    #[error("a node does not talk to itself")]
    ToSelf,
    /// The node was shut down.
    #[error("the network task has ended")]
    Closed,
}

/// Why a notice was not queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// The queue to this peer and lane is full; the notice was dropped and counted.
    #[error("queue of lane {lane} to {peer} is full")]
    QueueFull {
        /// The peer.
        peer: PeerId,
        /// The lane.
        lane: &'static str,
    },
    /// The body is longer than the lane carries.
    #[error("body of {bytes} bytes exceeds the {max} bytes lane {lane} carries")]
    TooLarge {
        /// The lane.
        lane: &'static str,
        /// The body's length.
        bytes: usize,
        /// The lane's limit.
        max: usize,
    },
    /// The peer is this node itself.
    #[error("a node does not talk to itself")]
    ToSelf,
    /// The node was shut down.
    #[error("the network task has ended")]
    Closed,
}

/// Why a lane is not served.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Somebody in this process already serves the lane.
    #[error("lane {lane} is already served")]
    Taken {
        /// The lane.
        lane: &'static str,
    },
    /// The node was shut down.
    #[error("the network task has ended")]
    Closed,
}
