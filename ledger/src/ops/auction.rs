//! Reverse auctions with sealed bids: the bidder with the lowest score gets the task, at the price it bid.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::escrow_open::check_reserve;
use super::{Call, Capabilities, MAX_ESCROW_MS, within};
use crate::execute::{Stop, Working};
use crate::outcome::{DueEvent, Effect};
use crate::parameters::Parameter;
use crate::records::{AuctionRecord, BidRecord, Due, Escrow, EscrowStatus, OpenedBid};
use crate::rejection::Rejection;
use crate::reputation;
use crate::state::keyspace;
use crate::types::{AccountId, EscrowId, Hash, TimeMs, Uftns};

/// Bids of one auction, at most.
pub const MAX_BIDS: usize = 64;
/// Either phase lasts at least a second.
pub const MIN_PHASE_MS: u64 = 1_000;

/// Asks for bids on a task. Named by this transaction's id, as is the escrow that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct OpenAuction {
    /// Names the task among its opener's; receipts repeat it.
    pub task: Hash,
    /// Hash of the wasm module that runs.
    pub module: Hash,
    /// The most that is paid; higher bids are not fit.
    pub max_price: Uftns,
    /// Held for the carbon charge, the premium and the royalty, as for every escrow.
    pub reserve: Uftns,
    /// Sealed bids are taken until then, at least [`MIN_PHASE_MS`] from now.
    pub commit_until: TimeMs,
    /// They are opened until then, at least [`MIN_PHASE_MS`] later.
    pub reveal_until: TimeMs,
    /// When the escrow closes; later than that, at most a year from now.
    pub release_deadline: TimeMs,
}

/// Bids without saying what: only the hash. Answers with a bond, which is lost when the bid is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SealBid {
    /// On which auction.
    pub auction: Hash,
    /// See [`sealed_bid`].
    pub sealed: Hash,
}

/// Opens one's bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct OpenBid {
    /// On which auction.
    pub auction: Hash,
    /// For the whole task; more than nothing.
    pub price: Uftns,
    /// The footprint the bidder expects, micrograms.
    pub carbon_ug: u64,
    /// As sealed.
    pub salt: Hash,
}

/// The hash a bid is sealed with; it names auction and bidder, so that nobody can copy it.
#[must_use]
pub fn sealed_bid(auction: &Hash, bidder: &AccountId, price: Uftns, carbon_ug: u64, salt: &Hash) -> Hash {
    let parts: [&[u8]; 5] = [&auction.0, &bidder.0, &price.0.to_le_bytes(), &carbon_ug.to_le_bytes(), &salt.0];
    Hash::derive("mesh30k sealed bid v1", &parts)
}

impl OpenAuction {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        if self.max_price.is_zero() {
            return Err(Rejection::ZeroAmount.into());
        }
        let time = working.now;
        for (deadline, after) in [
            (self.commit_until, time),
            (self.reveal_until, self.commit_until),
            (self.release_deadline, self.reveal_until),
        ] {
            if deadline < after.plus_ms(MIN_PHASE_MS) {
                return Err(Rejection::DeadlinePassed { deadline, time: after.plus_ms(MIN_PHASE_MS) }.into());
            }
        }
        let latest = time.plus_ms(MAX_ESCROW_MS);
        if self.release_deadline > latest {
            return Err(Rejection::DeadlineTooFar { deadline: self.release_deadline, latest }.into());
        }
        let locked = self.max_price.checked_add(self.reserve).ok_or(Rejection::AmountOverflow)?;
        let terms = check_reserve(working, &call.account, self.max_price, self.reserve, &self.module)?;
        working.lock(&call.account, locked)?;
        let record = AuctionRecord {
            opener: call.account,
            task: self.task,
            module: self.module,
            max_price: self.max_price,
            reserve: self.reserve,
            terms,
            commit_until: self.commit_until,
            reveal_until: self.reveal_until,
            release_deadline: self.release_deadline,
            bids: BTreeMap::new(),
            bid_bond: Uftns(working.parameter(Parameter::BidBond)),
            closed: false,
            winner: None,
            won: None,
        };
        working.write(keyspace::auction(&call.id), &record);
        working.schedule(self.reveal_until, &Due::AuctionEnds(call.id));
        Ok(Effect::AuctionOpened { auction: call.id, locked })
    }
}

fn auction(working: &Working<'_>, id: &Hash) -> Result<AuctionRecord, Stop> {
    let unknown = || Rejection::Unknown { what: "auction".into(), id: id.to_string() };
    Ok(working.read(&keyspace::auction(id))?.ok_or_else(unknown)?)
}

impl SealBid {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let mut record = auction(working, &self.auction)?;
        if record.opener == call.account {
            return Err(Rejection::SelfReference("opener of the auction".into()).into());
        }
        if working.now > record.commit_until {
            return Err(Rejection::DeadlinePassed { deadline: record.commit_until, time: working.now }.into());
        }
        if record.bids.contains_key(&call.account) {
            return Err(Rejection::AlreadyDone("this account bid".into()).into());
        }
        within("bids", (record.bids.len() as u64).saturating_add(1), 1, MAX_BIDS as u64)?;
        working.lock(&call.account, record.bid_bond)?;
        record.bids.insert(call.account, BidRecord { sealed: self.sealed, opened: None });
        let bond = record.bid_bond;
        working.write(keyspace::auction(&self.auction), &record);
        Ok(Effect::BidSealed { auction: self.auction, bond })
    }
}

