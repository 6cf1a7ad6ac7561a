//! Carbon on the ledger: reported intensities, savings, credits.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::types::{AccountId, Hash, TimeMs};

/// A region's grid intensity by the word of oracles.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct IntensityRecord {
    /// In force, milligrams of CO2e a kilowatt-hour.
    pub mg_per_kwh: u64,
    /// When reports last came to a median; shows how stale it is. Nothing until the first.
    pub updated_at: Option<TimeMs>,
    /// What it was when the running window began: one window moves it by a bounded step.
    pub window_mg_per_kwh: u64,
    /// When that was.
    pub window_since: TimeMs,
    /// The last word of each oracle.
    pub reports: BTreeMap<AccountId, IntensityWord>,
}

impl IntensityRecord {
    /// Whether reports came to a median lately enough to count before the table.
    #[must_use]
    pub fn is_fresh(&self, now: TimeMs, fresh_ms: u64) -> bool {
        self.updated_at.is_some_and(|at| now.since_ms(at) <= fresh_ms)
    }
}

/// One oracle's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct IntensityWord {
    /// What it said.
    pub mg_per_kwh: u64,
    /// When.
    pub at: TimeMs,
}

/// Credits of one account, in micrograms of CO2e.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CreditRecord {
    /// Free to move.
    pub held_ug: u64,
    /// Retired for good.
    pub retired_ug: u64,
}

/// All credits. Issued = held + retired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CreditTotals {
    /// Ever.
    pub issued_ug: u64,
    /// In all accounts.
    pub held_ug: u64,
    /// For good.
    pub retired_ug: u64,
}

/// A saving somebody claims; its evidence counts once, whatever becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SavingRecord {
    /// Who claims.
    pub account: AccountId,
    /// Names the receipt and the registered baseline it is set against.
    pub evidence: Hash,
    /// What it would have been, micrograms.
    pub baseline_ug: u64,
    /// What it was.
    pub actual_ug: u64,
    /// Reviewers who attested, in order.
    pub attested_by: Vec<AccountId>,
    /// When enough had, and its credits were issued.
    pub issued_at: Option<TimeMs>,
}

impl CreditTotals {
    /// Whether every credit is somewhere.
    #[must_use]
    pub const fn is_conserved(&self) -> bool {
        matches!(self.held_ug.checked_add(self.retired_ug), Some(sum) if sum == self.issued_ug)
    }
}
