//! What a group drives: the application behind the log.

use std::fmt;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A place in a group's log. Greater means later; a term has at most one leader, so (term, index) also serves as a
/// fencing number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPosition {
    /// Term of the leader that proposed the entry.
    pub term: u64,
    /// Index in the log, from 0.
    pub index: u64,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.index)
    }
}

/// Whether a leader may have an entry ordered, as far as this member is concerned; the error is the sentence for the leader. Called
/// for each entry that arrives, from any task: it must not block.
pub type Admission = Arc<dyn Fn(&[u8]) -> Result<(), String> + Send + Sync>;

/// Whether [`Application::apply`] may be called now. Called before each entry, from the group's task: it must not block.
pub type Room = Arc<dyn Fn() -> bool + Send + Sync>;

/// An application's state at a position, as it travels to a member that is too far behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSnapshot {
    /// The last entry the bytes include; `None` while there is nothing to keep.
    pub position: Option<LogPosition>,
    /// The state, at most [`crate::transport::MAX_SNAPSHOT_BYTES`]. An application whose state travels by another way
    /// (certified, in chunks) puts only a reference here.
    pub bytes: Vec<u8>,
}

/// A snapshot the application will not take: it is malformed, or nothing certifies it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("snapshot at {position} refused: {reason}")]
pub struct RestoreRefused {
    /// Position of the snapshot.
    pub position: LogPosition,
    /// Why, in a sentence.
    pub reason: String,
}

/// Receives committed entries in order, each position exactly once per run of the process.
///
/// After a restart, entries after [`Self::durable_position`] are applied again. An application may apply ahead of what
/// it makes durable (the ledger's durable position is its last *final* block); the log is then kept from there on,
/// because entries are purged only up to a snapshot, and a snapshot is at most as new as the durable position.
///
/// An application that keeps nothing itself returns `None` from [`Self::durable_position`]; its last snapshot, which
/// the group stores, is restored at start, and the entries after it are applied again.
///
/// All methods run on the group's task: they must not block for long.
pub trait Application: Send + 'static {
    /// Whether there is room for another entry, if it may ever lack; asked for once. While the answer is no, the group waits
    /// and asks again; nothing else stands still. An application that says no for ever stops its group.
    ///
    /// Such an application is given nothing before its group runs: what makes room may need the group, and a start that waited
    /// for it would never end. What a restart has to apply again comes once a leader has said how far the log is committed.
    fn room(&self) -> Option<Room> {
        None
    }

    /// What this member wants of an entry before it lets a leader append it here; asked for once. It may look at the local clock:
    /// Raft takes a refusal for a lost message.
    fn admission(&self) -> Option<Admission> {
        None
    }

    /// Executes an entry and returns the response for whoever proposed it. A bad entry is answered, never a failure:
    /// every member must come to the same result.
    fn apply(&mut self, position: LogPosition, entry: &[u8]) -> Vec<u8>;

    /// A position taken by Raft itself (the first entry of a new leader, a change of members). Whoever sees the skip of
    /// its own term has applied everything older leaders left behind.
    fn skip(&mut self, position: LogPosition) {
        let _ = position;
    }

    /// The last position the application's stored state includes.
    fn durable_position(&self) -> Option<LogPosition>;

    /// The state at the durable position (for an application that stores nothing: at the last applied one).
    ///
    /// # Errors
    /// Ends the group: a state that cannot be read cannot be trusted.
    fn snapshot(&mut self) -> io::Result<AppSnapshot>;

    /// Whether [`Self::restore`] would take this snapshot. Asked before Raft sees a snapshot from a peer; a refusal
    /// leaves the group as it was, behind but alive, until the node has brought the state in by its own way.
    ///
    /// # Errors
    /// [`RestoreRefused`] with the reason, which the sender is told.
    fn admits(&self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        let _ = (position, bytes);
        Ok(())
    }

    /// Replaces the state by a snapshot's; afterwards the durable position (if any) is the snapshot's.
    ///
    /// # Errors
    /// [`RestoreRefused`] ends the group, since Raft has already given up the entries before it.
    fn restore(&mut self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused>;
}
