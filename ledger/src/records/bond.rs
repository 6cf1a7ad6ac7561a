//! What accounts answer with for what they do.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::types::{TimeMs, Uftns, serde_as_text};

/// What a bond answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
pub enum Duty {
    /// One vote a height.
    Validator,
    /// True receipts.
    Host,
    /// Honest rulings.
    Reviewer,
}

/// Everything an account has bonded; together its stake.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct BondRecord {
    /// Bonded, by duty.
    pub bonded: BTreeMap<Duty, Uftns>,
    /// On its way out; still answers until then.
    pub unbonding: Vec<Unbonding>,
    /// Taken as penalties so far.
    pub slashed: Uftns,
}

/// A part on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Unbonding {
    /// What it answered for.
    pub duty: Duty,
    /// How much.
    pub amount: Uftns,
    /// When it is free.
    pub until: TimeMs,
}

impl BondRecord {
    /// What answers for a duty, what is on its way out included.
    #[must_use]
    pub fn answering(&self, duty: Duty) -> Uftns {
        let bonded = self.bonded.get(&duty).copied().unwrap_or_default();
        let leaving = self.unbonding.iter().filter(|part| part.duty == duty);
        Uftns(leaving.fold(bonded.0, |sum, part| sum.saturating_add(part.amount.0)))
    }

    /// Takes so much of what answers for a duty: the bonded part first, then what is on its way out. Gives what could be taken.
    pub(crate) fn take(&mut self, duty: Duty, amount: Uftns) -> Uftns {
        let mut wanted = amount.0;
        let bonded = self.bonded.entry(duty).or_default();
        let own = bonded.0.min(wanted);
        (bonded.0, wanted) = (bonded.0.saturating_sub(own), wanted.saturating_sub(own));
        for part in self.unbonding.iter_mut().filter(|part| part.duty == duty) {
            let own = part.amount.0.min(wanted);
            (part.amount.0, wanted) = (part.amount.0.saturating_sub(own), wanted.saturating_sub(own));
        }
        self.bonded.retain(|_, amount| !amount.is_zero());
        self.unbonding.retain(|part| !part.amount.is_zero());
        let taken = Uftns(amount.0.saturating_sub(wanted));
        self.slashed = Uftns(self.slashed.0.saturating_add(taken.0));
        taken
    }
}

/// Text that names no duty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("duty `{0}` is not one of validator, host, reviewer")]
pub struct DutyError(pub String);

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Validator => "validator",
            Self::Host => "host",
            Self::Reviewer => "reviewer",
        })
    }
}

impl FromStr for Duty {
    type Err = DutyError;
    fn from_str(text: &str) -> Result<Self, DutyError> {
        [Self::Validator, Self::Host, Self::Reviewer]
            .into_iter()
            .find(|duty| duty.to_string() == text)
            .ok_or_else(|| DutyError(text.chars().take(40).collect()))
    }
}

serde_as_text!(Duty);
