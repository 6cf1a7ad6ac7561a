//! Whom a member follows: not a leader that wants something ordered which this member would not vote on for a long time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::raft::AppendEntriesRequest;
use openraft::type_config::AsyncRuntime;

use crate::app::Admission;
use crate::group::{GroupId, MemberId};
use crate::raft::frame::Request;
use crate::raft::type_config::{RaftConfig, Vote};

/// Stands before Raft: an append with an entry that the application does not admit is not handed on, and neither is anything else
/// of that leader in that term, heartbeats included. To Raft this is a lost message, which is always safe; a leader that most
/// members do not hear loses its office, and its entry with it. An entry that is committed already passes: a majority took it.
///
/// While the member is read-only, for want of room on its disk, nothing passes that would have to be written, but while it leads:
/// then its vote for a successor is still needed, and takes a few bytes.
pub(crate) struct Gate {
    group: GroupId,
    admission: Option<Admission>,
    refused: Mutex<Option<Refused>>,
    read_only: AtomicBool,
}

struct Refused {
    leader: Vote,
    index: u64,
    entry: Bytes,
}

impl Gate {
    pub(crate) const fn new(group: GroupId, admission: Option<Admission>) -> Self {
        Self { group, admission, refused: Mutex::new(None), read_only: AtomicBool::new(false) }
    }

    pub(crate) fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Ordering::Relaxed);
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// Whether there is room for what a request leads to.
    ///
    /// # Errors
    /// The sentence for who asks.
    pub(crate) fn has_room_for<RT: AsyncRuntime>(
        &self,
        request: &Request<RT>,
        me: MemberId,
        is_leader: bool,
    ) -> Result<(), String> {
        let is_written = match request {
            Request::Vote(_) | Request::PreVote(_) | Request::Snapshot { .. } => true,
            // A heartbeat says who leads; a new term is a few bytes.
            Request::Append(append) => !append.entries.is_empty(),
            Request::TransferLeader(transfer) => *transfer.to_node_id() == me,
        };
        if is_written && !is_leader && self.is_read_only() {
            return Err(format!(
                "the disk of node {me} is nearly full: it takes nothing and votes for nobody until there is room"
            ));
        }
        Ok(())
    }

    /// Whether an append may pass.
    ///
    /// # Errors
    /// The sentence for the leader.
    pub(crate) fn admit<RT: AsyncRuntime>(&self, append: &AppendEntriesRequest<RaftConfig<RT>>) -> Result<(), String> {
        let Some(admission) = &self.admission else { return Ok(()) };
        let committed = append.leader_commit.as_ref().map(|id| id.index);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) =
            refused.as_ref().filter(|known| known.leader == append.vote && Some(known.index) > committed)
        {
            admission(&known.entry)?;
        }
        *refused = None;
        for entry in append.entries.iter().filter(|entry| Some(entry.log_id.index) > committed) {
            let EntryPayload::Normal(bytes) = &entry.payload else { continue };
            if let Err(sentence) = admission(&bytes.0) {
                tracing::warn!(group = %self.group, index = entry.log_id.index, "not taken from the leader: {sentence}");
                *refused = Some(Refused { leader: append.vote, index: entry.log_id.index, entry: bytes.0.clone() });
                return Err(sentence);
            }
        }
        Ok(())
    }
}
