//! Having work done.

use axum::Json;
use axum::extract::State;
use mesh30k_ledger::charges::needed_reserve;
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::ops::EnergyMethod;
use mesh30k_ledger::records::EscrowStatus;
use mesh30k_ledger::types::{AccountId, EscrowId, Hash, Uftns};
use serde::Deserialize;

use super::extract::{Body, Params, Segment, unhex};
use super::problem::{ApiError, sentence};
use super::state::ApiState;
use super::types::{DispatchAnswer, DispatchRequest, ReceiptRow, ReserveAnswer, TaskRow};
use crate::tasks::{Dispatch, DispatchError, Dispatched, TaskModule};

/// Places one part on an agent, has it done, and answers with receipt and output. The same part gets the same receipt again.
pub(super) async fn dispatch(
    State(state): State<ApiState>,
    Body(body): Body<DispatchRequest>,
) -> Result<Json<DispatchAnswer>, ApiError> {
    let done = state.member()?.tasks.dispatch(order(body)?).await.map_err(|error| problem(&error))?;
    Ok(Json(answer(&done)))
}

/// Takes the whole request, so that its text, twice the size of the bytes, is gone while the work is done.
fn order(request: DispatchRequest) -> Result<Dispatch, ApiError> {
    let module = match (request.module_name.is_empty(), request.module_hex.is_empty()) {
        (false, true) => TaskModule::Builtin(request.module_name),
        (true, false) => TaskModule::Bytes(unhex("module_hex", &request.module_hex)?),
        _ => return Err(ApiError::bad_request("give either `module_name` or `module_hex`")),
    };
    let input = unhex("input_hex", &request.input_hex)?;
    Ok(Dispatch { escrow: request.escrow, part: request.part, module, input, agent: request.agent })
}

/// So many times the footprint that work is reckoned to have is advised to be covered; what is not charged comes back.
const CARBON_MARGIN: u64 = 10;

/// What is asked of [`reserve`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    account: AccountId,
    price_uftns: Uftns,
    module: Hash,
}

/// What has to be set aside beside the price of each part.
pub(super) async fn reserve(
    State(state): State<ApiState>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<ReserveAnswer>, ApiError> {
    let Wanted { account, price_uftns, module } = wanted;
    let needed = state.ledger().read(|state| needed_reserve(state, &account, price_uftns, &module));
    let needed = needed.map_err(|error| ApiError::internal(&error))?;
    let margin = Uftns(needed.carbon.0.saturating_mul(CARBON_MARGIN - 1));
    Ok(Json(ReserveAnswer {
        needed_uftns: needed.total(),
        advised_uftns: Uftns(needed.total().0.saturating_add(margin.0)),
        premium_uftns: needed.premium,
        royalty_uftns: needed.royalty,
        carbon_uftns: needed.carbon,
    }))
}

fn answer(done: &Dispatched) -> DispatchAnswer {
    let report = &done.receipt.report;
    DispatchAnswer {
        receipt_hex: hex::encode(encode(&done.receipt)),
        output_hex: hex::encode(&done.output),
        agent: report.agent,
        host: report.host,
        energy_mj: report.energy_mj,
        energy_method: energy_method(report.energy_method).to_owned(),
        carbon_ug: report.carbon_ug,
        wall_us: report.wall_us,
    }
}

const fn energy_method(method: EnergyMethod) -> &'static str {
    match method {
        EnergyMethod::Rapl => "measured by the processor's counter",
        EnergyMethod::Fuel => "metered fuel, calibrated on this host",
        EnergyMethod::ClassDefault => "running time at the default power of the agent's class",
    }
}

fn problem(error: &DispatchError) -> ApiError {
    match error {
        DispatchError::UnknownEscrow(_) => ApiError::not_found(sentence(error)),
        DispatchError::UnknownModule(_) | DispatchError::UnknownAgent(_) => ApiError::bad_request(sentence(error)),
        DispatchError::TooLarge { .. } => ApiError::too_large(sentence(error)),
        DispatchError::EscrowClosed { .. }
        | DispatchError::UnknownPart { .. }
        | DispatchError::Released(_)
        | DispatchError::OtherModule { .. } => ApiError::conflict(sentence(error)),
        DispatchError::Refused(_) => ApiError::refused(sentence(error)),
        DispatchError::Nobody(_) | DispatchError::Exhausted { .. } => ApiError::unavailable(sentence(error)),
        DispatchError::State(_) => ApiError::internal(error),
    }
}

pub(super) async fn show(
    State(state): State<ApiState>,
    Segment(id): Segment<EscrowId>,
) -> Result<Json<TaskRow>, ApiError> {
    let shown = state.member()?.tasks.show(&id).map_err(|error| ApiError::internal(&error))?;
    let (escrow, receipts) = shown.ok_or_else(|| ApiError::not_found(format!("there is no escrow {id}")))?;
    let status = match escrow.status {
        EscrowStatus::Open => "open",
        EscrowStatus::Settled => "settled",
        EscrowStatus::Refunded => "refunded",
    };
    Ok(Json(TaskRow {
        escrow: id,
        opener: escrow.opener,
        task: escrow.task,
        module: escrow.module,
        status: status.to_owned(),
        parts: escrow.parts,
        released_parts: escrow.released_parts,
        locked_uftns: escrow.locked,
        release_deadline: escrow.release_deadline,
        receipts,
    }))
}

/// Receipts of an escrow's parts that this node remembers.
pub(super) async fn receipts(
    State(state): State<ApiState>,
    Segment(id): Segment<EscrowId>,
) -> Result<Json<Vec<ReceiptRow>>, ApiError> {
    let rows = state.member()?.tasks.receipts(&id).into_iter().map(|receipt| ReceiptRow {
        part: receipt.report.part,
        agent: receipt.report.agent,
        host: receipt.report.host,
        input: receipt.report.input,
        receipt_hex: hex::encode(encode(&receipt)),
    });
    Ok(Json(rows.collect()))
}
