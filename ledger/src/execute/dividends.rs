//! Dividends: the end of a quarter costs the same whatever the number of holders; each is paid when something touches it next.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Stop, Working};
use crate::outcome::DueEvent;
use crate::parameters::Parameter;
use crate::records::{Account, DividendRecord, Due, Holding, QUARTERS_KEPT, Quarter, Weights};
use crate::rejection::Rejection;
use crate::state::{StateError, keyspace};
use crate::types::{AccountId, Uftns};

/// Quarters after which nothing more becomes seasoned: every step halves what is left of at most 64 bits.
const SEASONED_AFTER: u32 = 64;

/// Ends the running quarter: its pool is set aside for its holders, the next begins with what accounts held before this block.
pub(super) fn end_quarter(working: &mut Working<'_>, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let (length_ms, share_ppm) =
        (working.parameter(Parameter::DividendQuarterMs), working.parameter(Parameter::DividendTreasuryPpm));
    let quarter = working.globals().quarter;
    expire(working, quarter.number, events)?;
    let weight = Weights::of(&quarter, &working.chain.parameters);
    let totals = &mut working.globals_mut().totals;
    let scaled = u128::from(totals.treasury.0).saturating_mul(u128::from(share_ppm));
    let share = Uftns(u64::try_from(scaled.checked_div(1_000_000).unwrap_or(0)).unwrap_or(u64::MAX));
    // Without holders nobody would be paid: the treasury keeps what it has.
    let pool = if weight.total() == 0 { Uftns::ZERO } else { share };
    totals.treasury = totals.treasury.checked_sub(pool).ok_or(Rejection::AmountOverflow)?;
    totals.dividends = totals.dividends.checked_add(pool).ok_or(Rejection::AmountOverflow)?;
    if !pool.is_zero() {
        working.write(keyspace::dividend(quarter.number), &DividendRecord { pool, left: pool, weight });
    }
    let ends = quarter.ends.plus_ms(length_ms);
    let opening = working.opening();
    let held = |sum: Uftns| Holding { low: sum, seasoned: quarter.seasoned, ..Holding::default() };
    let mut all = held(quarter.low);
    all.season();
    working.globals_mut().quarter = Quarter {
        number: quarter.number.saturating_add(1),
        ends,
        low: Uftns(opening.balances.0.saturating_add(opening.stakes.0)),
        low_stake: opening.stakes,
        seasoned: all.seasoned,
    };
    working.schedule(ends, &Due::QuarterEnds);
    events.push(DueEvent::QuarterEnded { quarter: quarter.number, pool });
    Ok(())
}

/// What nobody came for in all that time goes back to the treasury.
fn expire(working: &mut Working<'_>, ended: u32, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let Some(quarter) = ended.checked_sub(QUARTERS_KEPT) else { return Ok(()) };
    let key = keyspace::dividend(quarter);
    let Some(record) = working.read::<DividendRecord>(&key)? else { return Ok(()) };
    let totals = &mut working.globals_mut().totals;
    totals.dividends = totals.dividends.checked_sub(record.left).ok_or(Rejection::AmountOverflow)?;
    totals.treasury = totals.treasury.checked_add(record.left).ok_or(Rejection::AmountOverflow)?;
    working.remove(key);
    events.push(DueEvent::DividendLapsed { quarter, amount: record.left });
    Ok(())
}

/// At the end of a block, for every account it touched: pays what ended quarters owe it and notes its lowest points in this one.
pub(super) fn settle(working: &mut Working<'_>) -> Result<Vec<DueEvent>, Stop> {
    let mut events = Vec::new();
    let mut records = BTreeMap::new();
    let mut late = Vec::new();
    let (quarter, accounts) = working.changed_accounts();
    for (id, account) in accounts {
        if account.holding.quarter == quarter.number { note_lows(quarter, account)? } else { late.push(*id) }
    }
    late.sort_unstable();
    for id in late {
        let Some(mut account) = working.account(&id)? else { continue };
        catch_up(working, &id, &mut account, &mut records, &mut events)?;
        note_lows(&mut working.globals_mut().quarter, &mut account)?;
        *working.account_mut(&id)? = account;
    }
    for (quarter, record) in records {
        working.write(keyspace::dividend(quarter), &record);
    }
    Ok(events)
}

type Records = BTreeMap<u32, DividendRecord>;

/// Brings a holding to the running quarter. Nothing touched the account since its own, so that in all the quarters between
/// it held what it held before this block.
fn catch_up(
    working: &mut Working<'_>,
    id: &AccountId,
    account: &mut Account,
    records: &mut Records,
    events: &mut Vec<DueEvent>,
) -> Result<(), Stop> {
    let now = working.globals().quarter.number;
    let before = working.before(id)?.unwrap_or_default();
    let mut holding = account.holding;
    let mut amount = Uftns::ZERO;
    while holding.quarter < now {
        if now.saturating_sub(holding.quarter) <= QUARTERS_KEPT {
            amount = amount.checked_add(take(working, records, &holding)?).ok_or(Rejection::AmountOverflow)?;
        }
        holding.season();
        let next = holding.quarter.saturating_add(1);
        holding = Holding { quarter: next, low: before.weight(), low_stake: before.stake, ..holding };
        // Nothing changes between these, and none of them pays any more.
        if now.saturating_sub(next) > SEASONED_AFTER.saturating_add(QUARTERS_KEPT) {
            for _ in 0..SEASONED_AFTER {
                holding.season();
            }
            holding.quarter = now.saturating_sub(QUARTERS_KEPT);
        }
    }
    account.holding = holding;
    if !amount.is_zero() {
        working.keep_weight(account);
        account.balance = account.balance.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
        let totals = &mut working.globals_mut().totals;
        totals.dividends = totals.dividends.checked_sub(amount).ok_or(Rejection::AmountOverflow)?;
        totals.balances = totals.balances.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
        events.push(DueEvent::DividendPaid { account: *id, amount });
    }
    Ok(())
}

/// A holding's share of its quarter.
fn take(working: &Working<'_>, records: &mut Records, holding: &Holding) -> Result<Uftns, StateError> {
    let record = match records.entry(holding.quarter) {
        Entry::Occupied(place) => place.into_mut(),
        Entry::Vacant(place) => match working.read(&keyspace::dividend(holding.quarter))? {
            Some(record) => place.insert(record),
            None => return Ok(Uftns::ZERO),
        },
    };
    let share = record.share(holding);
    record.left = Uftns(record.left.0.saturating_sub(share.0));
    Ok(share)
}

/// Lowest points only ever fall within a quarter; the sums over all accounts fall with them.
fn note_lows(quarter: &mut Quarter, account: &mut Account) -> Result<(), Rejection> {
    let old = account.holding;
    let low = old.low.min(account.weight());
    let new = Holding { low, low_stake: old.low_stake.min(account.stake), seasoned: old.seasoned.min(low), ..old };
    if new == old {
        return Ok(());
    }
    for (sum, old, new) in [
        (&mut quarter.low, old.low, new.low),
        (&mut quarter.low_stake, old.low_stake, new.low_stake),
        (&mut quarter.seasoned, old.seasoned, new.seasoned),
    ] {
        let fallen = old.checked_sub(new).ok_or(Rejection::AmountOverflow)?;
        *sum = sum.checked_sub(fallen).ok_or(Rejection::AmountOverflow)?;
    }
    account.holding = new;
    Ok(())
}
