//! Orders at a fixed price, through an escrow of the same name. Work is paid part by part against receipts, as every task is, but only
//! to the seller and at the price that was listed. Content is paid when the buyer accepts it, or by a claim that nobody disputes.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::claim::file_claim;
use super::content::{Earned, count_use, pay_royalties};
use super::escrow_open::check_reserve;
use super::listing::listing;
use super::{Call, MAX_ESCROW_MS, MAX_PARTS, own_open_escrow, within};
use crate::charges::ChargeTerms;
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::pricing::Price;
use crate::quota;
use crate::records::{
    Claimed, Due, Escrow, EscrowStatus, ImpactKind, ListingKind, ListingRecord, NodeRecord, OrderRecord, Safety,
};
use crate::rejection::Rejection;
use crate::reputation;
use crate::state::keyspace;
use crate::types::{AgentId, EscrowId, Hash, TimeMs, Uftns};

/// Orders of one listing that are open at once, at most.
pub const MAX_OPEN_ORDERS: u32 = 256;

/// Orders what is listed and locks its price. The order and its escrow are named by this transaction's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// Which listing.
    pub listing: Hash,
    /// The most that is paid for one use or one part; refused when it costs more.
    pub max_price: Uftns,
    /// The work, when work is ordered; nothing for content.
    pub work: Option<OrderedWork>,
    /// What is not paid by this block time goes back by itself, at most a year from now.
    pub release_deadline: TimeMs,
}

/// Work to be done at a listed price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct OrderedWork {
    /// Names the task among its opener's; receipts repeat it.
    pub task: Hash,
    /// Hash of the wasm module that runs.
    pub module: Hash,
    /// Pieces that are done and paid one by one, 1 to [`MAX_PARTS`].
    pub parts: u32,
    /// Held for the carbon charge, the premium and royalties of one part, as for every escrow.
    pub reserve_per_part: Uftns,
}

/// The seller says that content was handed over and asks for its price. Answers with a bond, as for every claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ClaimDelivery {
    /// Which order.
    pub order: EscrowId,
}

/// The buyer has the content, and pays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AcceptDelivery {
    /// Which order.
    pub order: EscrowId,
}

/// Rates an order, once, by whoever paid for it; moves the seller's reputation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RateOrder {
    /// Which.
    pub order: EscrowId,
    /// 1 to 5.
    pub stars: u8,
}

