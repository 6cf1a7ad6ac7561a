//! Planning, starting and reporting events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mesh30k_core::event::{
    DEFAULT_READY_PPM, DEFAULT_WINDOW_US, EventError as SpecError, EventId, GatherRequest, MAX_NAMED_AGENTS,
    MAX_PAYLOAD_LEN, SignedEvent,
};
use mesh30k_ledger::codec::decode;
use serde::Deserialize;

use super::extract::{Body, Params, Segment, Wait, unhex};
use super::problem::{ApiError, sentence};
use super::state::ApiState;
use super::types::{EventAccepted, EventReport, GatherAnswer, HexBody, PlanAnswer, PlanRequest};
use crate::mesh::arrival::{Admission, EventError};

/// Bytes of a signed event: its payload, the agents it names, and everything around them. A little more is read, so that
/// what is too large is refused by its own limit.
const EVENT_BYTES_MAX: usize = 2 * (MAX_PAYLOAD_LEN + 8 * MAX_NAMED_AGENTS) + 1_024;

/// `?anyway=true`: start it although the instant is nearer than the mesh needs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartParams {
    #[serde(default)]
    anyway: bool,
}

pub(super) async fn plan(
    State(state): State<ApiState>,
    Body(request): Body<PlanRequest>,
) -> Result<Json<PlanAnswer>, ApiError> {
    let answer = state.member()?.arrival.plan(&request).await;
    Ok(Json(answer.map_err(|error| problem(&error))?))
}

/// Starts a signed event; this node is its orchestrator.
pub(super) async fn start(
    State(state): State<ApiState>,
    Params(params): Params<StartParams>,
    Body(body): Body<HexBody>,
) -> Result<(StatusCode, Json<EventAccepted>), ApiError> {
    let bytes = unhex("hex", &body.hex)?;
    let event: SignedEvent = decode(&bytes, EVENT_BYTES_MAX)
        .map_err(|error| ApiError::bad_request(format!("`hex` is no signed event: {}", sentence(&error))))?;
    let admission = if params.anyway { Admission::Anyway } else { Admission::InTime };
    let id = state.member()?.arrival.start(event, admission).await.map_err(|error| problem(&error))?;
    Ok((StatusCode::ACCEPTED, Json(EventAccepted { id })))
}

pub(super) async fn report(
    State(state): State<ApiState>,
    Segment(id): Segment<EventId>,
    Params(wait): Params<Wait>,
) -> Result<Json<EventReport>, ApiError> {
    let report = state.member()?.arrival.wait_report(id, wait.duration()).await;
    Ok(Json(report.ok_or_else(|| missing(id))?))
}

/// `?window_us=&ready_ppm=&wait_ms=`: who counts as ready, how many must be, how long the summary may take from now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatherParams {
    #[serde(default = "default_window_us")]
    window_us: i64,
    #[serde(default = "default_ready_ppm")]
    ready_ppm: u32,
    #[serde(default)]
    wait_ms: u64,
}

fn default_window_us() -> i64 {
    DEFAULT_WINDOW_US
}

fn default_ready_ppm() -> u32 {
    DEFAULT_READY_PPM
}

/// Judges an event: were enough of those enrolled ready in the window, and if not, what would help.
pub(super) async fn gather(
    State(state): State<ApiState>,
    Segment(id): Segment<EventId>,
    Params(params): Params<GatherParams>,
) -> Result<Json<GatherAnswer>, ApiError> {
    let GatherParams { window_us, ready_ppm, wait_ms } = params;
    let request = GatherRequest { window_us, ready_ppm };
    let judged = state.member()?.arrival.gather(id, &request, Wait { wait_ms }.duration()).await;
    Ok(Json(judged.map_err(|error| problem(&error))?.ok_or_else(|| missing(id))?))
}

fn missing(id: EventId) -> ApiError {
    ApiError::not_found(format!("event {id} was not started at this node, or long ago"))
}

fn problem(error: &EventError) -> ApiError {
    match error {
        EventError::EmptySet => ApiError::nobody(sentence(error)),
        EventError::Word { .. }
        | EventError::UnknownAgents { .. }
        | EventError::Event(SpecError::AgentsOutOfOrder(_))
        | EventError::Gather(_) => ApiError::bad_request(sentence(error)),
        EventError::InsufficientLead { .. }
        | EventError::InPast { .. }
        | EventError::Expired { .. }
        | EventError::Duplicate(_)
        | EventError::Frozen { .. } => ApiError::conflict(sentence(error)),
        EventError::NotReady { .. } | EventError::Busy | EventError::TooMany { .. } => {
            ApiError::unavailable(sentence(error))
        }
        EventError::State(_) => ApiError::internal(error),
        EventError::Event(_) | EventError::TooFarAhead { .. } => ApiError::refused(sentence(error)),
    }
}
