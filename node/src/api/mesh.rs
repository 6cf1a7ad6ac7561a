//! The tree and the agents.

use axum::Json;
use axum::extract::State;
use mesh30k_ledger::types::{AgentClass, SectorId};
use serde::Deserialize;

use super::extract::Params;
use super::problem::ApiError;
use super::state::ApiState;
use super::types::{AgentRow, MeshTree};
use crate::mesh::AgentFilter;

/// Agents shown unless asked otherwise.
const AGENT_ROWS: usize = 100;
/// Agents shown, at most.
const AGENT_ROWS_MAX: usize = 50_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentParams {
    sector: Option<SectorId>,
    class: Option<AgentClass>,
    state: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn tree(State(state): State<ApiState>) -> Result<Json<MeshTree>, ApiError> {
    Ok(Json(state.member()?.mesh.tree().await))
}

pub(super) async fn agents(
    State(state): State<ApiState>,
    Params(params): Params<AgentParams>,
) -> Result<Json<Vec<AgentRow>>, ApiError> {
    let AgentParams { sector, class, state: wanted, limit } = params;
    let limit = Some(limit.unwrap_or(AGENT_ROWS).min(AGENT_ROWS_MAX));
    Ok(Json(state.member()?.mesh.agents(&AgentFilter { sector, class, state: wanted, limit }).await))
}
