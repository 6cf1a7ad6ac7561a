//! Quota in the auditor's books. All agents of a history can compute and nothing else, so there is one kind of it.

use super::Auditor;
use mesh30k_ledger::ops::{AgentRegistration, OfferQuota, Operation};
use mesh30k_ledger::outcome::DueEvent;
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{AccountId, TimeMs, TxId};
use std::collections::{BTreeMap, BTreeSet};

/// As in the driver's genesis.
pub const QUOTA_PERIOD_MS: u64 = 100_000;
pub const QUOTA_AGENT_UNITS: u64 = 60;
const LEAST_TO_TRADE: i128 = 100_000_000;

#[derive(Default)]
struct Quota {
    own: i128,
    borrowed: i128,
    lent: i128,
    offered: i128,
    drawn: i128,
    yielded: i128,
    reserved: BTreeMap<TxId, i128>,
    /// Period and what was used in it.
    used: (u64, i128),
}

impl Quota {
    fn usable(&self) -> i128 {
        (self.own - self.lent - self.offered + self.borrowed + self.drawn - self.yielded).max(0)
    }

    fn set_aside(&self) -> i128 {
        self.reserved.values().sum()
    }

    fn free(&self, period: u64) -> i128 {
        let used = if self.used.0 == period { self.used.1 } else { 0 };
        (self.usable() - self.set_aside() - used).max(0)
    }

    /// The last task of all gives way first.
    fn cut(&mut self) {
        while self.set_aside() > self.usable() {
            let over = self.set_aside() - self.usable();
            let mut last = self.reserved.last_entry().unwrap();
            *last.get_mut() -= over;
            if *last.get() <= 0 {
                last.remove();
            }
        }
    }
}

struct Offer {
    owner: AccountId,
    terms: OfferQuota,
    /// Who has borrowed it, until when.
    lent: Option<(AccountId, TimeMs)>,
}

struct Drawn {
    opener: AccountId,
    from: Vec<(AccountId, TxId, i128)>,
}

#[derive(Default)]
pub struct Quotas {
    of: BTreeMap<AccountId, Quota>,
    offers: BTreeMap<TxId, Offer>,
    draws: BTreeMap<TxId, Drawn>,
}

impl Auditor {
    fn quota_period(&self) -> u64 {
        self.now.0 / QUOTA_PERIOD_MS
    }

    /// Own, borrowed, lent, offered, drawn, yielded, set aside.
    pub fn quota(&self, id: &AccountId) -> [i128; 7] {
        let Some(quota) = self.quotas.of.get(id) else { return [0; 7] };
        let Quota { own, borrowed, lent, offered, drawn, yielded, .. } = *quota;
        [own, borrowed, lent, offered, drawn, yielded, quota.set_aside()]
    }

    pub fn quota_free(&self, id: &AccountId) -> i128 {
        self.quotas.of.get(id).map_or(0, |quota| quota.free(self.quota_period()))
    }

    pub(super) fn quota_came(&mut self, host: AccountId, agents: &[AgentRegistration]) {
        let units = agents.len() as i128 * i128::from(QUOTA_AGENT_UNITS);
        self.quotas.of.entry(host).or_default().own += units;
    }

    pub(super) fn quota_moved(&mut self, tx: &Transaction, id: TxId) {
        let period = self.quota_period();
        match &tx.op {
            Operation::OfferQuota(op) => {
                assert!(self.books[&tx.account].free >= LEAST_TO_TRADE, "audit: somebody poor offers quota");
                let quota = self.quotas.of.entry(tx.account).or_default();
                let kept = quota.own - quota.lent - quota.offered;
                let units = i128::from(op.units);
                assert!(units > 0 && units <= quota.free(period).min(kept), "audit: more quota offered than there is");
                quota.offered += units;
                self.quotas.offers.insert(id, Offer { owner: tx.account, terms: *op, lent: None });
            }
            Operation::TakeQuota(op) => self.take_quota(tx.account, op.offer),
            Operation::WithdrawQuota(op) => {
                let offer = self.quotas.offers.remove(&op.offer).expect("audit: an unknown offer was called off");
                assert!(offer.owner == tx.account && offer.lent.is_none(), "audit: who may call off what");
                self.quotas.of.get_mut(&tx.account).unwrap().offered -= i128::from(offer.terms.units);
            }
            Operation::ReserveQuota(op) => {
                assert!(self.is_open(&op.escrow) && !self.quotas.draws.contains_key(&op.escrow), "audit: set aside");
                let quota = self.quotas.of.entry(tx.account).or_default();
                let before = quota.reserved.remove(&op.escrow).unwrap_or(0);
                let units = i128::from(op.units);
                assert!(units <= quota.free(period).max(before), "audit: more quota set aside than there is");
                if units > 0 {
                    quota.reserved.insert(op.escrow, units);
                }
            }
            Operation::DrawQuota(op) => self.draw_quota(tx.account, op.escrow, i128::from(op.units)),
            other => panic!("audit: nobody told the auditor of {other:?}"),
        }
    }