impl OpenBid {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        if self.price.is_zero() {
            return Err(Rejection::ZeroAmount.into());
        }
        let mut record = auction(working, &self.auction)?;
        let (time, opens, ends) = (working.now, record.commit_until, record.reveal_until);
        if time <= opens {
            return Err(Rejection::TooEarly { from: opens, time }.into());
        }
        if record.closed || time > ends {
            return Err(Rejection::DeadlinePassed { deadline: ends, time }.into());
        }
        within("price (uFTNS)", self.price.0, 1, record.max_price.0)?;
        // What it expects to emit could not be paid for.
        record.terms.must_cover(self.price, record.reserve, self.carbon_ug)?;
        let unknown = || Rejection::Unknown { what: "bid of".into(), id: call.account.to_string() };
        let bid = record.bids.get_mut(&call.account).ok_or_else(unknown)?;
        if bid.opened.is_some() {
            return Err(Rejection::AlreadyDone("this bid was opened".into()).into());
        }
        let expected = bid.sealed;
        let found = sealed_bid(&self.auction, &call.account, self.price, self.carbon_ug, &self.salt);
        if found != expected {
            return Err(Rejection::ReceiptMismatch { field: "bid".into(), found, expected }.into());
        }
        bid.opened = Some(OpenedBid { price: self.price, carbon_ug: self.carbon_ug });
        working.write(keyspace::auction(&self.auction), &record);
        Ok(Effect::BidOpened { auction: self.auction, price: self.price })
    }
}

/// Price x carbon factor / (reputation x confidence), in millionths of a uFTNS: the factor is 1 + carbon at its price / price,
/// reputation counts in thousandths, the confidence in its bidder's predictions in millionths. Lower is better; a reputation or
/// confidence of nothing counts as 1. Whoever is better in one and equal in the rest has the lower score: the scale is fine enough that
/// rounding hides no difference.
#[must_use]
pub fn bid_score(bid: &OpenedBid, reputation: u32, confidence_ppm: u32, carbon_price: u64) -> u128 {
    let carbon = u128::from(bid.carbon_ug).saturating_mul(u128::from(carbon_price));
    let cost = u128::from(bid.price.0).saturating_mul(1_000_000).saturating_add(carbon);
    let trust = u128::from(reputation.max(1)).saturating_mul(u128::from(confidence_ppm.max(1)));
    cost.saturating_mul(1_000_000_000).checked_div(trust).unwrap_or(u128::MAX)
}

/// Ends an auction: bonds of opened bids come back, those of others go to the treasury; the winner's price becomes an escrow of
/// one part, the rest goes back to the opener. A freeze does not stop it: nobody gains by the wait.
pub(crate) fn close(working: &mut Working<'_>, id: &Hash, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let mut record = auction(working, id)?;
    // Bidders knew this one; what was voted since does not reorder them.
    let carbon_price = record.terms.carbon_price;
    let mut best: Option<(u128, AccountId, OpenedBid)> = None;
    for (bidder, bid) in std::mem::take(&mut record.bids) {
        let Some(opened) = bid.opened else {
            forfeit(working, record.bid_bond)?;
            working.judge(&bidder, reputation::UNOPENED, id)?;
            continue;
        };
        working.unlock(&bidder, record.bid_bond)?;
        let (reputation, confidence_ppm) = (working.reputation(&bidder)?, working.confidence_ppm(&bidder)?);
        let entry = (bid_score(&opened, reputation, confidence_ppm, carbon_price), bidder, opened);
        // Bidders come in order of account, so that a tie goes to the lower one on every machine.
        if best.is_none_or(|best| entry.0 < best.0) {
            best = Some(entry);
        }
    }
    record.closed = true;
    record.winner = best.map(|(_, bidder, _)| bidder);
    record.won = best.map(|(_, _, bid)| bid);
    let price = record.won.map_or(Uftns::ZERO, |bid| bid.price);
    let limit = record.max_price.checked_add(record.reserve).ok_or(Rejection::AmountOverflow)?;
    let kept =
        if best.is_some() { price.checked_add(record.reserve).ok_or(Rejection::AmountOverflow)? } else { Uftns::ZERO };
    working.unlock(&record.opener, limit.checked_sub(kept).ok_or(Rejection::AmountOverflow)?)?;
    if best.is_some() {
        order(working, id, &record, price, kept);
    }
    events.push(DueEvent::AuctionClosed { auction: *id, winner: record.winner, price });
    working.write(keyspace::auction(id), &record);
    Ok(())
}

/// The escrow of the winner's part; its money is locked already.
fn order(working: &mut Working<'_>, id: &EscrowId, record: &AuctionRecord, price: Uftns, locked: Uftns) {
    let escrow = Escrow {
        opener: record.opener,
        task: record.task,
        module: record.module,
        capability: Capabilities::COMPUTE,
        parts: 1,
        amount_per_part: price,
        reserve_per_part: record.reserve,
        terms: record.terms,
        locked,
        released: vec![0],
        released_parts: 0,
        release_deadline: record.release_deadline,
        frozen_ms_at_open: working.globals().frozen_ms_at(working.now),
        status: EscrowStatus::Open,
    };
    working.write(keyspace::escrow(id), &escrow);
    working.schedule(record.release_deadline, &Due::EscrowDeadline(*id));
}

fn forfeit(working: &mut Working<'_>, amount: Uftns) -> Result<(), Stop> {
    working.uncount_locked(amount)?;
    let totals = &mut working.globals_mut().totals;
    totals.treasury = totals.treasury.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
    Ok(())
}

/// Whether this account may be paid from an escrow: one that an auction filled pays its winner alone.
pub(crate) fn check_winner(working: &Working<'_>, escrow: &EscrowId, host: &AccountId) -> Result<(), Stop> {
    let record: Option<AuctionRecord> = working.read(&keyspace::auction(escrow))?;
    match record.and_then(|record| record.winner) {
        Some(owner) if owner != *host => Err(Rejection::NotOwner { what: "the order".into(), owner }.into()),
        _ => Ok(()),
    }
}
