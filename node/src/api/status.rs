//! Health, readiness, metrics, and one look at the node.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::problem::ApiError;
use super::state::ApiState;
use super::types::{DiskRow, Status};
use crate::disk::DiskReading;
use crate::telemetry::CONTENT_TYPE;

/// The process answers.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// The node takes part in everything; else 503 with what is missing.
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let missing = state.not_ready();
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    ApiError::unavailable(missing.join("; ")).into_response()
}

/// Prometheus text: the node's own metrics first, then libp2p's.
pub(super) async fn metrics(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let text = state.metrics().encode(Some(state.control().registry())).map_err(|error| ApiError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

pub(super) async fn status(State(state): State<ApiState>) -> Json<Status> {
    let (ledger, control) = (state.ledger(), state.control());
    let chain = ledger.chain_status();
    let context = ledger.context();
    let node = state.node();
    let (disk, DiskReading { free_bytes, total_bytes }) = ledger.disk().seen();
    Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        chain: context.chain.to_string(),
        genesis: context.genesis,
        node,
        peer_id: control.local_peer_id().to_string(),
        role: if chain.is_validator { "validator" } else { "observer" }.to_owned(),
        peers: control.peers().len(),
        final_height: chain.tip.height,
        final_time: chain.tip.time,
        ordered_height: chain.ordered_height,
        leader: chain.leader,
        halted: chain.halted,
        disk: DiskRow { state: disk.as_str().to_owned(), free_bytes, total_bytes },
        pool: chain.pool,
        hosted_agents: node.map_or(0, |node| ledger.roster().hosted_by(node).count()),
        duties: state.member().map(|member| member.duties.rows()).unwrap_or_default(),
        replay: state.replay().to_owned(),
        not_ready: state.not_ready(),
        peak_rss_kib: peak_rss_kib(),
    })
}

/// Peak resident memory as Linux counts it; 0 elsewhere.
fn peak_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_of_this_process_is_known() {
        assert!(super::peak_rss_kib() > 500);
    }
}
