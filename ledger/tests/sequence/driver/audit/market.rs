//! Claims and auctions in the auditor's books.

use super::{Auditor, Claim, Earned, Locked, Lot, Work, standing};
use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::records::{Contribution, Duty};
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{AccountId, Hash, TxId};
use std::collections::{BTreeMap, BTreeSet};

const DISPUTE_BOND: i128 = 10_001;
const BID_BOND: i128 = 5_001;
const EMISSION: i128 = 20_000_000;

impl Auditor {
    pub(super) fn traded(&mut self, tx: &Transaction, id: TxId) {
        match &tx.op {
            Operation::ClaimPart(op) => {
                let report = op.receipt.report;
                let opener = self.escrows[&op.escrow].opener;
                let claim =
                    Claim { opener, worker: tx.account, work: Work::Part(Box::new(report)), bond: 0, rulings: [0; 2] };
                let before = self.claims.insert((op.escrow, report.part), claim);
                assert!(before.is_none(), "audit: a part was claimed twice");
            }
            Operation::DisputeClaim(op) => {
                self.debit(tx.account, DISPUTE_BOND);
                let claim = self.claims.get_mut(&(op.escrow, op.part)).expect("audit: an unknown claim");
                assert_eq!((claim.opener, claim.bond), (tx.account, 0), "audit: who may dispute, once");
                claim.bond = DISPUTE_BOND;
                self.contested(op.escrow);
            }
            Operation::RuleClaim(op) => {
                let claim = self.claims.get_mut(&(op.escrow, op.part)).expect("audit: an unknown claim");
                let rulings = &mut claim.rulings[usize::from(op.pay)];
                *rulings += 1;
                match (*rulings, op.pay) {
                    (2, true) => self.claim_stands(op.escrow, op.part),
                    (2, false) => self.claim_falls(op.escrow, op.part, true),
                    _ => {}
                }
            }
            Operation::OpenAuction(op) => {
                let (max, reserve) = (i128::from(op.max_price.0), i128::from(op.reserve.0));
                self.debit(tx.account, max + reserve);
                let (opener, listed) = (tx.account, self.books[&tx.account].listed);
                let (bids, work_ms) = (BTreeMap::new(), op.release_deadline.0 - op.reveal_until.0);
                self.lots.insert(id, Lot { opener, max, reserve, listed, bids, work_ms });
            }
            Operation::SealBid(op) => {
                self.debit(tx.account, BID_BOND);
                let lot = self.lots.get_mut(&op.auction).expect("audit: an unknown auction");
                assert!(lot.bids.insert(tx.account, None).is_none(), "audit: a second bid");
            }
            Operation::OpenBid(op) => {
                let lot = self.lots.get_mut(&op.auction).expect("audit: an unknown auction");
                let before = lot.bids.insert(tx.account, Some((i128::from(op.price.0), i128::from(op.carbon_ug))));
                assert_eq!(before, Some(None), "audit: a bid that was not sealed, or opened twice");
            }
            Operation::ClaimContribution(op) => {
                let (account, amount) = (tx.account, i128::from(op.amount.0));
                self.earned.insert(op.evidence, Earned { account, kind: op.kind, amount, attested: 0 });
            }
            Operation::AttestContribution(op) => self.attested(op.evidence),
            Operation::RegisterContent(op) => {
                assert!(self.contents.insert(op.content, op.clone()).is_none(), "audit: content registered twice");
            }
            Operation::BuyUse(op) => self.bought(tx.account, op.content),
            Operation::RateContent(op) => self.rated(op.content, op.stars),
            Operation::CollectRoyalties(op) => self.collected(op.content),
            Operation::ReportIntensity(_)
            | Operation::DeclareHardware(_)
            | Operation::RotateKey(_)
            | Operation::Anchor(_)
            | Operation::SignalEmergency(_) => {}
            Operation::DeclarePurpose(op) => self.declared(tx.account, op.escrow, op.purpose),
            Operation::ReclassifyPurpose(op) => self.reclassified(tx.account, op.escrow, op.purpose),
            _ => self.ordered(tx, id),
        }
    }

    fn bought(&mut self, buyer: AccountId, content: Hash) {
        let price = i128::from(self.contents[&content].price.0);
        self.debit(buyer, price);
        self.used(content, buyer);
        self.earned_by_content(content, price, buyer);
    }

    /// By one use or download.
    pub(super) fn earned_by_content(&mut self, content: Hash, earned: i128, by: AccountId) {
        let own = self.contents[&content].owners.iter().any(|share| share.owner == by);
        self.earned_up(content, earned, (1, i128::from(!own)), Some(by));
    }

