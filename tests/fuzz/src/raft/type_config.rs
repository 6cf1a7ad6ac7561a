//! The names that consensus gives to openraft's types, once more: there they are private.

use mesh30k_consensus::group::MemberId;
use mesh30k_consensus::raft::Opaque;
pub use mesh30k_consensus::raft::RaftConfig;
use openraft::EntryPayload;
use openraft::impls::EmptyNode;
use openraft::vote::RaftLeaderId;

type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, MemberId>;
type CommittedLeaderId = <LeaderId as RaftLeaderId>::Committed;
pub type LogId = openraft::LogId<CommittedLeaderId>;
pub type Entry = openraft::Entry<CommittedLeaderId, EntryPayload<Opaque, MemberId, EmptyNode>>;
pub type Vote = openraft::Vote<LeaderId>;
pub type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, MemberId, EmptyNode>;

/// The position of an entry.
pub fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId { term }, index)
}
