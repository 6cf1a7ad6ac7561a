//! Offices: who may attest, report, rule and warn.

use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt;
use std::str::FromStr;

use crate::types::{TimeMs, serde_as_text};

/// A term: 90 days.
pub const TERM_MS: u64 = 90 * 24 * 3_600 * 1_000;
/// Holders of one office, at most.
pub const MAX_HOLDERS: usize = 64;

/// An office held for a term, by genesis or vote. Validators and operators have records of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
pub enum Office {
    /// Reports grid intensities; signals emergencies.
    Oracle,
    /// Attests savings, rules on disputes, reclassifies purposes.
    Reviewer,
    /// Signals emergencies.
    Guardian,
}

/// A term in an office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize, serde::Deserialize)]
pub struct OfficeRecord {
    /// Its beginning.
    pub since: TimeMs,
    /// Its end; from then on the office is not held.
    pub until: TimeMs,
}

/// Text that names no office.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("office `{0}` is not one of oracle, reviewer, guardian")]
pub struct OfficeError(pub String);

impl fmt::Display for Office {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Oracle => "oracle",
            Self::Reviewer => "reviewer",
            Self::Guardian => "guardian",
        })
    }
}

impl FromStr for Office {
    type Err = OfficeError;
    fn from_str(text: &str) -> Result<Self, OfficeError> {
        [Self::Oracle, Self::Reviewer, Self::Guardian]
            .into_iter()
            .find(|office| office.to_string() == text)
            .ok_or_else(|| OfficeError(text.chars().take(40).collect()))
    }
}

serde_as_text!(Office);