    fn take_quota(&mut self, taker: AccountId, id: TxId) {
        assert!(self.books[&taker].free >= LEAST_TO_TRADE, "audit: somebody poor takes quota");
        let period = self.quota_period();
        let offer = self.quotas.offers.get_mut(&id).expect("audit: an unknown offer was taken");
        assert!(offer.lent.is_none() && offer.owner != taker, "audit: an offer was taken twice, or by its owner");
        let (owner, price, units) = (offer.owner, offer.terms.price.0, i128::from(offer.terms.units));
        let periods = offer.terms.periods;
        if let Some(periods) = periods {
            offer.lent = Some((taker, TimeMs((period + u64::from(periods)) * QUOTA_PERIOD_MS)));
        } else {
            self.quotas.offers.remove(&id);
        }
        let quota = self.quotas.of.get_mut(&owner).unwrap();
        quota.offered -= units;
        if periods.is_some() {
            quota.lent += units
        } else {
            quota.own -= units
        }
        let quota = self.quotas.of.entry(taker).or_default();
        if periods.is_some() {
            quota.borrowed += units
        } else {
            quota.own += units
        }
        self.pay(taker, owner, price);
    }

    /// From proof-of-work first, then from luxury, in order of task; sixteen at most, nothing from oneself.
    fn draw_quota(&mut self, opener: AccountId, task: TxId, units: i128) {
        assert_eq!(self.purpose(&task), Some(Purpose::DisasterResponse), "audit: drawn for other work");
        let mut sources = BTreeSet::new();
        for (owner, quota) in &self.quotas.of {
            for from in quota.reserved.keys() {
                match self.purpose(from) {
                    Some(Purpose::ProofOfWork) => sources.insert((0, *from, *owner)),
                    Some(Purpose::Luxury) => sources.insert((1, *from, *owner)),
                    _ => false,
                };
            }
        }
        let (mut left, mut from) = (units, Vec::new());
        for (_, source, owner) in sources.into_iter().take(16) {
            if left == 0 || owner == opener {
                continue;
            }
            let quota = self.quotas.of.get_mut(&owner).unwrap();
            let taken = left.min(quota.reserved[&source]);
            quota.set(source, quota.reserved[&source] - taken);
            quota.yielded += taken;
            left -= taken;
            from.push((owner, source, taken));
        }
        let quota = self.quotas.of.entry(opener).or_default();
        quota.drawn += units - left;
        *quota.reserved.entry(task).or_default() += units - left;
        assert!(units > left, "audit: nothing was drawn");
        let before = self.quotas.draws.insert(task, Drawn { opener, from });
        assert!(before.is_none(), "audit: drawn twice for one task");
    }

    pub(super) fn quota_fell_due(&mut self, event: &DueEvent) {
        match event {
            DueEvent::QuotaReturned { offer, .. } => {
                let offer = self.quotas.offers.remove(offer).expect("audit: an unknown loan went back");
                let (borrower, until) = offer.lent.expect("audit: what nobody borrowed went back");
                assert!(self.now >= until, "audit: a loan went back early");
                let units = i128::from(offer.terms.units);
                self.quotas.of.get_mut(&offer.owner).unwrap().lent -= units;
                let quota = self.quotas.of.get_mut(&borrower).unwrap();
                quota.borrowed -= units;
                quota.cut();
            }
            DueEvent::QuotaDrawEnded { escrow, .. } => {
                let draw = self.quotas.draws.remove(escrow).expect("audit: an unknown draw ended");
                let units: i128 = draw.from.iter().map(|(_, _, units)| units).sum();
                let open = self.is_open(escrow);
                let quota = self.quotas.of.get_mut(&draw.opener).unwrap();
                quota.drawn -= units;
                let had = quota.reserved.get(escrow).copied().unwrap_or(0);
                quota.set(*escrow, if open { (had - units).max(0) } else { 0 });
                quota.cut();
                for (owner, task, units) in draw.from {
                    let open = self.is_open(&task);
                    let quota = self.quotas.of.get_mut(&owner).unwrap();
                    quota.yielded -= units;
                    if open {
                        let room = quota.usable() - quota.set_aside();
                        let had = quota.reserved.get(&task).copied().unwrap_or(0);
                        quota.set(task, had + units.min(room));
                    }
                }
            }
            _ => {}
        }
    }

    /// What of so many units a task's quota covers.
    pub(super) fn quota_covers(&mut self, opener: AccountId, task: TxId, units: i128) -> i128 {
        let period = self.quota_period();
        let Some(quota) = self.quotas.of.get_mut(&opener) else { return 0 };
        let Some(reserved) = quota.reserved.get(&task).copied() else { return 0 };
        let covered = reserved.min(units);
        quota.set(task, reserved - covered);
        let used = if quota.used.0 == period { quota.used.1 } else { 0 };
        quota.used = (period, used + covered);
        covered
    }

    /// A task is over: paid, or its rest went back. What was drawn for it goes back later.
    pub(super) fn quota_freed(&mut self, opener: AccountId, task: TxId) {
        let drawn = self.quotas.draws.contains_key(&task);
        if let Some(quota) = self.quotas.of.get_mut(&opener).filter(|_| !drawn) {
            quota.reserved.remove(&task);
        }
    }

    fn is_open(&self, task: &TxId) -> bool {
        self.escrows.get(task).is_some_and(|locked| locked.open_parts > 0)
    }
}

impl Quota {
    fn set(&mut self, task: TxId, units: i128) {
        if units > 0 {
            self.reserved.insert(task, units);
        } else {
            self.reserved.remove(&task);
        }
    }
}
