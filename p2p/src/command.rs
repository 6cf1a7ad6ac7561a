//! What handles and lane tasks tell the swarm task.

use bytes::Bytes;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;

use crate::error::{CommandError, PublishError};
use crate::gossip::{Token, Verdict};

/// Commands that may wait for the swarm task.
pub const COMMAND_QUEUE: usize = 1024;

pub(crate) enum Command {
    /// A lane wants a connection; the outcome shows in the directory.
    Connect(PeerId),
    Dial {
        address: Multiaddr,
        outcome: oneshot::Sender<Result<(), CommandError>>,
    },
    AddAddress {
        peer: PeerId,
        address: Multiaddr,
    },
    Disconnect(PeerId),
    Reserve {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    },
    Unreserve(PeerId),
    Listen {
        address: Multiaddr,
        outcome: oneshot::Sender<Result<(), CommandError>>,
    },
    Subscribe {
        topic: String,
        outcome: oneshot::Sender<Result<(), CommandError>>,
    },
    Unsubscribe {
        topic: String,
    },
    Publish {
        topic: String,
        data: Bytes,
        outcome: Option<oneshot::Sender<Result<(), PublishError>>>,
    },
    Validate {
        token: Token,
        verdict: Verdict,
    },
}

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Bytes that are no frame.
    Garbage,
    /// A frame that is out of place.
    Unexpected,
    /// The stream ended within a frame; a fault only if the connection lives on.
    Truncated,
}

/// A lane task's complaint about a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) peer: PeerId,
    pub(crate) violation: Violation,
}
