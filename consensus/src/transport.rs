//! How groups reach their peers: requests in, responses out, over whatever the node provides.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::group::{GroupId, MemberId};

/// Largest entry a group orders.
pub const MAX_ENTRY_BYTES: usize = 4 << 20;
/// Bytes of entries after which no further entry joins a request.
pub const MAX_BATCH_BYTES: usize = 2 << 20;
/// Largest snapshot.
pub const MAX_SNAPSHOT_BYTES: usize = 32 << 20;
/// Room for everything in a frame that is neither entry nor snapshot.
const OVERHEAD_BYTES: usize = 256 << 10;

/// Kinds of traffic, so that heartbeats never wait behind bulk: a bridge keeps one stream a peer for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RaftLane {
    /// Votes, heartbeats, transfers of leadership: small and urgent.
    Vote,
    /// Entries.
    Append,
    /// Snapshots.
    Snapshot,
}

impl RaftLane {
    /// Largest request on this lane; responses are always small.
    #[must_use]
    pub const fn max_request_bytes(self) -> usize {
        match self {
            Self::Vote => OVERHEAD_BYTES,
            Self::Append => MAX_ENTRY_BYTES + MAX_BATCH_BYTES + OVERHEAD_BYTES,
            Self::Snapshot => MAX_SNAPSHOT_BYTES + OVERHEAD_BYTES,
        }
    }
}

/// Why a call brought no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection; worth a pause before the next try.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The peer did not answer in time.
    #[error("no answer within {ttl:?}")]
    Timeout {
        /// The time it was given.
        ttl: Duration,
    },
    /// The peer, or the bridge on its behalf, refused with a sentence.
    #[error("refused: {0}")]
    Refused(String),
}

/// Carries one group's requests to a peer and brings back what the peer's [`crate::raft::GroupSet::handle`] returned.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and waits at most `ttl`. Dropping the future gives up the response, not the request.
    fn call(
        &self,
        target: MemberId,
        group: GroupId,
        lane: RaftLane,
        request: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, TransportError>>;
}
