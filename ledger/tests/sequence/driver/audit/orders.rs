//! Listings and orders in the auditor's books.

use super::{Auditor, Claim, Locked, Work, standing};
use mesh30k_ledger::ops::{ListingTerms, Operation};
use mesh30k_ledger::outcome::DueEvent;
use mesh30k_ledger::records::{ListingKind, Safety};
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{AccountId, Hash, TxId};
use std::collections::{BTreeMap, BTreeSet};

struct Listing {
    seller: AccountId,
    kind: ListingKind,
    terms: ListingTerms,
    safety: Safety,
    words: BTreeMap<AccountId, Safety>,
    closed: bool,
}

/// An order with what was agreed when it was made.
pub struct Order {
    buyer: AccountId,
    pub seller: AccountId,
    content: Option<Hash>,
    pub paid: i128,
    rated: bool,
}

#[derive(Default)]
pub struct Orders {
    listings: BTreeMap<TxId, Listing>,
    of: BTreeMap<TxId, Order>,
}

/// A hundredth, rounded up.
pub fn commission(paid: i128) -> i128 {
    (paid + 99) / 100
}

impl Auditor {
    pub(super) fn order(&mut self, id: &TxId) -> Option<&mut Order> {
        self.orders.of.get_mut(id)
    }

    fn listing(&mut self, id: &TxId) -> &mut Listing {
        self.orders.listings.get_mut(id).expect("audit: an unknown listing")
    }

    pub(super) fn ordered(&mut self, tx: &Transaction, id: TxId) {
        let who = tx.account;
        match &tx.op {
            Operation::CreateListing(op) => {
                let standing = self.orders.listings.values().filter(|of| of.seller == who && !of.closed).count();
                assert!(standing < 64, "audit: more than 64 listings of one account");
                let (kind, terms) = (op.kind, op.terms.clone());
                let (safety, words) = (Safety::Unreviewed, BTreeMap::new());
                self.orders.listings.insert(id, Listing { seller: who, kind, terms, safety, words, closed: false });
            }
            Operation::ChangeListing(op) => {
                let listing = self.listing(&op.listing);
                assert!(listing.seller == who && !listing.closed, "audit: who may change what");
                assert_eq!(listing.terms.content, op.terms.content, "audit: clients never change what is offered");
                listing.terms = op.terms.clone();
            }
            Operation::WithdrawListing(op) => {
                let listing = self.listing(&op.listing);
                assert!(listing.seller == who && !listing.closed, "audit: who may withdraw what");
                listing.closed = true;
            }
            Operation::ReviewListing(op) => {
                let listing = self.listing(&op.listing);
                assert!(listing.safety != op.safety && listing.seller != who, "audit: said again, or of oneself");
                listing.words.insert(who, op.safety);
                if listing.words.values().filter(|word| **word == op.safety).count() >= 2 {
                    listing.safety = op.safety;
                    listing.words.clear();
                }
            }
            Operation::PlaceOrder(op) => {
                let now = self.now;
                let listing = self.listing(&op.listing);
                assert!(!listing.closed && now < listing.terms.until, "audit: ordered too late");
                assert!(listing.safety != Safety::Unsafe && listing.seller != who, "audit: unsafe, or from oneself");
                let (amount, seller) = (i128::from(listing.terms.price.0), listing.seller);
                assert!(amount <= i128::from(op.max_price.0), "audit: dearer than was said");
                let is_work = matches!(listing.kind, ListingKind::Agent(_) | ListingKind::Compute);
                assert_eq!(is_work, op.work.is_some(), "audit: work is ordered with a task, content without");
                let content = (!is_work).then_some(listing.terms.content);
                let (reserve, parts) = op.work.map_or((0, 1), |work| (work.reserve_per_part.0, work.parts));
                let (reserve, open_parts) = (i128::from(reserve), i128::from(parts));
                self.debit(who, (amount + reserve) * open_parts);
                let listed = self.books[&who].listed;
                let locked = Locked { opener: who, amount, reserve, listed, open_parts, released: BTreeSet::new() };
                self.escrows.insert(id, locked);
                self.orders.of.insert(id, Order { buyer: who, seller, content, paid: 0, rated: false });
            }
            Operation::ClaimDelivery(op) => {
                let order = &self.orders.of[&op.order];
                assert!(order.seller == who && order.content.is_some(), "audit: who claims what");
                let (opener, work) = (order.buyer, Work::Delivery);
                let claim = Claim { opener, worker: who, work, bond: 0, rulings: [0; 2] };
                assert!(self.claims.insert((op.order, 0), claim).is_none(), "audit: delivered twice");
            }
            Operation::AcceptDelivery(op) => {
                assert_eq!(self.orders.of[&op.order].buyer, who, "audit: a stranger accepted");
                self.settle_delivery(op.order);
            }
            Operation::RateOrder(op) => {
                let order = self.orders.of.get_mut(&op.order).expect("audit: an unknown order was rated");
                assert!(order.buyer == who && order.paid > 0 && !order.rated, "audit: rated by whoever paid, once");
                order.rated = true;
                let seller = order.seller;
                self.judged(seller, 2 * (i128::from(op.stars) - 3));
            }
            _ => self.quota_moved(tx, id),
        }
    }

    /// The whole price: a hundredth to the treasury, the rest to the owners and up the provenance.
    pub(super) fn settle_delivery(&mut self, id: TxId) {
        let locked = self.escrows.get_mut(&id).expect("audit: an unknown order was paid");
        assert!(locked.released.insert(0), "audit: content was paid twice");
        locked.open_parts -= 1;
        let amount = locked.amount;
        let order = self.orders.of.get_mut(&id).expect("audit: no order behind a delivery");
        order.paid += 1;
        let content = order.content.expect("audit: work was delivered");
        let fee = commission(amount);
        self.treasury += fee;
        let (buyer, seller) = (order.buyer, order.seller);
        self.downloaded(content, buyer);
        self.earned_by_content(content, amount - fee, buyer);
        self.judged(seller, standing::PAID);
    }

    pub(super) fn listing_fell_due(&mut self, event: &DueEvent) {
        if let DueEvent::ListingEnded { listing, .. } = event {
            let now = self.now;
            let listing = self.listing(listing);
            assert!(!listing.closed && listing.terms.until <= now, "audit: a listing ended early or twice");
            listing.closed = true;
        }
    }
}
