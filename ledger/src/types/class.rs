//! Classes of agents.

use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt;
use std::str::FromStr;

use super::serde_as_text;

/// What kind of actor an agent is: from A (sensors, microseconds) to F (people, seconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
#[allow(missing_docs)]
pub enum AgentClass {
    A,
    B,
    C,
    D,
    E,
    F,
}

/// Text that is not a class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("class `{0}` is not one of A, B, C, D, E, F")]
pub struct ClassError(pub String);

impl AgentClass {
    /// All classes in order.
    pub const ALL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F];

    /// Its letter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
        }
    }
}

impl fmt::Display for AgentClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AgentClass {
    type Err = ClassError;
    fn from_str(text: &str) -> Result<Self, ClassError> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| ClassError(text.chars().take(20).collect()))
    }
}

serde_as_text!(AgentClass);
