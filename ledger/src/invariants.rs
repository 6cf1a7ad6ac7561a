//! What must hold after every block. A breach is a bug: the node halts with a report that says what.

use crate::query;
use crate::records::{
    Account, AuctionRecord, BondRecord, ClaimRecord, ContentRecord, CreditRecord, CreditTotals, DividendRecord, Escrow,
    EscrowStatus, Proposal, ProposalStatus, QuotaRecord, ScheduleRecord, Totals,
};
use crate::state::{ChangeSet, StateError, StateRead, decode_record, keyspace};

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum Breach {
    #[error("money is not conserved: {0:?}")]
    Conservation(Box<Totals>),
    #[error("{what} add up to {found}, the running total says {expected}")]
    Sum { what: &'static str, found: u128, expected: u128 },
    #[error("{what} changed by {found}, their running total by {expected}")]
    Step { what: &'static str, found: i128, expected: i128 },
    #[error("carbon credits are not conserved: {0:?}")]
    Credits(CreditTotals),
    #[error("more quota is lent, offered or set aside than there is: {0:?}")]
    Quota(Box<QuotaRecord>),
    #[error("state cannot be read")]
    State(#[from] StateError),
}

/// Entries read at once.
const PAGE: usize = 1_024;

/// The kinds of places money can be in records, in the order of [`Held`].
const PLACES: [&str; 5] = ["balances", "stakes", "escrows", "deposits", "dividends"];

/// What a record holds, place by place.
type Held = [u128; 5];

/// Checks the running totals alone.
///
/// # Errors
/// What does not hold.
pub fn check_totals(state: &dyn StateRead) -> Result<(), Breach> {
    conserved(&query::totals(state)?)
}

/// Checks the running totals against every record: for tests, simulation, snapshots and exports.
///
/// # Errors
/// What does not hold.
pub fn check(state: &dyn StateRead) -> Result<(), Breach> {
    check_totals(state)?;
    let mut sums = Held::default();
    for prefix in HOLDERS {
        visit(state, prefix, |key, value| {
            for (sum, amount) in sums.iter_mut().zip(held(key, value)?) {
                *sum = sum.saturating_add(amount);
            }
            Ok(())
        })?;
    }
    for ((what, found), expected) in PLACES.into_iter().zip(sums).zip(places(&query::totals(state)?)) {
        if found != expected {
            return Err(Breach::Sum { what, found, expected });
        }
    }
    check_bonds(state)?;
    check_quotas(state)?;
    check_credits(state)
}

/// What accounts have bonded by duty, what is on its way out included, is their stake.
fn check_bonds(state: &dyn StateRead) -> Result<(), Breach> {
    let mut sum = 0_u128;
    visit(state, keyspace::BONDS, |key, value| {
        let record: BondRecord = decode_record(key, value)?;
        let parts = record.bonded.values().chain(record.unbonding.iter().map(|part| &part.amount));
        sum = parts.fold(sum, |sum, part| sum.saturating_add(u128::from(part.0)));
        Ok(())
    })?;
    let expected = u128::from(query::totals(state)?.stakes.0);
    if sum == expected { Ok(()) } else { Err(Breach::Sum { what: "bonds", found: sum, expected }) }
}

/// Nobody lends, offers or sets aside more quota than there is; what somebody lacks another has.
fn check_quotas(state: &dyn StateRead) -> Result<(), Breach> {
    let mut sums = [0_u128; 4];
    let mut bad = None;
    visit(state, keyspace::QUOTAS, |key, value| {
        let record: QuotaRecord = decode_record(key, value)?;
        for (sum, units) in sums.iter_mut().zip([record.lent, record.borrowed, record.yielded, record.drawn]) {
            *sum = sum.saturating_add(u128::from(units));
        }
        if !record.is_within() {
            bad = Some(record);
        }
        Ok(())
    })?;
    if let Some(record) = bad {
        return Err(Breach::Quota(Box::new(record)));
    }
    let [lent, borrowed, yielded, drawn] = sums;
    for (what, found, expected) in [("borrowed quotas", borrowed, lent), ("drawn quotas", drawn, yielded)] {
        if found != expected {
            return Err(Breach::Sum { what, found, expected });
        }
    }
    Ok(())
}

/// Every credit is held by somebody or retired.
fn check_credits(state: &dyn StateRead) -> Result<(), Breach> {
    let totals = query::credit_totals(state)?;
    let (mut held, mut retired) = (0_u128, 0_u128);
    visit(state, keyspace::CREDITS, |key, value| {
        let record: CreditRecord = decode_record(key, value)?;
        held = held.saturating_add(u128::from(record.held_ug));
        retired = retired.saturating_add(u128::from(record.retired_ug));
        Ok(())
    })?;
    for (what, found, expected) in
        [("held credits", held, totals.held_ug), ("retired credits", retired, totals.retired_ug)]
    {
        if found != u128::from(expected) {
            return Err(Breach::Sum { what, found, expected: u128::from(expected) });
        }
    }
    if totals.is_conserved() { Ok(()) } else { Err(Breach::Credits(totals)) }
}

/// Checks one block's changes against the state they were made on: the records' changes are those of the running totals, and
/// the totals are conserved. What [`check`] says of the state before then holds of the state after, at the cost of the changes
/// alone. Reads what the records were; [`crate::execute`] does the same for every block as it goes.
///
/// # Errors
/// What does not hold.
pub fn check_step(before: &dyn StateRead, changes: &ChangeSet) -> Result<(), Breach> {
    let old = query::totals(before)?;
    let new = match changes.get(keyspace::GLOBALS) {
        Some(Some(bytes)) => decode_record::<crate::records::Globals>(keyspace::GLOBALS, bytes)?.totals,
        _ => old,
    };
    conserved(&new)?;
    compare([&old, &new], moved(before, changes)?)
}

/// As [`check_step`], for a block as it is carried out: accounts, which most of a block's changes are, were summed up while they were
/// at hand, so that nothing is read or decoded again for them. `[free, bonded]` is how much more they hold; `others` is what else
/// changed.
pub(crate) fn check_block(
    before: &dyn StateRead,
    [opening, closing]: [&Totals; 2],
    [free, bonded]: [i128; 2],
    others: &ChangeSet,
) -> Result<(), Breach> {
    conserved(closing)?;
    let [own_free, own_bonded, locked, deposits, dividends] = moved(before, others)?;
    let (free, bonded) = (free.saturating_add(own_free), bonded.saturating_add(own_bonded));
    compare([opening, closing], [free, bonded, locked, deposits, dividends])
}

/// How much more the changed records hold, place by place.
fn moved(before: &dyn StateRead, changes: &ChangeSet) -> Result<[i128; 5], StateError> {
    let mut moved = [0_i128; 5];
    for (key, value) in changes {
        if !HOLDERS.iter().any(|prefix| key.starts_with(prefix)) {
            continue;
        }
        let was = before.get(key)?.map_or(Ok(Held::default()), |bytes| held(key, &bytes))?;
        let is = value.as_deref().map_or(Ok(Held::default()), |bytes| held(key, bytes))?;
        for (sum, (was, is)) in moved.iter_mut().zip(was.into_iter().zip(is)) {
            *sum = sum.saturating_add(difference(was, is));
        }
    }
    Ok(moved)
}

/// Compares what records moved with what the running totals moved.
fn compare([old, new]: [&Totals; 2], moved: [i128; 5]) -> Result<(), Breach> {
    for (((what, found), was), is) in PLACES.into_iter().zip(moved).zip(places(old)).zip(places(new)) {
        let expected = difference(was, is);
        if found != expected {
            return Err(Breach::Step { what, found, expected });
        }
    }
    Ok(())
}

fn conserved(totals: &Totals) -> Result<(), Breach> {
    if totals.is_conserved() { Ok(()) } else { Err(Breach::Conservation(Box::new(*totals))) }
}

/// What the running totals say of each place.
fn places(totals: &Totals) -> Held {
    [totals.balances, totals.stakes, totals.escrows, totals.deposits, totals.dividends].map(|total| u128::from(total.0))
}

fn difference(was: u128, is: u128) -> i128 {
    let signed = |value: u128| i128::try_from(value).unwrap_or(i128::MAX);
    signed(is).saturating_sub(signed(was))
}

/// Prefixes of the records that hold money.
const HOLDERS: &[&[u8]] = &[
    &[keyspace::ACCOUNTS],
    &[keyspace::ESCROWS],
    keyspace::PROPOSALS,
    keyspace::SCHEDULES,
    keyspace::CLAIMS,
    keyspace::CONTENTS,
    keyspace::AUCTIONS,
    keyspace::DIVIDENDS,
];

/// What one of these records holds.
fn held(key: &[u8], value: &[u8]) -> Result<Held, StateError> {
    let locked = |amount: u64| [0, 0, u128::from(amount), 0, 0];
    if key.starts_with(&[keyspace::ACCOUNTS]) {
        let account: Account = decode_record(key, value)?;
        return Ok([u128::from(account.balance.0), u128::from(account.stake.0), 0, 0, 0]);
    }
    if key.starts_with(keyspace::PROPOSALS) {
        let proposal: Proposal = decode_record(key, value)?;
        let open = proposal.status == ProposalStatus::Active;
        return Ok([0, 0, 0, if open { u128::from(proposal.deposit.0) } else { 0 }, 0]);
    }
    if key.starts_with(keyspace::SCHEDULES) {
        let schedule: ScheduleRecord = decode_record(key, value)?;
        return Ok(locked(schedule.amount.0.saturating_mul(u64::from(schedule.left))));
    }
    if key.starts_with(keyspace::CLAIMS) {
        return Ok(locked(decode_record::<ClaimRecord>(key, value)?.bond.0));
    }
    if key.starts_with(keyspace::CONTENTS) {
        return Ok(locked(decode_record::<ContentRecord>(key, value)?.earned.0));
    }
    if key.starts_with(keyspace::DIVIDENDS) {
        return Ok([0, 0, 0, 0, u128::from(decode_record::<DividendRecord>(key, value)?.left.0)]);
    }
    if key.starts_with(keyspace::AUCTIONS) {
        return Ok(locked(decode_record::<AuctionRecord>(key, value)?.locked()));
    }
    let escrow: Escrow = decode_record(key, value)?;
    // Nothing stays locked in a closed escrow: counted twice, so that the sum shows it.
    let times = if escrow.status == EscrowStatus::Open { 1 } else { 2 };
    Ok(locked(escrow.locked.0.saturating_mul(times)))
}

fn visit(
    state: &dyn StateRead,
    prefix: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut from = Vec::new();
    loop {
        let page = state.scan(prefix, &from, PAGE)?;
        for (key, value) in &page {
            each(key, value)?;
        }
        match page.into_iter().next_back() {
            Some((last, _)) => {
                from = last;
                from.push(0);
            }
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;
    use crate::state::MemoryState;
    use crate::types::{AccountId, Hash, TimeMs, Uftns};

    fn totals(balances: u64, escrows: u64) -> Totals {
        let (balances, escrows) = (Uftns(balances), Uftns(escrows));
        let minted = Uftns(balances.0.saturating_add(escrows.0));
        Totals { minted, supply_cap: minted, balances, escrows, ..Totals::default() }
    }

    /// Scheduled payments of so much.
    fn set_aside(amount: u64) -> (Vec<u8>, Option<Vec<u8>>) {
        let record = ScheduleRecord {
            from: AccountId([1; 20]),
            to: AccountId([2; 20]),
            amount: Uftns(amount),
            left: 1,
            next_at: TimeMs(0),
            every_ms: 1,
            memo: String::new(),
        };
        (keyspace::schedule(&Hash::ZERO), Some(encode(&record)))
    }

    #[test]
    fn a_block_is_compared_place_by_place() {
        let mut before = MemoryState::new();
        before.apply(ChangeSet::from([set_aside(30)]));
        let (opening, closing) = (totals(100, 30), totals(80, 50));
        let check = |closing: &Totals, free, changes: [(Vec<u8>, Option<Vec<u8>>); 1]| {
            check_block(&before, [&opening, closing], [free, 0], &ChangeSet::from(changes))
        };
        assert_eq!(check(&closing, -20, [set_aside(50)]), Ok(()));
        let lost = check(&closing, -20, [set_aside(49)]);
        assert_eq!(lost, Err(Breach::Step { what: "escrows", found: 19, expected: 20 }));
        let found = check(&closing, -19, [set_aside(50)]);
        assert_eq!(found, Err(Breach::Step { what: "balances", found: -19, expected: -20 }));
        // Money that came from nowhere, even where records and totals agree on it.
        let made = Totals { balances: Uftns(81), ..closing };
        assert_eq!(check(&made, -19, [set_aside(50)]), Err(Breach::Conservation(Box::new(made))));
    }
}
