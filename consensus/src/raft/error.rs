//! What groups refuse, and how they fail.

use crate::app::LogPosition;
use crate::group::{GroupId, MemberId};
use crate::storage::StoreError;

/// A stored log that contradicts itself. Never repaired on the spot: a member that guesses is worse than one that is
/// down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// An entry between the first and the last is missing.
    #[error("log of {group} has a hole at index {index}")]
    Hole {
        /// The group.
        group: GroupId,
        /// The missing index.
        index: u64,
    },
    /// An entry does not follow from its predecessor: a bit changed, or an entry was exchanged.
    #[error("log of {group} is broken at index {index}: the entry does not match the hash chain")]
    Broken {
        /// The group.
        group: GroupId,
        /// The first index that does not fit.
        index: u64,
    },
    /// The last entry on disk is not the one the log's head names.
    #[error("log of {group} ends at {found:?}, but its head names {expected:?}")]
    WrongEnd {
        /// The group.
        group: GroupId,
        /// Last index by the head.
        expected: Option<u64>,
        /// Last index on disk.
        found: Option<u64>,
    },
    /// A stored record cannot be read.
    #[error("log of {group} holds an unreadable {what}: {reason}")]
    Unreadable {
        /// The group.
        group: GroupId,
        /// Which record.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A record beside the log cannot be trusted: a bit changed, or another version wrote it.
    #[error(
        "column family {table}: the {what} of {group} is damaged: {reason}; nothing on this disk can be trusted, so move the \
         data directory away and join as a new node (\"A disk that decayed\" in docs/operating/recovery.md)"
    )]
    DamagedMeta {
        /// The group.
        group: GroupId,
        /// The column family.
        table: &'static str,
        /// Which record.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An append that would leave a hole.
    #[error("log of {group} refuses entry {found}: the next index is {expected}")]
    NotConsecutive {
        /// The group.
        group: GroupId,
        /// The index it would take.
        expected: u64,
        /// The index offered.
        found: u64,
    },
    /// A snapshot larger than the bound.
    #[error("snapshot of {group} at {position} has {bytes} bytes; the limit is {limit}")]
    SnapshotTooLarge {
        /// The group.
        group: GroupId,
        /// Where it was taken.
        position: LogPosition,
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LogError> for std::io::Error {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Store(store) => store.into(),
            other => Self::new(std::io::ErrorKind::InvalidData, other),
        }
    }
}

/// Why a group did not start or did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Timings or bounds that contradict each other.
    #[error("configuration of {group} refused: {reason}")]
    Config {
        /// The group.
        group: GroupId,
        /// openraft's reason.
        reason: String,
    },
    /// The stored log cannot be trusted.
    #[error("{group} does not start")]
    Log {
        /// The group.
        group: GroupId,
        /// What is wrong with its log.
        #[source]
        source: LogError,
    },
    /// The group runs already.
    #[error("{group} runs already")]
    Running {
        /// The group.
        group: GroupId,
    },
    /// The group does not run here.
    #[error("{group} does not run here")]
    Unknown {
        /// The group.
        group: GroupId,
    },
    /// The list of members does not name this node.
    #[error("members of {group} do not include this node, {me}")]
    NotAMember {
        /// The group.
        group: GroupId,
        /// This node.
        me: MemberId,
    },
    /// Only the leader changes members.
    #[error("{group} is led by {leader:?}, not by this node")]
    NotLeader {
        /// The group.
        group: GroupId,
        /// The leader, if known.
        leader: Option<MemberId>,
    },
    /// A change of members was refused.
    #[error("{group} refused a change of members: {reason}")]
    Membership {
        /// The group.
        group: GroupId,
        /// openraft's reason.
        reason: String,
    },
    /// The group's core has ended: shut down, or storage failed.
    #[error("{group} has stopped: {reason}")]
    Stopped {
        /// The group.
        group: GroupId,
        /// Why.
        reason: String,
    },
}

/// Why a proposal was not ordered, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was proposed; ask the leader.
    #[error("this node does not lead; the leader is {leader:?}")]
    NotLeader {
        /// The leader, if known.
        leader: Option<MemberId>,
    },
    /// Nothing was proposed; too many proposals are on their way.
    #[error("{in_flight} proposals are in flight; the limit is {limit}")]
    Busy {
        /// How many.
        in_flight: usize,
        /// The bound.
        limit: usize,
    },
    /// Nothing was proposed; the entry is too large.
    #[error("entry has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// Nothing was proposed; this node's disk is nearly full.
    #[error("the disk of this node is nearly full: it proposes nothing until there is room")]
    ReadOnly,
    /// The leader lost its office: the entry may yet be ordered or not. Look before proposing it again.
    #[error("leadership was lost before the entry was ordered; it may still be; the leader is {leader:?}")]
    Uncertain {
        /// The new leader, if known.
        leader: Option<MemberId>,
    },
    /// The group has stopped; the fate of the entry is unknown.
    #[error("the group has stopped")]
    Stopped,
}