    /// Level by level, sixteen contents at most: royalties up, the rest to the owners, what no share takes to the treasury.
    pub(super) fn earned_up(
        &mut self,
        content: Hash,
        earned: i128,
        (uses, others): (i128, i128),
        by: Option<AccountId>,
    ) {
        let mut level = vec![(content, earned)];
        let mut known = 1;
        while !level.is_empty() {
            let mut above = Vec::new();
            for (id, earned) in level {
                let record = self.contents[&id].clone();
                let mut kept = earned;
                for parent in &record.parents {
                    let royalty = earned * i128::from(parent.royalty_ppm) / 1_000_000;
                    if royalty > 0 && known < 16 {
                        known += 1;
                        kept -= royalty;
                        above.push((parent.content, royalty));
                        self.cited(parent.content, uses, others, by);
                    }
                }
                let mut rest = kept;
                for share in &record.owners {
                    let due = kept * i128::from(share.ppm) / 1_000_000;
                    rest -= due;
                    self.credit(share.owner, due);
                }
                self.treasury += rest;
            }
            level = above;
        }
    }

    /// The second word pays: within the kind's share of the day's emission, and the cap.
    fn attested(&mut self, evidence: Hash) {
        let earned = self.earned.get_mut(&evidence).expect("audit: an unknown contribution was attested");
        earned.attested += 1;
        assert!(earned.attested <= 2, "audit: a contribution was paid twice");
        if earned.attested < 2 {
            return;
        }
        let (account, kind, amount) = (earned.account, earned.kind, earned.amount);
        let amount = amount + self.impact_bonus(evidence, account, amount);
        let day = self.now.0 / 86_400_000;
        if self.emitted.0 != day {
            self.emitted = (day, BTreeMap::new());
        }
        let percent = match kind {
            Contribution::Data | Contribution::Model | Contribution::Research => 15,
            Contribution::Governance => 5,
            _ => 10,
        };
        let before = self.emitted.1.entry(kind).or_default();
        let paid = amount.min(EMISSION * percent / 100 - *before).min(self.supply_cap - self.minted);
        *before += paid;
        self.minted += paid;
        self.credit(account, paid);
    }

    /// The bond of a dispute goes to the worker, and so does the part unless it was paid or its escrow is gone.
    pub(super) fn claim_stands(&mut self, escrow: TxId, part: u32) {
        let claim = self.claims.get_mut(&(escrow, part)).expect("audit: an unknown claim was paid");
        let (worker, work, bond) = (claim.worker, claim.work.clone(), std::mem::take(&mut claim.bond));
        self.credit(worker, bond);
        if self.escrows.get(&escrow).is_some_and(|locked| !locked.released.contains(&part)) {
            match work {
                Work::Part(report) => self.settle(escrow, &report),
                Work::Delivery => self.settle_delivery(escrow),
            }
        }
    }

    pub(super) fn claim_falls(&mut self, escrow: TxId, part: u32, ruled: bool) {
        let claim = self.claims.get_mut(&(escrow, part)).expect("audit: an unknown claim fell");
        let (worker, opener, bond) = (claim.worker, claim.opener, std::mem::take(&mut claim.bond));
        self.credit(opener, bond);
        if ruled {
            self.slash(worker, Duty::Host, opener);
            self.judged(worker, standing::FALSE_RECEIPT);
        }
    }

    pub(super) fn auctioned(&mut self, id: TxId, winner: Option<AccountId>) {
        let lot = self.lots.remove(&id).expect("audit: an unknown auction ended");
        for (bidder, opened) in &lot.bids {
            match opened {
                Some(_) => self.credit(*bidder, BID_BOND),
                None => {
                    self.treasury += BID_BOND;
                    self.judged(*bidder, standing::NEVER_OPENED);
                }
            }
        }
        let fit = lot.bids.values().flatten().count();
        assert_eq!(winner.is_some(), fit > 0, "audit: a winner when and only when there is a bid");
        let Some(winner) = winner else { return self.credit(lot.opener, lot.max + lot.reserve) };
        let (amount, expected) = lot.bids[&winner].expect("audit: the winner opened its bid");
        self.best_won(&lot.bids, winner);
        self.has_won(id, winner, expected, lot.work_ms);
        self.credit(lot.opener, lot.max - amount);
        let (opener, reserve, listed) = (lot.opener, lot.reserve, lot.listed);
        let order = Locked { opener, amount, reserve, listed, open_parts: 1, released: BTreeSet::new() };
        self.escrows.insert(id, order);
    }
}
