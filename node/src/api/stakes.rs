//! Who answers with what, and which payments are to come.

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::types::{AccountId, Hash, NodeId};
use serde::Deserialize;

use super::extract::{Params, Segment};
use super::ledger::blocking;
use super::problem::ApiError;
use super::state::ApiState;
use super::types::{ScheduleRow, SchedulesPage, StakeAnswer, StakeRow};

/// Rows of one answer, at most.
const ROWS_MAX: usize = 500;
/// Schedules that are looked at for one page, at most: those of one account may be few among many.
const LOOKED_AT_MAX: usize = 10_000;

/// An account, or the one of a node: `node:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Account(AccountId),
    Node(NodeId),
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = |error: &dyn std::fmt::Display| format!("an account (ftns1...) or node:N is wanted: {error}");
        match text.strip_prefix("node:") {
            Some(number) => number.parse().map(Self::Node).map_err(|error| wanted(&error)),
            None => text.parse().map(Self::Account).map_err(|error| wanted(&error)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountPage {
    /// The first account that is wanted.
    from: Option<AccountId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SchedulePage {
    /// The first name that is wanted.
    from: Option<Hash>,
    /// Only what this account pays or is paid.
    account: Option<AccountId>,
}

/// Accounts that ever bonded, in order of account.
pub(super) async fn stakes(
    State(state): State<ApiState>,
    Params(page): Params<AccountPage>,
) -> Result<Json<Vec<StakeRow>>, ApiError> {
    let ledger = state.ledger().clone();
    let from = page.from.unwrap_or(AccountId([0; 20]));
    let rows = blocking(move || {
        ledger.read(|state| {
            let bonds = query::bonds(state, &from, ROWS_MAX)?.into_iter();
            let row =
                |(account, record)| Ok(StakeRow { account, node: query::node_of_account(state, &account)?, record });
            bonds.map(row).collect::<Result<Vec<_>, StateError>>()
        })
    });
    Ok(Json(rows.await?.map_err(|error| ApiError::internal(&error))?))
}

/// What one account answers with.
pub(super) async fn stake(
    State(state): State<ApiState>,
    Segment(owner): Segment<Owner>,
) -> Result<Json<StakeAnswer>, ApiError> {
    let read = state.ledger().read(|state| stake_of(state, owner));
    let found = read.map_err(|error| ApiError::internal(&error))?;
    found.map(Json).ok_or_else(|| match owner {
        Owner::Account(account) => {
            ApiError::not_found(format!("account {account} does not exist; it has received nothing yet"))
        }
        Owner::Node(node) => ApiError::not_found(format!("node {node} is not on the ledger")),
    })
}

fn stake_of(state: &dyn StateRead, owner: Owner) -> Result<Option<StakeAnswer>, StateError> {
    let account = match owner {
        Owner::Account(account) => account,
        Owner::Node(node) => match query::node(state, node)? {
            Some(record) => record.account,
            None => return Ok(None),
        },
    };
    let Some(held) = query::account(state, &account)? else { return Ok(None) };
    let record = query::bond(state, &account)?.unwrap_or_default();
    Ok(Some(StakeAnswer {
        stake: StakeRow { account, node: query::node_of_account(state, &account)?, record },
        free_uftns: held.balance,
        unbonding_ms: query::parameter(state, Parameter::UnbondingMs)?,
        time: query::tip(state)?.time,
    }))
}

/// Payments to come, all or those of one account.
pub(super) async fn schedules(
    State(state): State<ApiState>,
    Params(page): Params<SchedulePage>,
) -> Result<Json<SchedulesPage>, ApiError> {
    let ledger = state.ledger().clone();
    let answer = blocking(move || ledger.read(|state| schedules_of(state, &page))).await?;
    Ok(Json(answer.map_err(|error| ApiError::internal(&error))?))
}

fn schedules_of(state: &dyn StateRead, page: &SchedulePage) -> Result<SchedulesPage, StateError> {
    let from = page.from.unwrap_or(Hash::ZERO);
    let mut found = query::schedules(state, &from, LOOKED_AT_MAX + 1)?;
    let mut next = found.get(LOOKED_AT_MAX).map(|(name, _)| *name);
    found.truncate(LOOKED_AT_MAX);
    found.retain(|(_, record)| page.account.is_none_or(|account| account == record.from || account == record.to));
    if let Some((name, _)) = found.get(ROWS_MAX) {
        next = Some(*name);
    }
    found.truncate(ROWS_MAX);
    let rows = found.into_iter().map(|(schedule, record)| ScheduleRow { schedule, record }).collect();
    Ok(SchedulesPage { rows, next, time: query::tip(state)?.time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_an_account_or_a_node() {
        let account = AccountId([7; 20]);
        assert_eq!(account.to_string().parse(), Ok(Owner::Account(account)));
        assert_eq!("node:2".parse(), Ok(Owner::Node(NodeId(2))));
        for bad in ["", "2", "node:", "node:x", "alice"] {
            assert!(bad.parse::<Owner>().unwrap_err().contains("node:N"), "{bad}");
        }
    }
}
