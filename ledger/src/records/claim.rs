//! Claims of workers on parts that their requester has not accepted.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::ops::TaskReport;
use crate::types::{AccountId, Hash, TimeMs, Uftns};

/// A claim from its filing to its end.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ClaimRecord {
    /// Who is paid when it stands.
    pub worker: AccountId,
    /// What was done.
    pub claimed: Claimed,
    /// Until then the opener may dispute it; afterwards, or once disputed: until then it is ruled on.
    pub ends: TimeMs,
    /// How long everything had been frozen when `ends` was set; its clock stands still meanwhile.
    pub frozen_ms: u64,
    /// Where it stands.
    pub status: ClaimStatus,
    /// The opener's, while disputed; else nothing.
    pub bond: Uftns,
    /// Reviewers drawn by lot.
    pub panel: Vec<AccountId>,
    /// Those of the panel who ruled that it is paid.
    pub for_worker: Vec<AccountId>,
    /// Those who ruled that it is not.
    pub for_opener: Vec<AccountId>,
}

/// What is claimed to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claimed {
    /// A part of a task, as host and agent signed.
    Part(TaskReport),
    /// Content that was ordered was handed over.
    Delivery(Hash),
}

impl Claimed {
    /// Which part of the escrow it is; what is delivered is its only one.
    #[must_use]
    pub const fn part(&self) -> u32 {
        match self {
            Self::Part(report) => report.part,
            Self::Delivery(_) => 0,
        }
    }
}

/// Where a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimStatus {
    /// May be disputed.
    Open,
    /// Waits for its panel's ruling.
    Disputed,
    /// Its part was paid.
    Paid,
    /// It was not; only the opener can still pay the part.
    Refused,
}

impl ClaimRecord {
    /// When its present phase ends, given how long everything has been frozen so far.
    #[must_use]
    pub const fn effective_end(&self, frozen_ms: u64) -> TimeMs {
        self.ends.plus_ms(frozen_ms.saturating_sub(self.frozen_ms))
    }

    /// Whether it is still to be decided.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.status, ClaimStatus::Open | ClaimStatus::Disputed)
    }
}

/// What a task is for.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PurposeRecord {
    /// By its requester.
    pub declared: crate::priority::Purpose,
    /// As it counts.
    pub in_force: crate::priority::Purpose,
    /// Reviewers who say otherwise, with what they say.
    pub words: Vec<(AccountId, crate::priority::Purpose)>,
    /// Whether its requester has paid for declaring too much; once for all.
    pub false_claim: bool,
}
