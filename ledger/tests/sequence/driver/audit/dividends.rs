//! Dividends in the auditor's books: everybody's lowest points are followed one by one, and every quarter's shares are worked out at
//! once when it ends, which the ledger never does.

use super::Auditor;
use mesh30k_ledger::outcome::DueEvent;
use mesh30k_ledger::types::{AccountId, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

/// As in the driver's genesis.
pub const QUARTER_MS: u64 = 300_000;
const QUARTERS_KEPT: u32 = 8;

#[derive(Default, Clone, Copy)]
struct Low {
    all: i128,
    staked: i128,
    seasoned: i128,
}

/// A quarter that ended: what is left of it, and whom it owes how much.
struct Owed {
    left: i128,
    to: BTreeMap<AccountId, i128>,
}

#[derive(Default)]
pub struct Dividends {
    lows: BTreeMap<AccountId, Low>,
    seasoned: i128,
    ends: TimeMs,
    number: u32,
    owed: BTreeMap<u32, Owed>,
    /// What everybody had before the block in which a quarter ended: free and staked, staked.
    opening: BTreeMap<AccountId, (i128, i128)>,
    pub touched: BTreeSet<AccountId>,
}

impl Auditor {
    pub(super) fn quarters_begin(&mut self, start: TimeMs) {
        self.dividends.ends = start.plus_ms(QUARTER_MS);
        self.dividends.lows =
            self.books.iter().map(|(id, book)| (*id, Low { all: book.free, ..Low::default() })).collect();
    }

    pub(super) fn keep_opening(&mut self) {
        if self.now >= self.dividends.ends {
            let held = |(id, book): (&AccountId, &super::Book)| (*id, (book.free + book.staked, book.staked));
            self.dividends.opening = self.books.iter().map(held).collect();
        }
    }

    /// A quarter ends, or its rest lapses.
    pub(super) fn quarter(&mut self, event: &DueEvent) {
        match event {
            DueEvent::QuarterEnded { quarter, .. } => {
                assert_eq!(*quarter, self.dividends.number, "audit: quarters out of order");
                assert!(self.now >= self.dividends.ends, "audit: a quarter ended early");
                self.end_quarter();
            }
            DueEvent::DividendLapsed { quarter, .. } => {
                assert_eq!(quarter + QUARTERS_KEPT, self.dividends.number, "audit: a dividend lapsed early or late");
                let owed = self.dividends.owed.remove(quarter).expect("audit: an unknown dividend lapsed");
                self.treasury += owed.left;
            }
            _ => {}
        }
    }

    fn end_quarter(&mut self) {
        let sum = |part: fn(&Low) -> i128| self.dividends.lows.values().map(part).sum::<i128>();
        let (all, staked, seasoned) = (sum(|low| low.all), sum(|low| low.staked), self.dividends.seasoned);
        let weight = |all: i128, staked: i128, seasoned: i128| all + staked / 4 + seasoned / 4;
        let pool = self.treasury / 2;
        self.treasury -= pool;
        let total = weight(all, staked, seasoned);
        let share = |low: &Low| pool * weight(low.all, low.staked, low.seasoned) / total;
        let to: BTreeMap<AccountId, i128> =
            self.dividends.lows.iter().map(|(id, low)| (*id, share(low))).filter(|(_, amount)| *amount > 0).collect();
        assert!(to.values().sum::<i128>() <= pool, "audit: more is owed than there is");
        if pool > 0 {
            self.dividends.owed.insert(self.dividends.number, Owed { left: pool, to });
        }
        self.dividends.seasoned += (all - self.dividends.seasoned) / 2;
        for (id, (held, bonded)) in std::mem::take(&mut self.dividends.opening) {
            let low = self.dividends.lows.entry(id).or_default();
            low.seasoned += (low.all - low.seasoned) / 2;
            (low.all, low.staked) = (held, bonded);
        }
        self.dividends.number += 1;
        self.dividends.ends = self.dividends.ends.plus_ms(QUARTER_MS);
    }

    /// What ended quarters owe everybody together, with what rounding leaves.
    pub(super) fn unpaid_dividends(&self) -> i128 {
        self.dividends.owed.values().map(|owed| owed.left).sum()
    }

    /// What ended quarters owe an account.
    pub fn owed(&self, id: &AccountId) -> i128 {
        self.dividends.owed.values().filter_map(|owed| owed.to.get(id)).sum()
    }

    pub(super) fn paid_dividend(&mut self, id: AccountId) {
        let mut amount = 0;
        for owed in self.dividends.owed.values_mut() {
            let due = owed.to.remove(&id).unwrap_or(0);
            owed.left -= due;
            amount += due;
        }
        assert!(amount > 0, "audit: a dividend for nothing");
        self.credit(id, amount);
    }

    /// What an account has at the end of a block may be its least of the quarter.
    pub(super) fn note_lows(&mut self) {
        for id in std::mem::take(&mut self.dividends.touched) {
            let book = &self.books[&id];
            let low = self.dividends.lows.entry(id).or_default();
            low.all = low.all.min(book.free + book.staked);
            low.staked = low.staked.min(book.staked);
            let kept = low.seasoned.min(low.all);
            self.dividends.seasoned -= low.seasoned - kept;
            low.seasoned = kept;
        }
    }
}
