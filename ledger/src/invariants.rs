//! What must hold after every block. A breach is a bug: the node halts with this report.

use crate::query;
use crate::records::{Account, EscrowStatus, Totals};
use crate::state::{StateError, StateRead, decode_record, keyspace};

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum Breach {
    #[error("money is not conserved: {0:?}")]
    Conservation(Box<Totals>),
    #[error("{what} add up to {found}, the running total says {expected}")]
    Sum { what: &'static str, found: u128, expected: u128 },
    #[error("state cannot be read")]
    State(#[from] StateError),
}

/// Entries read at once.
const PAGE: usize = 1_024;

/// Checks the running totals: cheap, done after every block.
///
/// # Errors
/// What does not hold.
pub fn check_totals(state: &dyn StateRead) -> Result<(), Breach> {
    let totals = query::totals(state)?;
    if totals.is_conserved() { Ok(()) } else { Err(Breach::Conservation(Box::new(totals))) }
}

/// Checks the running totals against every record: for tests, simulation, snapshots and exports.
///
/// # Errors
/// What does not hold.
pub fn check(state: &dyn StateRead) -> Result<(), Breach> {
    check_totals(state)?;
    let totals = query::totals(state)?;
    let (mut balances, mut stakes) = (0_u128, 0_u128);
    visit(state, &[keyspace::ACCOUNTS], |key, value| {
        let account: Account = decode_record(key, value)?;
        balances = balances.saturating_add(u128::from(account.balance.0));
        stakes = stakes.saturating_add(u128::from(account.stake.0));
        Ok(())
    })?;
    let mut escrows = 0_u128;
    visit(state, &[keyspace::ESCROWS], |key, value| {
        let escrow: crate::records::Escrow = decode_record(key, value)?;
        let settled = escrow.status != EscrowStatus::Open && !escrow.locked.is_zero();
        // Nothing stays locked in a closed escrow: counted twice, so that the sum shows it.
        let times = if settled { 2 } else { 1 };
        escrows = escrows.saturating_add(u128::from(escrow.locked.0).saturating_mul(times));
        Ok(())
    })?;
    let mut deposits = 0_u128;
    for open in query::globals(state)?.open_votes {
        let held = query::proposal(state, open.proposal)?.map_or(0, |proposal| proposal.deposit.0);
        deposits = deposits.saturating_add(u128::from(held));
    }
    for (what, found, expected) in [
        ("balances", balances, totals.balances),
        ("stakes", stakes, totals.stakes),
        ("escrows", escrows, totals.escrows),
        ("deposits", deposits, totals.deposits),
    ] {
        if found != u128::from(expected.0) {
            return Err(Breach::Sum { what, found, expected: u128::from(expected.0) });
        }
    }
    Ok(())
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
