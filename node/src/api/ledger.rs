//! Transactions, accounts, receipts, blocks.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::block::MAX_TRANSACTIONS;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::query;
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{AccountId, Hash, Height, TxId};
use serde::Deserialize;

use super::extract::{Body, Params, Segment, Wait, unhex};
use super::problem::{ApiError, sentence};
use super::state::ApiState;
use super::types::{AccountRow, BatchAnswer, BatchBody, BlockRow, HexBody, KeysAnswer, RefusedRow, TransactionRow};
use super::words::transaction_row;
use crate::ledger::{EvidenceRow, LedgerHandle, PoolRefusal, SubmitError, TxStatus};
use crate::mesh::{FreezeError, FreezeHandle};

/// Rows of a history unless asked otherwise.
const HISTORY_ROWS: usize = 20;
/// Rows of a history, at most.
const HISTORY_ROWS_MAX: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limit {
    limit: Option<usize>,
}

/// A block's height, or `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockName {
    Latest,
    At(Height),
}

impl std::str::FromStr for BlockName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        text.parse().map(Self::At).map_err(|_| "a height or `latest` is wanted".to_owned())
    }
}

pub(super) async fn genesis(State(state): State<ApiState>) -> Json<Genesis> {
    Json(state.ledger().genesis().clone())
}

