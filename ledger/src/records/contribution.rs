//! Contributions and the emission that pays them.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use crate::types::{AccountId, TimeMs, Uftns, serde_as_text};

/// What the economy counts in: a day of block time.
pub const PERIOD_MS: u64 = 24 * 3_600 * 1_000;
/// Kinds there are.
const KINDS: usize = 9;

/// Kinds of contributions; each has a share of the period's emission to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
#[allow(missing_docs)]
pub enum Contribution {
    Data,
    Model,
    Research,
    Teaching,
    Governance,
    Safety,
    Hosting,
    Relaying,
    Validating,
}

/// A contribution somebody claims; its evidence counts once, whatever becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ContributionRecord {
    /// Who claims.
    pub account: AccountId,
    /// Of what kind.
    pub kind: Contribution,
    /// What is asked for it.
    pub amount: Uftns,
    /// Reviewers who attested, in order.
    pub attested_by: Vec<AccountId>,
    /// When enough had.
    pub paid_at: Option<TimeMs>,
    /// What its kind's share of the period still had for it.
    pub paid: Uftns,
}

/// What the running period has paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EmissionRecord {
    /// Which: block time / [`PERIOD_MS`].
    pub period: u64,
    /// By kind, in their order.
    pub paid: [Uftns; KINDS],
}

impl Contribution {
    /// All of them in order.
    pub const ALL: [Self; KINDS] = [
        Self::Data,
        Self::Model,
        Self::Research,
        Self::Teaching,
        Self::Governance,
        Self::Safety,
        Self::Hosting,
        Self::Relaying,
        Self::Validating,
    ];

    /// Its share of the emission in ppm; together they are all of it.
    #[must_use]
    pub const fn share_ppm(self) -> u64 {
        match self {
            Self::Data | Self::Model | Self::Research => 150_000,
            Self::Teaching | Self::Safety | Self::Hosting | Self::Relaying | Self::Validating => 100_000,
            Self::Governance => 50_000,
        }
    }

    /// What of a whole period's emission it has to itself, rounded down.
    #[must_use]
    pub fn share_of(self, emission: Uftns) -> Uftns {
        let share = u128::from(emission.0).saturating_mul(u128::from(self.share_ppm())).checked_div(1_000_000);
        Uftns(u64::try_from(share.unwrap_or(0)).unwrap_or(u64::MAX))
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Model => "model",
            Self::Research => "research",
            Self::Teaching => "teaching",
            Self::Governance => "governance",
            Self::Safety => "safety",
            Self::Hosting => "hosting",
            Self::Relaying => "relaying",
            Self::Validating => "validating",
        }
    }
}

impl EmissionRecord {
    /// What each kind was paid in a period, in their order; nothing in a later one than this.
    #[must_use]
    pub fn paid_in(&self, period: u64) -> [(Contribution, Uftns); KINDS] {
        let paid = if self.period == period { self.paid } else { [Uftns::ZERO; KINDS] };
        let mut paid = paid.into_iter();
        Contribution::ALL.map(|kind| (kind, paid.next().unwrap_or(Uftns::ZERO)))
    }

    /// What this kind's share has paid.
    pub(crate) fn of(&mut self, kind: Contribution) -> Option<&mut Uftns> {
        let at = Contribution::ALL.iter().position(|known| *known == kind)?;
        self.paid.get_mut(at)
    }
}

/// Text that names no kind of contribution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "contribution `{0}` is not one of data, model, research, teaching, governance, safety, hosting, relaying, validating"
)]
pub struct ContributionError(pub String);

impl fmt::Display for Contribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Contribution {
    type Err = ContributionError;
    fn from_str(text: &str) -> Result<Self, ContributionError> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| ContributionError(text.chars().take(40).collect()))
    }
}

serde_as_text!(Contribution);
