//! Quota: units of work that cost their holder no more than the voted price, by capability and period.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::ops::Capabilities;
use crate::types::{AccountId, EscrowId, Region, TimeMs, Uftns};

/// What one account has of one capability.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct QuotaRecord {
    /// Its own, units a period: brought by its agents or bought.
    pub allocated: u64,
    /// Borrowed from others.
    pub borrowed: u64,
    /// Of its own, lent to others.
    pub lent: u64,
    /// Of its own, in open offers.
    pub offered: u64,
    /// Drawn from others by its tasks in an emergency.
    pub drawn: u64,
    /// Drawn from it by others' tasks in an emergency.
    pub yielded: u64,
    /// Set aside for its open tasks.
    pub reserved: BTreeMap<EscrowId, u64>,
    /// Paid out of reservations in `period`.
    pub used: u64,
    /// Counted from 1970 in periods of quota.
    pub period: u64,
    /// Its own offers and loans that are not over.
    pub open: u32,
}

impl QuotaRecord {
    /// The same in a period: what was used before counts no more.
    #[must_use]
    pub(crate) fn in_period(mut self, period: u64) -> Self {
        if self.period != period {
            (self.period, self.used) = (period, 0);
        }
        self
    }

    /// What all its open tasks have set aside.
    #[must_use]
    pub fn reserved_units(&self) -> u64 {
        self.reserved.values().fold(0, |sum: u64, units| sum.saturating_add(*units))
    }

    /// Of its own, what is neither lent nor offered.
    #[must_use]
    pub const fn kept(&self) -> u64 {
        self.allocated.saturating_sub(self.lent).saturating_sub(self.offered)
    }

    /// What its tasks may set aside in all.
    #[must_use]
    pub const fn usable(&self) -> u64 {
        self.kept().saturating_add(self.borrowed).saturating_add(self.drawn).saturating_sub(self.yielded)
    }

    /// What is neither set aside nor used in this period.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.usable().saturating_sub(self.reserved_units()).saturating_sub(self.used)
    }

    /// What may be lent or sold: free, and its own.
    #[must_use]
    pub fn tradeable(&self) -> u64 {
        self.free().min(self.kept())
    }

    /// Whether no more is lent, offered and set aside than there is. A loan that went back from under an emergency's draw leaves
    /// nothing to set aside until the draw ends.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.lent.checked_add(self.offered).is_some_and(|away| away <= self.allocated)
            && self.reserved_units() <= self.usable()
    }
}

/// Quota on offer, or lent by one. A sale is over once it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct QuotaOffer {
    /// Whose.
    pub owner: AccountId,
    /// Of which capability.
    pub capability: Capabilities,
    /// Units a period.
    pub units: u64,
    /// For all of it.
    pub price: Uftns,
    /// Lent for so many periods, the running one included; sold for good when nothing.
    pub periods: Option<u32>,
    /// Who has borrowed it, and until when.
    pub lent: Option<QuotaLoan>,
}

/// A loan that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct QuotaLoan {
    /// Who has it.
    pub borrower: AccountId,
    /// It goes back by itself then.
    pub until: TimeMs,
}

/// What an emergency took for one task.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct QuotaDraw {
    /// Where the emergency is.
    pub region: Region,
    /// Whose task it is for.
    pub opener: AccountId,
    /// Of which capability.
    pub capability: Capabilities,
    /// From whom, least urgent first.
    pub taken: Vec<TakenQuota>,
}

/// What was taken from one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TakenQuota {
    /// Whose quota.
    pub owner: AccountId,
    /// The task it was set aside for; it goes back there while that is open.
    pub escrow: EscrowId,
    /// Units.
    pub units: u64,
}

impl QuotaDraw {
    /// All of it.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.taken.iter().fold(0, |sum: u64, taken| sum.saturating_add(taken.units))
    }
}
