//! Votes on proposals.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::Call;
use crate::execute::{Stop, Working};
use crate::governance;
use crate::outcome::Effect;
use crate::types::ProposalId;
use crate::types::serde_as_text;

/// Votes on a proposal; a later vote of the same account replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Vote {
    /// Which.
    pub proposal: ProposalId,
    /// How.
    pub choice: Choice,
}

/// A voter's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Choice {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Counts for the quorum only.
    Abstain,
    /// Against it, and against returning the deposit.
    NoWithVeto,
}

/// Text that is not a choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("choice `{0}` is not one of yes, no, abstain, no-with-veto")]
pub struct ChoiceError(pub String);

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Abstain => "abstain",
            Self::NoWithVeto => "no-with-veto",
        })
    }
}

impl std::str::FromStr for Choice {
    type Err = ChoiceError;
    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        [Self::Yes, Self::No, Self::Abstain, Self::NoWithVeto]
            .into_iter()
            .find(|choice| choice.to_string() == text)
            .ok_or_else(|| ChoiceError(text.chars().take(40).collect()))
    }
}

serde_as_text!(Choice);

impl Vote {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        governance::vote(working, call.account, self)
    }
}
