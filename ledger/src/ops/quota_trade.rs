//! Quota lent for a time or sold for good.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, Capabilities, within};
use crate::execute::{Stop, Working};
use crate::outcome::{DueEvent, Effect};
use crate::parameters::Parameter;
use crate::quota::{self, moved};
use crate::records::{Due, QuotaLoan, QuotaOffer};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Hash, Uftns};

/// Offers and running loans of one account's quota of one capability, at most.
pub const MAX_OFFERS: u32 = 32;
/// Periods of one loan, at most.
pub const MAX_LOAN_PERIODS: u32 = 366;

/// Offers quota of one's own; it is set aside meanwhile. Named by this transaction's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct OfferQuota {
    /// One capability.
    pub capability: Capabilities,
    /// Units a period; more than nothing, at most what is tradeable.
    pub units: u64,
    /// For all of it; may be nothing.
    pub price: Uftns,
    /// Lent for 1 to [`MAX_LOAN_PERIODS`] periods, the one it is taken in included; sold for good when nothing.
    pub periods: Option<u32>,
}

/// Takes an offer as it stands and pays for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TakeQuota {
    /// Which.
    pub offer: Hash,
}

/// Calls off an offer that nobody took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct WithdrawQuota {
    /// Which.
    pub offer: Hash,
}

/// Refuses whoever owns too little to trade.
fn may_trade(working: &Working<'_>, account: &AccountId) -> Result<(), Stop> {
    let needed = Uftns(working.parameter(Parameter::QuotaMinBalance));
    let balance = working.look(account)?.map_or(Uftns::ZERO, |account| account.balance);
    if balance < needed {
        return Err(Rejection::Overdrawn { needed, balance }.into());
    }
    Ok(())
}

fn offer(working: &Working<'_>, id: &Hash) -> Result<QuotaOffer, Stop> {
    let unknown = || Rejection::Unknown { what: "offer of quota".into(), id: id.to_string() };
    Ok(working.read(&keyspace::quota_offer(id))?.ok_or_else(unknown)?)
}

impl OfferQuota {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        self.capability.must_be_one()?;
        within("units", self.units, 1, u64::MAX)?;
        if let Some(periods) = self.periods {
            within("periods", u64::from(periods), 1, u64::from(MAX_LOAN_PERIODS))?;
        }
        may_trade(working, &call.account)?;
        let mut record = quota::quota(working, &call.account, self.capability)?;
        if record.open >= MAX_OFFERS {
            let (what, max) = ("offers and loans".into(), u64::from(MAX_OFFERS));
            return Err(Rejection::TooMany { what, found: u64::from(record.open), max }.into());
        }
        let free = record.tradeable();
        if self.units > free {
            return Err(Rejection::QuotaShort { needed: self.units, free }.into());
        }
        record.offered = moved(record.offered, self.units, 0)?;
        record.open = record.open.saturating_add(1);
        quota::keep(working, &call.account, self.capability, &record);
        let offer = QuotaOffer {
            owner: call.account,
            capability: self.capability,
            units: self.units,
            price: self.price,
            periods: self.periods,
            lent: None,
        };
        working.write(keyspace::quota_offer(&call.id), &offer);
        Ok(Effect::QuotaOffered { offer: call.id, units: self.units })
    }
}

impl TakeQuota {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let mut offer = offer(working, &self.offer)?;
        if offer.owner == call.account {
            return Err(Rejection::SelfReference("owner of the quota".into()).into());
        }
        if offer.lent.is_some() {
            return Err(Rejection::AlreadyDone("this quota was lent".into()).into());
        }
        may_trade(working, &call.account)?;
        working.debit(&call.account, offer.price)?;
        working.credit(&offer.owner, offer.price)?;
        let QuotaOffer { capability, units, .. } = offer;
        let mut owner = quota::quota(working, &offer.owner, capability)?;
        let mut taker = quota::quota(working, &call.account, capability)?;
        owner.offered = moved(owner.offered, 0, units)?;
        let key = keyspace::quota_offer(&self.offer);
        let until = offer.periods.map(|periods| quota::end_of(working, periods));
        if let Some(until) = until {
            owner.lent = moved(owner.lent, units, 0)?;
            taker.borrowed = moved(taker.borrowed, units, 0)?;
            offer.lent = Some(QuotaLoan { borrower: call.account, until });
            working.write(key, &offer);
            working.schedule(until, &Due::QuotaLoanEnds(self.offer));
        } else {
            owner.allocated = moved(owner.allocated, 0, units)?;
            taker.allocated = moved(taker.allocated, units, 0)?;
            owner.open = owner.open.saturating_sub(1);
            working.remove(key);
        }
        quota::keep(working, &offer.owner, capability, &owner);
        quota::keep(working, &call.account, capability, &taker);
        Ok(Effect::QuotaTaken { offer: self.offer, units, price: offer.price, until })
    }
}

impl WithdrawQuota {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let offer = offer(working, &self.offer)?;
        if offer.owner != call.account {
            return Err(Rejection::NotOwner { what: "the offer".into(), owner: offer.owner }.into());
        }
        if offer.lent.is_some() {
            return Err(Rejection::AlreadyDone("this quota was lent".into()).into());
        }
        let mut record = quota::quota(working, &call.account, offer.capability)?;
        record.offered = moved(record.offered, 0, offer.units)?;
        record.open = record.open.saturating_sub(1);
        quota::keep(working, &call.account, offer.capability, &record);
        working.remove(keyspace::quota_offer(&self.offer));
        Ok(Effect::QuotaWithdrawn { offer: self.offer, units: offer.units })
    }
}

/// A loan goes back, whatever its borrower has set aside: that is cut to what is left. Time that everything was frozen counts.
pub(crate) fn give_back(working: &mut Working<'_>, id: &Hash, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let offer = offer(working, id)?;
    let Some(loan) = offer.lent else { return Ok(()) };
    let QuotaOffer { capability, units, .. } = offer;
    let mut owner = quota::quota(working, &offer.owner, capability)?;
    owner.lent = moved(owner.lent, 0, units)?;
    owner.open = owner.open.saturating_sub(1);
    quota::keep(working, &offer.owner, capability, &owner);
    let mut borrower = quota::quota(working, &loan.borrower, capability)?;
    borrower.borrowed = moved(borrower.borrowed, 0, units)?;
    quota::cut(working, &mut borrower, &loan.borrower, capability)?;
    quota::keep(working, &loan.borrower, capability, &borrower);
    working.remove(keyspace::quota_offer(id));
    events.push(DueEvent::QuotaReturned { offer: *id, owner: offer.owner, borrower: loan.borrower, units });
    Ok(())
}
