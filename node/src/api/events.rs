//! Planning, starting and reporting events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mesh30k_core::event::{EventId, MAX_PAYLOAD_LEN, SignedEvent};
use mesh30k_ledger::codec::decode;
use serde::Deserialize;

use super::extract::{Body, Params, Segment, Wait, unhex};
use super::problem::{ApiError, sentence};
use super::state::ApiState;
use super::types::{EventAccepted, EventReport, HexBody, PlanAnswer, PlanRequest};
use crate::mesh::arrival::{Admission, EventError};

/// Bytes of a signed event: its payload and everything around it.
const EVENT_BYTES_MAX: usize = MAX_PAYLOAD_LEN + 1_024;

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
    let missing = || ApiError::not_found(format!("event {id} was not started at this node, or long ago"));
    Ok(Json(report.ok_or_else(missing)?))
}

fn problem(error: &EventError) -> ApiError {
    match error {
        EventError::Word { .. } | EventError::EmptySet => ApiError::bad_request(sentence(error)),
        EventError::InsufficientLead { .. }
        | EventError::InPast { .. }
        | EventError::Expired { .. }
        | EventError::Duplicate(_)
        | EventError::Frozen { .. } => ApiError::conflict(sentence(error)),
        EventError::NotReady { .. } | EventError::Busy => ApiError::unavailable(sentence(error)),
        EventError::State(_) => ApiError::internal(error),
        EventError::Signature
        | EventError::NotAnOperator(_)
        | EventError::PayloadTooLarge { .. }
        | EventError::Limit { .. }
        | EventError::DeadlineBeforeTarget { .. }
        | EventError::TooFarAhead { .. } => ApiError::refused(sentence(error)),
    }
}
