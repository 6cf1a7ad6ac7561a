//! The movements of money as a double-entry journal that hledger reads: an opening entry, then one entry a block that moved any.

use std::fmt::Write as _;

use crate::query;
use crate::records::{Account, Globals, Tip, Totals};
use crate::state::{ChangeSet, StateError, StateRead, decode_record, keyspace};
use crate::types::{AccountId, TimeMs, Uftns};

/// Entries read at once.
const PAGE: usize = 1_024;
const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// One posting: where, how much more there is (less when negative), in uFTNS.
type Posting = (String, i128);

/// What there is in a state, against what was minted and burned: the first entry of a journal.
///
/// # Errors
/// State that cannot be read.
pub fn opening(state: &dyn StateRead) -> Result<String, StateError> {
    let mut postings = Vec::new();
    let mut from = Vec::new();
    loop {
        let page = state.scan(&[keyspace::ACCOUNTS], &from, PAGE)?;
        for (key, value) in &page {
            let account: Account = decode_record(key, value)?;
            post_account(&mut postings, key, &Account::default(), &account)?;
        }
        match page.into_iter().next_back() {
            Some((last, _)) => {
                from = last;
                from.push(0);
            }
            None => break,
        }
    }
    post_totals(&mut postings, &Totals::default(), &query::totals(state)?);
    Ok(entry(&query::tip(state)?, "opening", postings))
}

/// What one block moved; nothing when it moved nothing. `before` is the state its changes were made on.
///
/// # Errors
/// State that cannot be read.
pub fn block(before: &dyn StateRead, changes: &ChangeSet) -> Result<Option<String>, StateError> {
    let mut postings = Vec::new();
    for (key, value) in changes.iter().filter(|(key, _)| key.starts_with(&[keyspace::ACCOUNTS])) {
        let old = before.get(key)?.map_or(Ok(Account::default()), |bytes| decode_record(key, &bytes))?;
        let new = value.as_deref().map_or(Ok(Account::default()), |bytes| decode_record(key, bytes))?;
        post_account(&mut postings, key, &old, &new)?;
    }
    if let Some(Some(bytes)) = changes.get(keyspace::GLOBALS) {
        let after: Globals = decode_record(keyspace::GLOBALS, bytes)?;
        post_totals(&mut postings, &query::totals(before)?, &after.totals);
    }
    let tip: Tip = match changes.get(keyspace::TIP) {
        Some(Some(bytes)) => decode_record(keyspace::TIP, bytes)?,
        _ => query::tip(before)?,
    };
    let what = format!("block {}", tip.height);
    Ok((!postings.is_empty()).then(|| entry(&tip, &what, postings)))
}

fn post_account(postings: &mut Vec<Posting>, key: &[u8], old: &Account, new: &Account) -> Result<(), StateError> {
    let corrupt = || StateError::Corrupt { key: hex::encode(key), reason: "it names no account".into() };
    let (_, id) = key.split_first().ok_or_else(corrupt)?;
    let id = AccountId(id.try_into().map_err(|_| corrupt())?);
    post(postings, || format!("assets:free:{id}"), old.balance, new.balance);
    post(postings, || format!("assets:staked:{id}"), old.stake, new.stake);
    Ok(())
}

fn post_totals(postings: &mut Vec<Posting>, old: &Totals, new: &Totals) {
    for (name, old, new) in [
        ("assets:locked:escrows", old.escrows, new.escrows),
        ("assets:locked:deposits", old.deposits, new.deposits),
        ("assets:locked:dividends", old.dividends, new.dividends),
        ("assets:pools:carbon", old.carbon_pool, new.carbon_pool),
        ("assets:pools:access", old.access_fund, new.access_fund),
        ("assets:pools:treasury", old.treasury, new.treasury),
        ("expenses:burned", old.burned, new.burned),
        // Where money comes from has less the more there is.
        ("equity:minted", new.minted, old.minted),
    ] {
        post(postings, || name.into(), old, new);
    }
}

fn post(postings: &mut Vec<Posting>, name: impl Fn() -> String, old: Uftns, new: Uftns) {
    if old != new {
        postings.push((name(), i128::from(new.0).saturating_sub(i128::from(old.0))));
    }
}

fn entry(tip: &Tip, what: &str, postings: Vec<Posting>) -> String {
    let mut text = format!("{} {what}  ; {} ms\n", date(tip.time), tip.time);
    for (name, amount) in postings {
        let sign = if amount < 0 { "-" } else { "" };
        let amount = Uftns(u64::try_from(amount.unsigned_abs()).unwrap_or(u64::MAX));
        // Writing to memory does not fail.
        let _ = writeln!(text, "    {name}  {sign}{amount}");
    }
    text.push('\n');
    text
}

/// The day in UTC as YYYY-MM-DD, by counting whole years and months from 1970.
fn date(time: TimeMs) -> String {
    let mut days = time.0.checked_div(DAY_MS).unwrap_or(0);
    let mut year = 1_970_u64;
    // Five digits of years are more than any chain lives; hledger reads no more.
    while year < 99_999 {
        let length = if is_leap(year) { 366 } else { 365 };
        match days.checked_sub(length) {
            Some(rest) => (days, year) = (rest, year.saturating_add(1)),
            None => break,
        }
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1_u32;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        match days.checked_sub(length) {
            Some(rest) => (days, month) = (rest, month.saturating_add(1)),
            None => break,
        }
    }
    format!("{year:04}-{month:02}-{:02}", days.min(30).saturating_add(1))
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (ms, day) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (1_709_164_800_000, "2024-02-29"),
            (1_735_603_200_000, "2024-12-31"),
            (1_735_689_600_000, "2025-01-01"),
            (1_800_000_000_000, "2027-01-15"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(date(TimeMs(ms)), day);
        }
    }
}
