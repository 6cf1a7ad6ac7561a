//! Lanes: request/response and one-way notices over long-lived streams.
//!
//! One outbound stream per (peer, lane), opened when first needed and reopened after a failure; whoever serves a lane
//! gets an [`Inbox`]. Order holds within one stream only.

pub(crate) mod frame;
pub(crate) mod hub;
pub(crate) mod inbound;
pub(crate) mod link;
pub(crate) mod outbound;
pub(crate) mod queue;

use std::fmt;

use bytes::Bytes;
use libp2p::{PeerId, StreamProtocol};

pub use inbound::{Inbox, Reply};

/// Frames one (peer, lane) pair may have waiting to be written.
pub const OUTBOUND_QUEUE_FRAMES: usize = 1024;
/// Requests of one (peer, lane) pair that may wait for their answers, at either end.
pub const MAX_IN_FLIGHT: usize = 256;
/// Frames that may wait in the inbox of a served lane, from all peers together.
pub const INBOX_FRAMES: usize = 1024;
/// Bytes a queue or inbox may hold; a lane of larger frames may hold two of them.
pub const QUEUE_BYTES: usize = 4 << 20;
/// Longest reason a refusal carries, in bytes.
pub const MAX_REASON_BYTES: usize = 512;

const MIB: usize = 1 << 20;

/// A stream protocol "/mesh30k/&lt;name&gt;/1" and its limit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    name: &'static str,
    max_body_bytes: usize,
}

impl Lane {
    /// Votes and heartbeats of all Raft groups.
    pub const RAFT: Self = Self::new("raft");
    /// Log entries of all Raft groups; apart, so that a long append does not hold up a vote.
    pub const RAFT_APPEND: Self = Self::new("raft-append").with_max_body_bytes(8 * MIB);
    /// Events down the tree and folded acks up.
    pub const EVENT: Self = Self::new("event");
    /// Heartbeats and clock exchanges.
    pub const BEAT: Self = Self::new("beat");
    /// Blocks and snapshots.
    pub const SYNC: Self = Self::new("sync").with_max_body_bytes(4 * MIB);
    /// Content-addressed blobs.
    pub const BLOB: Self = Self::new("blob");
    /// Task offers, dispatch and receipts.
    pub const TASK: Self = Self::new("task");
    /// Transactions on their way to validators.
    pub const TX: Self = Self::new("tx");

    /// A lane whose bodies are at most 1 MiB. The name is one path segment: letters, digits and '-'.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, max_body_bytes: MIB }
    }

    /// The same lane with another limit; both ends must use the same.
    #[must_use]
    pub const fn with_max_body_bytes(self, max_body_bytes: usize) -> Self {
        Self { name: self.name, max_body_bytes }
    }

    /// The bare name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Longest body a frame may have.
    #[must_use]
    pub const fn max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }

    /// The byte budget of a queue of this lane.
    pub(crate) const fn queue_bytes(&self) -> usize {
        let two = self.max_body_bytes.saturating_mul(2);
        if two > QUEUE_BYTES { two } else { QUEUE_BYTES }
    }

    /// The protocol name that is negotiated.
    #[allow(clippy::expect_used, reason = "a leading slash is all the name needs, and it is written here")]
    pub(crate) fn protocol(&self) -> StreamProtocol {
        StreamProtocol::try_from_owned(format!("/mesh30k/{}/1", self.name)).expect("starts with a slash")
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/mesh30k/{}/1", self.name)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What came in on a lane.
#[derive(Debug)]
pub struct Inbound {
    /// Who sent it; authenticated by the connection.
    pub peer: PeerId,
    /// The bytes.
    pub body: Bytes,
    /// The way back; `None` for a notice.
    pub reply: Option<Reply>,
}
