//! A node's duties as they are shown.

use mesh30k_ledger::types::TimeMs;
use serde::{Deserialize, Serialize};

/// What a node does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// A voter's word on its sector in a period.
    Anchor,
    /// An oracle's word on its grid.
    Intensity,
}

impl Duty {
    /// As a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Intensity => "intensity",
        }
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DutyState {
    /// There is nothing to do now.
    Resting,
    /// It is to be done, or under way.
    Waiting,
    /// The ledger has it.
    Done,
    /// The account can't pay the fee.
    Unpaid,
    /// The ledger did not take it in so many tries.
    GivenUp,
}

/// A duty as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DutyRow {
    /// Which.
    pub duty: Duty,
    /// Of what: a sector's number, a zone.
    pub subject: String,
    /// How far it has come.
    pub state: DutyState,
    /// When it was last done, as far as this node knows; Unix ms.
    pub last_done: Option<TimeMs>,
    /// When it is tried next, if that is known; Unix ms.
    pub next_at: Option<TimeMs>,
    /// What was done, or why nothing is to be done, in words.
    pub note: String,
}
