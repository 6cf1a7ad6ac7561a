//! The truth about releases and pauses; a local test network only.

use axum::Json;
use axum::extract::State;
use mesh30k_core::event::EventId;
use mesh30k_ledger::types::TxId;
use serde::Deserialize;

use super::extract::Params;
use super::problem::ApiError;
use super::state::ApiState;
use super::types::{PauseRow, ReleaseRow};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseParams {
    event: EventId,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseParams {
    order: Option<TxId>,
}

pub(super) async fn releases(
    State(state): State<ApiState>,
    Params(params): Params<ReleaseParams>,
) -> Result<Json<Vec<ReleaseRow>>, ApiError> {
    state.harness().releases(params.event).map(Json).ok_or_else(disabled)
}

pub(super) async fn pauses(
    State(state): State<ApiState>,
    Params(params): Params<PauseParams>,
) -> Result<Json<Vec<PauseRow>>, ApiError> {
    let mut rows = state.harness().pauses().ok_or_else(disabled)?;
    rows.retain(|row| params.order.is_none_or(|order| row.order == order));
    Ok(Json(rows))
}

fn disabled() -> ApiError {
    ApiError::not_found("this node shows no truth: harness.enabled is false, as it should be outside of test networks")
}
