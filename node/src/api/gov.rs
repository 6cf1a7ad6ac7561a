//! Proposals, parameters, freezes.

use axum::Json;
use axum::extract::State;
use mesh30k_ledger::finality::Validator;
use mesh30k_ledger::parameters::{Parameter, Parameters};
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Duty, Office, Proposal, ProposalStatus};
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{ProposalId, Scope};
use std::collections::BTreeSet;

use super::extract::Segment;
use super::problem::ApiError;
use super::state::ApiState;
use super::types::{FreezeRow, OfficeRow, ParameterRow, ProposalRow, ValidatorRow, ValidatorsAnswer};

/// Proposals shown, at most.
const PROPOSAL_ROWS_MAX: usize = 1_000;
/// From so many voters on, no voter counts for more than the cap.
const CAPPED_FROM_VOTERS: u64 = 10;

pub(super) async fn proposals(State(state): State<ApiState>) -> Result<Json<Vec<ProposalRow>>, ApiError> {
    let read = state
        .ledger()
        .read(|state| Ok::<_, StateError>((query::proposals(state, PROPOSAL_ROWS_MAX)?, query::parameters(state)?)));
    let (proposals, parameters) = read.map_err(|error| ApiError::internal(&error))?;
    Ok(Json(proposals.iter().map(|proposal| row(proposal, &parameters)).collect()))
}

pub(super) async fn proposal(
    State(state): State<ApiState>,
    Segment(id): Segment<ProposalId>,
) -> Result<Json<ProposalRow>, ApiError> {
    let read =
        state.ledger().read(|state| Ok::<_, StateError>((query::proposal(state, id)?, query::parameters(state)?)));
    let (proposal, parameters) = read.map_err(|error| ApiError::internal(&error))?;
    let proposal = proposal.ok_or_else(|| ApiError::not_found(format!("there is no proposal {id}")))?;
    Ok(Json(row(&proposal, &parameters)))
}

pub(super) async fn parameters(State(state): State<ApiState>) -> Result<Json<Vec<ParameterRow>>, ApiError> {
    let parameters =
        state.ledger().read(|state| query::parameters(state)).map_err(|error| ApiError::internal(&error))?;
    Ok(Json(parameters.all().map(|(parameter, value)| parameter_row(parameter, value)).collect()))
}

pub(super) async fn validators(State(state): State<ApiState>) -> Result<Json<ValidatorsAnswer>, ApiError> {
    let answer = state.ledger().read(|state| {
        let (now, next) = (query::validator_set(state)?, query::next_validator_set(state)?);
        let row = |seat: &Validator| {
            let bond = query::bond(state, &seat.account)?.unwrap_or_default();
            let bonded_uftns = bond.bonded.get(&Duty::Validator).copied().unwrap_or_default();
            Ok::<_, StateError>(ValidatorRow {
                node: seat.node,
                account: seat.account,
                validator_key: seat.key,
                bonded_uftns,
            })
        };
        Ok::<_, StateError>(ValidatorsAnswer {
            epoch: query::epoch(state)?,
            quorum: now.quorum(),
            validators: now.0.iter().map(row).collect::<Result<_, _>>()?,
            next: (next != now).then(|| next.0.iter().map(|seat| seat.node).collect()),
        })
    });
    answer.map(Json).map_err(|error| ApiError::internal(&error))
}

pub(super) async fn freezes(State(state): State<ApiState>) -> Result<Json<Vec<FreezeRow>>, ApiError> {
    let recorded = state.ledger().read(|state| query::freezes(state)).map_err(|error| ApiError::internal(&error))?;
    let recorded: BTreeSet<Scope> = recorded.iter().map(|freeze| freeze.scope).collect();
    let mesh = &state.member()?.mesh;
    let in_force = mesh.freezes().view().list(mesh.now());
    let rows = in_force.into_iter().map(|frozen| FreezeRow {
        scope: frozen.scope,
        reason: frozen.reason,
        until: frozen.until,
        recorded: recorded.contains(&frozen.scope),
    });
    Ok(Json(rows.collect()))
}

/// Who holds which office now.
pub(super) async fn offices(State(state): State<ApiState>) -> Result<Json<Vec<OfficeRow>>, ApiError> {
    let read = state.ledger().read(|state| {
        let now = query::tip(state)?.time;
        let mut rows = Vec::new();
        for office in [Office::Oracle, Office::Reviewer, Office::Guardian] {
            for (account, term) in query::terms(state, office)? {
                if now < term.until {
                    let node = query::node_of_account(state, &account)?;
                    rows.push(OfficeRow { office, account, node, since: term.since, until: term.until });
                }
            }
        }
        Ok::<_, StateError>(rows)
    });
    Ok(Json(read.map_err(|error| ApiError::internal(&error))?))
}

fn parameter_row(parameter: Parameter, value: u64) -> ParameterRow {
    let (min, max) = parameter.bounds();
    ParameterRow { name: parameter.name().to_owned(), value, min, max }
}

fn row(proposal: &Proposal, in_force: &Parameters) -> ProposalRow {
    // What a parameter was before is no longer known once the change is carried out.
    let before = (proposal.status != ProposalStatus::Executed).then_some(in_force);
    let tally = &proposal.tally;
    let [yes, no, abstain, veto] = if tally.voters < CAPPED_FROM_VOTERS { tally.owned } else { tally.capped };
    ProposalRow {
        proposal: proposal.id.0,
        status: proposal.status.to_string(),
        title: proposal.title.clone(),
        changes: proposal.kind.sentences(before),
        yes,
        no,
        abstain,
        veto,
        total: proposal.snapshot_weight.0,
        voting_ends: proposal.voting_ends,
        reason: proposal.reason.clone(),
    }
}
