//! Mistakes a test plants in the real code, to show that its checks would see them.

/// A protocol mistake. Production code names none of them: a test reads the source to make sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A certificate needs only as many votes as one more than may lie, n/3 rounded up, instead of 2n/3.
    SmallQuorum,
    /// A new leader proposes before it has applied what its predecessors left in the log.
    EarlyLeader,
    /// A final block's state and the note of which block is final are two writes instead of one.
    TornCommit,
}
