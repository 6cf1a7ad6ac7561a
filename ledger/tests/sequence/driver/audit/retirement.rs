//! What workers owe in retired credits, in the auditor's books.

use super::Auditor;
use mesh30k_ledger::types::AccountId;

/// Short enough that a history of hours has many.
pub const RETIREMENT_PERIOD_MS: u64 = 600_000;

#[derive(Default)]
pub struct Owed {
    period: u64,
    running: i128,
    due: i128,
    spent: i128,
    paid: i128,
}

impl Auditor {
    /// Of the running period, of those before, retired for it, paid for it.
    pub fn owed_credits(&self, worker: &AccountId) -> [i128; 4] {
        self.owed.get(worker).map_or([0; 4], |owed| [owed.running, owed.due, owed.spent, owed.paid])
    }

    /// What is kept back from a wage: a uFTNS for ten micrograms that are due and could have been bought. Whoever lacks some of 70 %
    /// owes as much of its footprint.
    pub(super) fn kept_back(&mut self, worker: AccountId, footprint_ug: i128, renewable: u32, wage: i128) -> i128 {
        let period = self.now.0 / RETIREMENT_PERIOD_MS;
        let supply: i128 = self.books.values().map(|book| book.credits).sum();
        let retired = self.books.get(&worker).map_or(0, |book| book.retired);
        let owed = self.owed.entry(worker).or_default();
        if owed.period < period {
            owed.due += std::mem::take(&mut owed.running);
            owed.period = period;
        }
        let fresh = owed.due.min(retired - owed.spent);
        owed.spent += fresh;
        let paid = (owed.due - fresh).min(supply).min(wage * 10);
        owed.due -= fresh + paid;
        owed.paid += paid;
        let lacks = (700_000 - i128::from(renewable)).max(0);
        owed.running += (footprint_ug * lacks + 999_999) / 1_000_000;
        let kept = (paid + 9) / 10;
        self.carbon_pool += kept;
        kept
    }
}
