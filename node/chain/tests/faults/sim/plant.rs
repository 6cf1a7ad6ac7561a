//! Mistakes planted in the code under test, to show that the checks see them.

use mesh30k_consensus::finality::Mistake;

/// A planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A log entry counts as stored before it is on disk.
    AcknowledgeBeforeSync,
    /// Votes leave without a record of them.
    VoteWithoutSignLog,
    /// Certificates of f + 1 votes.
    SmallQuorum,
    /// A new leader proposes before it has applied its whole log.
    EarlyLeader,
    /// A final block's state and the note that it is final are written one after the other.
    TornCommit,
}

impl Plant {
    pub const ALL: [Self; 5] =
        [Self::AcknowledgeBeforeSync, Self::VoteWithoutSignLog, Self::SmallQuorum, Self::EarlyLeader, Self::TornCommit];

    /// Those that sit inside the code; the other two are a parameter and a file of the machine.
    pub const fn mistake(self) -> Option<Mistake> {
        match self {
            Self::AcknowledgeBeforeSync | Self::VoteWithoutSignLog => None,
            Self::SmallQuorum => Some(Mistake::SmallQuorum),
            Self::EarlyLeader => Some(Mistake::EarlyLeader),
            Self::TornCommit => Some(Mistake::TornCommit),
        }
    }
}
