//! The tree, the agents, and queries of the registry.

use axum::Json;
use axum::extract::State;
use mesh30k_core::registry::{AgentState, Capabilities, Order, Query, Resolution};
use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, Region, SectorId};
use serde::Deserialize;

use super::extract::Params;
use super::problem::ApiError;
use super::state::ApiState;
use super::types::{AgentRow, FoundRow, HistoryAnswer, MeshTree, StatisticsRow};
use crate::mesh::{AgentFilter, StatisticsBy};

/// Agents shown unless asked otherwise.
const AGENT_ROWS: usize = 100;
/// Agents shown, at most.
const AGENT_ROWS_MAX: usize = 50_000;

/// Agents found unless asked otherwise, and at most.
const FOUND_ROWS: usize = 10;
const FOUND_ROWS_MAX: usize = 10_000;

/// What `GET /v1/mesh/find` looks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FindParams {
    /// Names, divided by commas; all are needed.
    #[serde(default)]
    capability: String,
    n: Option<usize>,
    max_score: Option<u16>,
    class: Option<AgentClass>,
    region: Option<Region>,
    sector: Option<SectorId>,
    cluster: Option<ClusterId>,
    /// In the registry's words, or `any`; active when not given.
    state: Option<String>,
    #[serde(default)]
    green: bool,
    /// `score`, `impedance`, `price`, `reliability` or `drift`.
    order: Option<String>,
}

/// What `GET /v1/mesh/statistics` is of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatisticsParams {
    /// `mesh`, `sector` or `cluster`.
    by: Option<String>,
}

/// What `GET /v1/mesh/history` is of: an agent or a sector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryParams {
    agent: Option<AgentId>,
    sector: Option<SectorId>,
    /// `hour` (by minutes), `day` (by half hours) or `week` (by three hours).
    resolution: Option<String>,
}

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

/// The best agents for something.
pub(super) async fn find(
    State(state): State<ApiState>,
    Params(params): Params<FindParams>,
) -> Result<Json<Vec<FoundRow>>, ApiError> {
    let query = query(params)?;
    Ok(Json(state.member()?.mesh.found(&query).await))
}

/// Counts, scores and delays of the mesh, each sector or each cluster.
pub(super) async fn statistics(
    State(state): State<ApiState>,
    Params(params): Params<StatisticsParams>,
) -> Result<Json<Vec<StatisticsRow>>, ApiError> {
    let by = match params.by.as_deref() {
        None | Some("mesh") => StatisticsBy::Mesh,
        Some("sector") => StatisticsBy::Sector,
        Some("cluster") => StatisticsBy::Cluster,
        Some(other) => return Err(unknown("by", other, "mesh, sector or cluster")),
    };
    Ok(Json(state.member()?.mesh.statistics(by).await))
}

/// How an agent's or a sector's impedance was over the last hour, day or week.
pub(super) async fn history(
    State(state): State<ApiState>,
    Params(params): Params<HistoryParams>,
) -> Result<Json<HistoryAnswer>, ApiError> {
    let resolution = match params.resolution.as_deref() {
        None | Some("hour") => Resolution::Hour,
        Some("day") => Resolution::Day,
        Some("week") => Resolution::Week,
        Some(other) => return Err(unknown("resolution", other, "hour, day or week")),
    };
    let mesh = &state.member()?.mesh;
    let (found, what) = match (params.agent, params.sector) {
        (Some(agent), None) => (mesh.agent_history(agent, resolution), format!("agent {agent}")),
        (None, Some(sector)) => (mesh.sector_history(sector, resolution), format!("sector {sector}")),
        _ => return Err(ApiError::bad_request("give either `agent` or `sector`")),
    };
    let missing = || format!("this node has no history of {what}; the voters of its sector keep one while they run");
    Ok(Json(found.ok_or_else(|| ApiError::not_found(missing()))?))
}

fn query(params: FindParams) -> Result<Query, ApiError> {
    let mut capabilities = Capabilities(0);
    for name in params.capability.split(',').filter(|name| !name.is_empty()) {
        let known = Capabilities::named(name);
        let words = "sense, actuate, compute, infer, store, relay or review";
        capabilities = capabilities.union(known.ok_or_else(|| unknown("capability", name, words))?);
    }
    let order = match params.order.as_deref() {
        None | Some("score") => Order::Score,
        Some("impedance") => Order::Impedance,
        Some("price") => Order::Price,
        Some("reliability") => Order::Reliability,
        Some("drift") => Order::Drift,
        Some(other) => return Err(unknown("order", other, "score, impedance, price, reliability or drift")),
    };
    let state = match params.state.as_deref() {
        None | Some("active") => Some(AgentState::Active),
        Some("degraded") => Some(AgentState::Degraded),
        Some("offline") => Some(AgentState::Offline),
        Some("quarantined") => Some(AgentState::Quarantined),
        Some("frozen") => Some(AgentState::Frozen),
        Some("any") => None,
        Some(other) => {
            return Err(unknown("state", other, "active, degraded, offline, quarantined, frozen or any"));
        }
    };
    let n = params.n.unwrap_or(FOUND_ROWS);
    if n == 0 || n > FOUND_ROWS_MAX {
        return Err(ApiError::bad_request(format!("`n` is {n}, allowed are 1 to {FOUND_ROWS_MAX}")));
    }
    let FindParams { max_score, class, region, sector, cluster, green, .. } = params;
    Ok(Query { capabilities, n, max_score, class, region, sector, cluster, state, green, order })
}

fn unknown(field: &str, found: &str, expected: &str) -> ApiError {
    let found: String = found.chars().take(40).collect();
    ApiError::bad_request(format!("`{field}` is {found:?}; it may be {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> FindParams {
        FindParams {
            capability: String::new(),
            n: None,
            max_score: None,
            class: None,
            region: None,
            sector: None,
            cluster: None,
            state: None,
            green: false,
            order: None,
        }
    }

    #[test]
    fn words_become_a_query_and_unknown_ones_say_which_there_are() {
        let asked = FindParams { capability: "compute,infer".into(), order: Some("price".into()), ..params() };
        let found = query(asked).unwrap();
        assert_eq!(found.capabilities, Capabilities::COMPUTE.union(Capabilities::INFER));
        assert_eq!((found.n, found.order, found.state), (FOUND_ROWS, Order::Price, Some(AgentState::Active)));
        assert_eq!(query(FindParams { state: Some("any".into()), ..params() }).unwrap().state, None);
        let said = |asked: FindParams| query(asked).unwrap_err().0.detail;
        assert!(said(FindParams { capability: "compute,fly".into(), ..params() }).contains("\"fly\"; it may be sense"));
        assert!(said(FindParams { order: Some("luck".into()), ..params() }).contains("score, impedance"));
        assert!(said(FindParams { state: Some("asleep".into()), ..params() }).contains("active, degraded"));
        assert!(said(FindParams { n: Some(0), ..params() }).contains("1 to 10000"));
    }
}
