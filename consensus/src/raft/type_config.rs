//! The types openraft is instantiated with.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

use openraft::impls::{BoxedErrorSource, EmptyNode, InlineBatch, ProgressResponder};
use openraft::type_config::AsyncRuntime;
use openraft::vote::RaftLeaderId;
use openraft::{EntryPayload, OptionalSend, RaftTypeConfig};

use crate::app::LogPosition;
use crate::group::MemberId;
use crate::raft::Opaque;

/// openraft's type configuration on the runtime `RT`: real (tokio) or simulated.
///
/// The leader id is the standard one: a term has at most one leader, and an entry is named by (term, index).
pub struct RaftConfig<RT>(PhantomData<fn() -> RT>);

type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, MemberId>;
pub(crate) type CommittedLeaderId = <LeaderId as RaftLeaderId>::Committed;
pub(crate) type LogId = openraft::LogId<CommittedLeaderId>;
pub(crate) type Payload = EntryPayload<Opaque, MemberId, EmptyNode>;
pub(crate) type Entry = openraft::Entry<CommittedLeaderId, Payload>;
pub(crate) type Vote = openraft::Vote<LeaderId>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeaderId, MemberId, EmptyNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, MemberId, EmptyNode>;
pub(crate) type Snapshot = openraft::Snapshot<CommittedLeaderId, MemberId, EmptyNode, bytes::Bytes>;

impl<RT: AsyncRuntime> RaftTypeConfig for RaftConfig<RT> {
    type D = Opaque;
    type R = Opaque;
    type NodeId = MemberId;
    type Node = EmptyNode;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = RT;
    type Responder<T>
        = ProgressResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

/// The position an openraft log id stands for.
pub(crate) fn position(id: &LogId) -> LogPosition {
    LogPosition { term: id.leader_id.term, index: id.index }
}

/// The openraft log id of a position.
pub(crate) fn log_id(position: LogPosition) -> LogId {
    LogId::new(CommittedLeaderId { term: position.term }, position.index)
}

// Derives would ask the same of RT, which only lends its name.
impl<RT> fmt::Debug for RaftConfig<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RaftConfig")
    }
}

impl<RT> Clone for RaftConfig<RT> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<RT> Copy for RaftConfig<RT> {}

impl<RT> Default for RaftConfig<RT> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<RT> PartialEq for RaftConfig<RT> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<RT> Eq for RaftConfig<RT> {}

impl<RT> PartialOrd for RaftConfig<RT> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<RT> Ord for RaftConfig<RT> {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}