impl PlaceOrder {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let parts = self.work.map_or(1, |work| work.parts);
        within("parts", u64::from(parts), 1, u64::from(MAX_PARTS))?;
        let (deadline, time, latest) = (self.release_deadline, working.now, working.now.plus_ms(MAX_ESCROW_MS));
        if deadline <= time {
            return Err(Rejection::DeadlinePassed { deadline, time }.into());
        }
        if deadline > latest {
            return Err(Rejection::DeadlineTooFar { deadline, latest }.into());
        }
        let mut record = listing(working, &self.listing)?;
        self.check_listing(working, call, &record)?;
        let price = record.terms.price;
        let reserve = self.work.map_or(Uftns::ZERO, |work| work.reserve_per_part);
        let each = price.checked_add(reserve).ok_or(Rejection::AmountOverflow)?;
        let locked = each.checked_mul(u64::from(parts)).ok_or(Rejection::AmountOverflow)?;
        let terms = match self.work {
            Some(work) => check_reserve(working, &call.account, price, reserve, &work.module)?,
            // Content has no footprint and pays no premium.
            None => ChargeTerms::default(),
        };
        working.lock(&call.account, locked)?;
        let escrow = self.escrow(working, call, &record, (parts, locked), terms);
        working.write(keyspace::escrow(&call.id), &escrow);
        working.schedule(deadline, &Due::EscrowDeadline(call.id));
        let order = OrderRecord {
            listing: self.listing,
            kind: record.kind,
            content: record.terms.content,
            buyer: call.account,
            seller: record.seller,
            fee_ppm: u32::try_from(working.parameter(Parameter::MarketFeePpm)).unwrap_or(u32::MAX),
            paid_parts: 0,
            stars: None,
        };
        working.write(keyspace::order(&call.id), &order);
        record.open_orders = record.open_orders.saturating_add(1);
        record.orders = record.orders.saturating_add(1);
        working.write(keyspace::listing(&self.listing), &record);
        Ok(Effect::Ordered { order: call.id, listing: self.listing, seller: order.seller, locked })
    }

    fn check_listing(&self, working: &Working<'_>, call: &Call<'_>, record: &ListingRecord) -> Result<(), Rejection> {
        if record.seller == call.account {
            return Err(Rejection::SelfReference("seller".into()));
        }
        if record.safety == Safety::Unsafe {
            return Err(Rejection::UnsafeListing(self.listing));
        }
        if !record.is_open(working.now) {
            return Err(Rejection::AlreadyDone("this listing was closed".into()));
        }
        within("price (uFTNS)", record.terms.price.0, 0, self.max_price.0)?;
        if record.kind.is_work() != self.work.is_some() {
            let named = |work| if work { "a task" } else { "no task" };
            return Err(Rejection::ListingMismatch {
                field: "order".into(),
                found: named(self.work.is_some()).into(),
                expected: format!("{} for {}", named(record.kind.is_work()), record.kind.as_str()),
            });
        }
        if record.open_orders >= MAX_OPEN_ORDERS {
            let (found, max) = (u64::from(record.open_orders), u64::from(MAX_OPEN_ORDERS));
            return Err(Rejection::TooMany { what: "open orders of this listing".into(), found, max });
        }
        Ok(())
    }

    fn escrow(
        &self,
        working: &Working<'_>,
        call: &Call<'_>,
        record: &ListingRecord,
        (parts, locked): (u32, Uftns),
        terms: ChargeTerms,
    ) -> Escrow {
        // What is content asks for no capability: no receipt of work can be paid from it.
        let capability = record.terms.capability.filter(|_| record.kind.is_work()).unwrap_or_default();
        Escrow {
            opener: call.account,
            task: self.work.map_or(record.terms.content, |work| work.task),
            module: self.work.map_or(self.listing, |work| work.module),
            capability,
            parts,
            amount_per_part: record.terms.price,
            reserve_per_part: self.work.map_or(Uftns::ZERO, |work| work.reserve_per_part),
            terms,
            locked,
            released: vec![0; usize::try_from(parts.div_ceil(8)).unwrap_or(0)],
            released_parts: 0,
            release_deadline: self.release_deadline,
            frozen_ms_at_open: working.globals().frozen_ms_at(working.now),
            status: EscrowStatus::Open,
        }
    }
}

/// The order behind an escrow, if there is one.
pub(super) fn order_of(working: &Working<'_>, escrow: &EscrowId) -> Result<Option<OrderRecord>, Stop> {
    Ok(working.read(&keyspace::order(escrow))?)
}

fn order(working: &Working<'_>, id: &EscrowId) -> Result<OrderRecord, Stop> {
    let unknown = || Rejection::Unknown { what: "order".into(), id: id.to_string() };
    Ok(order_of(working, id)?.ok_or_else(unknown)?)
}

/// As [`order`], of content.
fn content_order(working: &Working<'_>, id: &EscrowId) -> Result<OrderRecord, Stop> {
    let order = order(working, id)?;
    if order.kind.is_work() {
        return Err(Rejection::Unknown { what: "content of order".into(), id: id.to_string() }.into());
    }
    Ok(order)
}