/// Takes a signed transaction, and waits until it is final if asked to. Freezes and thaws are obeyed here at once and told to the
/// mesh before they are recorded.
pub(super) async fn submit(
    State(state): State<ApiState>,
    Params(wait): Params<Wait>,
    Body(body): Body<HexBody>,
) -> Result<(StatusCode, Json<TransactionRow>), ApiError> {
    let signed = read_signed("hex", &body.hex)?;
    let id = if FreezeHandle::is_order(&signed) {
        state.member()?.mesh.freezes().submit(signed).map_err(|error| freeze_problem(&error))?
    } else {
        admit(&state, vec![signed]).await?.pop().unwrap_or(Err(SubmitError::Closed)).map_err(|e| submit_problem(&e))?
    };
    if wait.duration().is_zero() {
        return Ok((StatusCode::ACCEPTED, Json(transaction_row(id, TxStatus::Accepted))));
    }
    let status = state.ledger().wait_final(&id, wait.duration()).await.map_err(|error| ApiError::internal(&error))?;
    let code = if matches!(status, TxStatus::Final(..)) { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((code, Json(transaction_row(id, status))))
}

/// Takes signed transactions, each on its own merits, and waits until all that were accepted are final if asked to.
pub(super) async fn submit_batch(
    State(state): State<ApiState>,
    Params(wait): Params<Wait>,
    Body(body): Body<BatchBody>,
) -> Result<(StatusCode, Json<BatchAnswer>), ApiError> {
    if body.hex.len() > MAX_TRANSACTIONS {
        let found = body.hex.len();
        return Err(ApiError::too_large(format!(
            "`hex` holds {found} transactions; at most {MAX_TRANSACTIONS} are taken"
        )));
    }
    let batch = body.hex.iter().map(|hex| read_signed("hex", hex)).collect::<Result<Vec<_>, _>>()?;
    if batch.iter().any(FreezeHandle::is_order) {
        return Err(ApiError::bad_request("freezes and thaws are taken one by one, at /v1/transactions"));
    }
    let answers = admit(&state, batch).await?;
    let (mut ids, mut refused) = (Vec::with_capacity(answers.len()), Vec::new());
    for (index, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(id) => ids.push(id),
            Err(error) => refused.push(RefusedRow { index, detail: sentence(&error) }),
        }
    }
    let accepted = ids.len();
    let done = if wait.duration().is_zero() { Vec::new() } else { state.ledger().wait_all(ids, wait.duration()).await };
    let answer = BatchAnswer {
        accepted,
        refused,
        finals: done.len(),
        succeeded: done.iter().filter(|(_, outcome)| outcome.is_executed()).count(),
        height: done.iter().map(|(height, _)| *height).max(),
    };
    let code = if answer.finals == accepted && accepted > 0 { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((code, Json(answer)))
}

fn read_signed(field: &str, hex: &str) -> Result<SignedTransaction, ApiError> {
    SignedTransaction::from_bytes(&unhex(field, hex)?)
        .map_err(|error| ApiError::bad_request(format!("`{field}` is no signed transaction: {}", sentence(&error))))
}

async fn admit(state: &ApiState, batch: Vec<SignedTransaction>) -> Result<Vec<Result<TxId, SubmitError>>, ApiError> {
    state.ledger().admit(batch).await.map_err(|error| submit_problem(&error))
}

fn submit_problem(error: &SubmitError) -> ApiError {
    match error {
        SubmitError::Rejected(_) => ApiError::refused(sentence(error)),
        SubmitError::Pool(PoolRefusal::NonceTaken { .. }) => ApiError::conflict(sentence(error)),
        SubmitError::Pool(_) | SubmitError::Halted(_) | SubmitError::ReadOnly(_) | SubmitError::Closed => {
            ApiError::unavailable(sentence(error))
        }
        SubmitError::State(_) => ApiError::internal(error),
    }
}

fn freeze_problem(error: &FreezeError) -> ApiError {
    match error {
        FreezeError::Order(_) => ApiError::refused(sentence(error)),
        FreezeError::NotRecorded(_) => ApiError::conflict(sentence(error)),
        FreezeError::State(_) => ApiError::internal(error),
    }
}

pub(super) async fn transaction(
    State(state): State<ApiState>,
    Segment(id): Segment<TxId>,
    Params(wait): Params<Wait>,
) -> Result<Json<TransactionRow>, ApiError> {
    let status = state.ledger().wait_final(&id, wait.duration()).await.map_err(|error| ApiError::internal(&error))?;
    Ok(Json(transaction_row(id, status)))
}

pub(super) async fn account(
    State(state): State<ApiState>,
    Segment(id): Segment<AccountId>,
) -> Result<Json<AccountRow>, ApiError> {
    let read = state
        .ledger()
        .read(|state| Ok::<_, mesh30k_ledger::state::StateError>((query::account(state, &id)?, query::tip(state)?)));
    let (account, tip) = read.map_err(|error| ApiError::internal(&error))?;
    let account = account.ok_or_else(|| no_account(&id, tip.height))?;
    Ok(Json(AccountRow { account: id, balance_uftns: account.balance, next_nonce: account.nonce, height: tip.height }))
}

/// Who signs for an account.
pub(super) async fn keys(
    State(state): State<ApiState>,
    Segment(id): Segment<AccountId>,
) -> Result<Json<KeysAnswer>, ApiError> {
    let read = state.ledger().read(|state| {
        let (tip, account) = (query::tip(state)?, query::account(state, &id)?);
        Ok::<_, mesh30k_ledger::state::StateError>((tip.height, account, query::operators(state)?.keys))
    });
    let (height, account, operators) = read.map_err(|error| ApiError::internal(&error))?;
    let account = account.ok_or_else(|| no_account(&id, height))?;
    Ok(Json(KeysAnswer { account: id, policy: account.policy, operators, height }))
}

fn no_account(id: &AccountId, height: Height) -> ApiError {
    ApiError::not_found(format!("account {id} does not exist at block {height}; it has received nothing yet"))
}

pub(super) async fn history(
    State(state): State<ApiState>,
    Segment(id): Segment<AccountId>,
    Params(limit): Params<Limit>,
) -> Result<Json<Vec<TransactionRow>>, ApiError> {
    let limit = limit.limit.unwrap_or(HISTORY_ROWS).min(HISTORY_ROWS_MAX);
    let ledger = state.ledger().clone();
    let rows = blocking(move || history_rows(&ledger, &id, limit)).await?;
    Ok(Json(rows.map_err(|error| ApiError::internal(&error))?))
}

fn history_rows(ledger: &LedgerHandle, id: &AccountId, limit: usize) -> Result<Vec<TransactionRow>, StoreError> {
    let mut rows = Vec::new();
    for (height, index) in ledger.store().history(id, limit)? {
        let Some(stored) = ledger.store().block(height)? else { continue };
        let transaction = stored.block.transactions.get(index).map(SignedTransaction::id);
        if let (Some(id), Some(outcome)) = (transaction, stored.outcomes.into_iter().nth(index)) {
            rows.push(transaction_row(id, TxStatus::Final(height, outcome)));
        }
    }
    Ok(rows)
}

pub(super) async fn receipt(
    State(state): State<ApiState>,
    Segment(id): Segment<TxId>,
) -> Result<Json<Receipt>, ApiError> {
    let ledger = state.ledger().clone();
    let receipt = blocking(move || ledger.receipt(&id)).await?.map_err(|error| ApiError::internal(&error))?;
    let missing = || ApiError::not_found(format!("transaction {id} is not final on this node, so there is no receipt"));
    Ok(Json(receipt.ok_or_else(missing)?))
}

/// What this node holds against validators, and what came of it.
pub(super) async fn evidence(State(state): State<ApiState>) -> Result<Json<Vec<EvidenceRow>>, ApiError> {
    let ledger = state.ledger().clone();
    Ok(Json(blocking(move || ledger.evidence()).await?))
}

pub(super) async fn block(
    State(state): State<ApiState>,
    Segment(name): Segment<BlockName>,
) -> Result<Json<BlockRow>, ApiError> {
    let ledger = state.ledger().clone();
    let tip = ledger.chain_status().tip.height;
    let height = match name {
        BlockName::Latest => tip,
        BlockName::At(height) => height,
    };
    let stored = blocking(move || ledger.store().block(height)).await?.map_err(|error| ApiError::internal(&error))?;
    let missing = || ApiError::not_found(format!("this node has no final block {height}; its last one is {tip}"));
    let stored = stored.ok_or_else(missing)?;
    let header = stored.block.header;
    let transactions: Vec<Hash> = stored.block.transactions.iter().map(SignedTransaction::id).collect();
    Ok(Json(BlockRow {
        height: header.height,
        id: header.id(),
        parent: header.parent,
        time: header.time,
        term: header.term,
        proposer: header.proposer,
        transactions,
        certified_by: stored.certificate.signatures.iter().map(|signature| signature.node).collect(),
    }))
}

/// Runs what reads many records where it may take its time.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::internal(&error))
}
