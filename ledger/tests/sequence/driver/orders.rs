//! Operations at random, continued: listings and orders.

use super::Draft;
use super::client::{Client, Offer, one, remember};
use super::draw::{reserve, small};
use crate::common::{key, region};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{
    AcceptDelivery, Capabilities, ChangeListing, ClaimDelivery, CreateListing, ListingTerms, Operation, OrderedWork,
    PlaceOrder, RateOrder, ReviewListing, WithdrawListing,
};
use mesh30k_ledger::outcome::Effect;
use mesh30k_ledger::records::{EnergySource, ListingKind, Safety};
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{Hash, TxId, Uftns};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Client {
    fn terms(&self, rng: &mut ChaCha8Rng, content: Hash) -> ListingTerms {
        let energy = [EnergySource::Unstated, EnergySource::Grid, EnergySource::Contracted][rng.random_range(0..3)];
        ListingTerms {
            title: "an offer".into(),
            about: String::new(),
            content,
            capability: rng.random_ratio(9, 10).then_some(Capabilities::COMPUTE),
            region: rng.random_ratio(1, 10).then(|| region("DE")),
            energy,
            price: small(rng),
            until: self.now.plus_ms(rng.random_range(0..400_000)),
        }
    }

    /// Hosts offer work, owners of content their content; some offer what is not theirs.
    pub fn offer(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let host = key(rng.random_range(1..=4));
        let (from, kind, content) = match rng.random_range(0..4) {
            0 => (host, ListingKind::Compute, Hash::of(b"work")),
            1 => {
                let agent = one(&self.agents, rng)?;
                let from = if rng.random_ratio(1, 10) { host } else { self.host_key(agent.node) };
                (from, ListingKind::Agent(agent.id), Hash::of(b"agent"))
            }
            of => {
                let (content, owner) = one(&self.owned, rng)?;
                let from = if rng.random_ratio(1, 10) { self.anybody(rng) } else { self.signer(&owner)? };
                (from, if of == 2 { ListingKind::Model } else { ListingKind::Data }, content)
            }
        };
        let terms = self.terms(rng, content);
        Some(Draft { from, op: Operation::CreateListing(CreateListing { kind, terms }) })
    }

    fn seller(&self, rng: &mut ChaCha8Rng, offer: &Offer) -> Option<SecretKey> {
        if rng.random_ratio(1, 10) { Some(self.anybody(rng)) } else { self.signer(&offer.seller) }
    }

    pub fn change_offer(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let offer = one(&self.listings, rng)?;
        let from = self.seller(rng, &offer)?;
        if rng.random_ratio(1, 4) {
            let op = WithdrawListing { listing: offer.id };
            return Some(Draft { from, op: Operation::WithdrawListing(op) });
        }
        let terms = self.terms(rng, offer.content);
        Some(Draft { from, op: Operation::ChangeListing(ChangeListing { listing: offer.id, terms }) })
    }

    pub fn review_offer(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        // Of the latest, so that two reviewers meet at one; of one mind mostly: one in four is unsafe.
        let latest = self.listings.len().saturating_sub(6);
        let listing = one(&self.listings[latest..], rng)?.id;
        let good = if listing.0[0] & 3 == 0 { Safety::Unsafe } else { Safety::Reviewed };
        let safety = if rng.random_ratio(1, 6) { Safety::Unreviewed } else { good };
        let op = ReviewListing { listing, safety };
        Some(Draft { from: key(rng.random_range(1..=4)), op: Operation::ReviewListing(op) })
    }

    pub fn order(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let offer = one(&self.listings, rng)?;
        let is_work = offer.kind.is_work() != rng.random_ratio(1, 20);
        let work = is_work.then(|| OrderedWork {
            task: Hash(rng.random()),
            module: Hash::of(b"module"),
            parts: rng.random_range(0..6),
            reserve_per_part: reserve(rng),
        });
        let op = PlaceOrder {
            listing: offer.id,
            max_price: Uftns(rng.random_range(0..80_000)),
            work,
            release_deadline: self.now.plus_ms(rng.random_range(0..90_000)),
        };
        let from = if rng.random_ratio(1, 3) { self.well_off(rng) } else { self.anybody(rng) };
        Some(Draft { from, op: Operation::PlaceOrder(op) })
    }

    /// Either side of an order of content moves it on.
    pub fn deliver(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (order, buyer, seller) = one(&self.deliveries, rng)?;
        let stranger = rng.random_ratio(1, 20).then(|| self.anybody(rng));
        if rng.random_ratio(1, 2) {
            let from = stranger.or_else(|| self.signer(&seller))?;
            return Some(Draft { from, op: Operation::ClaimDelivery(ClaimDelivery { order }) });
        }
        let from = stranger.or_else(|| self.signer(&buyer))?;
        Some(Draft { from, op: Operation::AcceptDelivery(AcceptDelivery { order }) })
    }

    pub fn rate_order(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (order, buyer) = one(&self.orders, rng)?;
        let from = if rng.random_ratio(1, 20) { self.anybody(rng) } else { self.signer(&buyer)? };
        let op = RateOrder { order, stars: rng.random_range(0..7) };
        Some(Draft { from, op: Operation::RateOrder(op) })
    }

    pub fn traded(&mut self, tx: &Transaction, id: TxId, effect: &Effect) {
        self.said(effect);
        match &tx.op {
            Operation::RegisterContent(op) => {
                op.owners.iter().for_each(|share| remember(&mut self.owned, (op.content, share.owner)));
            }
            Operation::EscrowOpen(op) if self.contents.contains(&op.module) => {
                remember(&mut self.modules, op.module);
            }
            Operation::CreateListing(op) => {
                let offer = Offer { id, seller: tx.account, kind: op.kind, content: op.terms.content };
                remember(&mut self.listings, offer);
            }
            Operation::WithdrawListing(op) => self.listings.retain(|offer| offer.id != op.listing),
            Operation::PlaceOrder(op) => {
                remember(&mut self.orders, (id, tx.account));
                match (&op.work, effect) {
                    (Some(work), _) => {
                        let OrderedWork { task, module, parts, .. } = *work;
                        let task = super::client::Task { id, opener: tx.account, task, module, parts };
                        remember(&mut self.tasks, task);
                    }
                    (None, Effect::Ordered { seller, .. }) => {
                        remember(&mut self.deliveries, (id, tx.account, *seller));
                    }
                    _ => {}
                }
            }
            Operation::ClaimDelivery(op) => {
                let buyer = self.deliveries.iter().find(|(order, ..)| *order == op.order).map(|(_, buyer, _)| *buyer);
                remember(&mut self.claims, (op.order, 0, buyer.unwrap_or(tx.account)));
            }
            Operation::AcceptDelivery(op) => self.deliveries.retain(|(order, ..)| *order != op.order),
            _ => {}
        }
    }
}