/// Whether this host and agent may be paid from an escrow: an order pays its seller alone.
pub(super) fn check_seller(
    working: &Working<'_>,
    escrow: &EscrowId,
    host: &NodeRecord,
    agent: AgentId,
) -> Result<(), Stop> {
    let Some(order) = order_of(working, escrow)? else { return Ok(()) };
    if !order.kind.is_work() {
        return Err(Rejection::Unknown { what: "task of order".into(), id: escrow.to_string() }.into());
    }
    if order.seller != host.account {
        return Err(Rejection::NotOwner { what: "the order".into(), owner: order.seller }.into());
    }
    match order.kind {
        ListingKind::Agent(ordered) if ordered != agent => Err(Rejection::ListingMismatch {
            field: "agent".into(),
            found: agent.to_string(),
            expected: ordered.to_string(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// The market's share of what a seller is paid, rounded up; at most all of it.
pub(super) fn fee(order: &OrderRecord, paid: Uftns) -> Uftns {
    let fee = u128::from(paid.0).saturating_mul(u128::from(order.fee_ppm)).div_ceil(1_000_000);
    Uftns(u64::try_from(fee).unwrap_or(u64::MAX)).min(paid)
}

/// A part was paid.
pub(super) fn part_paid(working: &mut Working<'_>, id: &EscrowId, mut order: OrderRecord) {
    order.paid_parts = order.paid_parts.saturating_add(1);
    working.write(keyspace::order(id), &order);
}

/// The escrow of an order was closed: its listing may take another.
pub(super) fn order_closed(working: &mut Working<'_>, id: &EscrowId) -> Result<(), Stop> {
    let Some(order) = order_of(working, id)? else { return Ok(()) };
    let mut record: ListingRecord = working.must_read(&keyspace::listing(&order.listing))?;
    record.open_orders = record.open_orders.saturating_sub(1);
    working.write(keyspace::listing(&order.listing), &record);
    Ok(())
}

impl ClaimDelivery {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let order = content_order(working, &self.order)?;
        if order.seller != call.account {
            return Err(Rejection::NotOwner { what: "the order".into(), owner: order.seller }.into());
        }
        let escrow: Escrow = working.must_read(&keyspace::escrow(&self.order))?;
        if escrow.status != EscrowStatus::Open {
            return Err(Rejection::EscrowClosed(self.order).into());
        }
        let ends = file_claim(working, &self.order, &escrow, &call.account, Claimed::Delivery(order.content))?;
        Ok(Effect::PartClaimed { escrow: self.order, part: 0, ends })
    }
}

impl AcceptDelivery {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        content_order(working, &self.order)?;
        let escrow = own_open_escrow(working, call, &self.order)?;
        let price = settle_delivery(working, &self.order, escrow)?;
        Ok(Effect::DeliveryAccepted { order: self.order, price: price.base, fee: price.fee })
    }
}

/// Pays content: the market's share to the treasury, the rest to its owners and up its provenance.
pub(super) fn settle_delivery(working: &mut Working<'_>, id: &EscrowId, mut escrow: Escrow) -> Result<Price, Stop> {
    let order = content_order(working, id)?;
    let amount = std::mem::take(&mut escrow.locked);
    working.uncount_locked(amount)?;
    let fee = fee(&order, amount);
    let totals = &mut working.globals_mut().totals;
    totals.treasury = totals.treasury.checked_add(fee).ok_or(Rejection::AmountOverflow)?;
    let record = count_use(working, &order.content, &order.buyer, ImpactKind::Download, true)?;
    let earned = Earned::by_one(&record, Uftns(amount.0.saturating_sub(fee.0)), &order.buyer);
    pay_royalties(working, &order.content, &earned)?;
    working.judge(&order.seller, reputation::PAID, id)?;
    escrow.mark_released(0);
    escrow.status = EscrowStatus::Settled;
    working.write(keyspace::escrow(id), &escrow);
    quota::release(working, id, &escrow)?;
    part_paid(working, id, order);
    order_closed(working, id)?;
    Ok(Price { base: amount, total: amount, fee, ..Price::default() })
}

impl RateOrder {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("stars", u64::from(self.stars), 1, 5)?;
        let mut order = order(working, &self.order)?;
        if order.buyer != call.account {
            return Err(Rejection::NotOwner { what: "the order".into(), owner: order.buyer }.into());
        }
        if order.paid_parts == 0 {
            return Err(Rejection::Unknown { what: "payment of order".into(), id: self.order.to_string() }.into());
        }
        if order.stars.is_some() {
            return Err(Rejection::AlreadyDone("this order was rated".into()).into());
        }
        order.stars = Some(self.stars);
        working.write(keyspace::order(&self.order), &order);
        let mut record: ListingRecord = working.must_read(&keyspace::listing(&order.listing))?;
        record.stars = record.stars.saturating_add(u64::from(self.stars));
        record.ratings = record.ratings.saturating_add(1);
        working.write(keyspace::listing(&order.listing), &record);
        working.judge(&order.seller, reputation::rated(self.stars), &self.order)?;
        Ok(Effect::OrderRated { order: self.order, seller: order.seller, stars: self.stars })
    }
}
