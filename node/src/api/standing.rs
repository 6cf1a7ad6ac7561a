//! Contributions, and what speaks for an account: reputation, offices, content with its impact.

use axum::Json;
use axum::extract::State;
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Contribution, ContributionRecord, Office};
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::types::{AccountId, Hash, Uftns};
use mesh30k_ledger::unit_price::period_of;
use serde::Deserialize;

use super::extract::{Params, Segment};
use super::ledger::blocking;
use super::problem::ApiError;
use super::state::ApiState;
use super::trade::{confidence_ppm, reputation};
use super::types::{ContributionRow, ContributionsAnswer, EmissionRow, OwnContentRow, OwnOfficeRow, StandingAnswer};

/// Rows of one list, at most.
const ROWS_MAX: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// Whose contributions; everybody's without.
    account: Option<AccountId>,
}

/// Contributions in order of evidence, and what each kind has left today.
pub(super) async fn contributions(
    State(state): State<ApiState>,
    Params(whose): Params<Whose>,
) -> Result<Json<ContributionsAnswer>, ApiError> {
    let ledger = state.ledger().clone();
    let answer = blocking(move || {
        ledger.read(|state| {
            let time = query::tip(state)?.time;
            let found = query::contributions(state, whose.account.as_ref(), ROWS_MAX)?;
            Ok::<_, StateError>(ContributionsAnswer {
                time,
                needed: query::parameter(state, Parameter::CreditReviewers)?,
                shares: shares(state)?,
                contributions: found.rows.into_iter().map(row).collect(),
                is_cut: found.is_cut,
            })
        })
    });
    Ok(Json(answer.await?.map_err(|error| ApiError::internal(&error))?))
}

fn row((evidence, record): (Hash, ContributionRecord)) -> ContributionRow {
    ContributionRow { evidence, record }
}

fn shares(state: &dyn StateRead) -> Result<Vec<EmissionRow>, StateError> {
    let whole = Uftns(query::parameter(state, Parameter::EmissionPerPeriod)?);
    let paid = query::emission(state)?.paid_in(period_of(query::tip(state)?.time));
    let row = |(kind, paid): (Contribution, Uftns)| EmissionRow { kind, share: kind.share_of(whole), paid };
    Ok(paid.into_iter().map(row).collect())
}

pub(super) async fn contribution(
    State(state): State<ApiState>,
    Segment(evidence): Segment<Hash>,
) -> Result<Json<ContributionRow>, ApiError> {
    let record = state.ledger().read(|state| query::contribution(state, &evidence));
    let record = record.map_err(|error| ApiError::internal(&error))?;
    let missing = || ApiError::not_found(format!("no contribution was claimed with evidence {evidence}"));
    Ok(Json(row((evidence, record.ok_or_else(missing)?))))
}

/// What speaks for an account; an account that never did anything has the reputation everybody begins with.
pub(super) async fn standing(
    State(state): State<ApiState>,
    Segment(account): Segment<AccountId>,
) -> Result<Json<StandingAnswer>, ApiError> {
    let ledger = state.ledger().clone();
    let answer = blocking(move || ledger.read(|state| standing_of(state, account))).await?;
    Ok(Json(answer.map_err(|error| ApiError::internal(&error))?))
}

fn standing_of(state: &dyn StateRead, account: AccountId) -> Result<StandingAnswer, StateError> {
    let time = query::tip(state)?.time;
    let contributions = query::contributions(state, Some(&account), ROWS_MAX)?;
    let owned = query::contents_of(state, &account, ROWS_MAX)?;
    let highest = query::parameter(state, Parameter::ImpactBonusPpm)?;
    let contents = owned.rows.into_iter().map(|(content, record)| {
        let impact = record.impact.at(period_of(time));
        let share = record.owners.iter().find(|share| share.owner == account);
        OwnContentRow {
            content,
            share_ppm: share.map_or(0, |share| share.ppm),
            impact: impact.score(),
            impact_by_kind: impact,
            bonus_ppm: impact.share_of(highest),
            record,
        }
    });
    let contents = contents.collect();
    let mut offices = Vec::new();
    for office in [Office::Oracle, Office::Reviewer, Office::Guardian] {
        let term = query::office(state, office, &account)?;
        offices.extend(term.filter(|term| time < term.until).map(|term| OwnOfficeRow { office, term }));
    }
    Ok(StandingAnswer {
        account,
        time,
        reputation: reputation(state, &account)?,
        changed: query::reputation(state, &account)?,
        confidence_ppm: confidence_ppm(state, &account)?,
        calibrated: query::calibration(state, &account)?,
        offices,
        contents,
        contributions: contributions.rows.into_iter().map(row).collect(),
        is_cut: contributions.is_cut || owned.is_cut,
    })
}
