//! Auctions, escrows with what hangs on them, and claims that are to be decided.

use axum::Json;
use axum::extract::State;
use mesh30k_ledger::ops::bid_score;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{
    AuctionRecord, BidRecord, CONFIDENCE_START_PPM, ClaimRecord, Escrow, ListingKind, OrderRecord, REPUTATION_START,
};
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::types::{AccountId, EscrowId, Hash, Uftns};
use serde::Deserialize;

use super::extract::{Params, Segment};
use super::ledger::blocking;
use super::problem::ApiError;
use super::state::ApiState;
use super::types::{AuctionAnswer, AuctionRow, BidRow, ClaimRow, ClaimsAnswer, EscrowAnswer, PayeeRow};

/// Rows of one answer, at most.
const ROWS_MAX: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The first name that is wanted.
    from: Option<Hash>,
}

/// Auctions in order of name, beginning with `from`.
pub(super) async fn auctions(
    State(state): State<ApiState>,
    Params(page): Params<Page>,
) -> Result<Json<Vec<AuctionRow>>, ApiError> {
    let ledger = state.ledger().clone();
    let from = page.from.unwrap_or(Hash::ZERO);
    let found = blocking(move || ledger.read(|state| query::auctions(state, &from, ROWS_MAX))).await?;
    let rows = found.map_err(|error| ApiError::internal(&error))?.into_iter();
    Ok(Json(rows.map(|(auction, record)| AuctionRow { auction, record }).collect()))
}

pub(super) async fn auction(
    State(state): State<ApiState>,
    Segment(id): Segment<Hash>,
) -> Result<Json<AuctionAnswer>, ApiError> {
    let read = state.ledger().read(|state| auction_of(state, id)).map_err(|error| ApiError::internal(&error))?;
    Ok(Json(read.ok_or_else(|| ApiError::not_found(format!("there is no auction {id}")))?))
}

fn auction_of(state: &dyn StateRead, id: Hash) -> Result<Option<AuctionAnswer>, StateError> {
    let Some(record) = query::auction(state, &id)? else { return Ok(None) };
    let (time, escrow) = (query::tip(state)?.time, query::escrow(state, &id)?);
    let bids = bids(state, &record)?;
    Ok(Some(AuctionAnswer { auction: id, record, time, bids, escrow }))
}

/// The best first, then those that are still sealed, in order of bidder.
fn bids(state: &dyn StateRead, record: &AuctionRecord) -> Result<Vec<BidRow>, StateError> {
    let mut scored = Vec::with_capacity(record.bids.len());
    for (bidder, BidRecord { sealed, opened }) in &record.bids {
        let (reputation, confidence_ppm) = (reputation(state, bidder)?, confidence_ppm(state, bidder)?);
        let score = opened.map(|bid| bid_score(&bid, reputation, confidence_ppm, record.terms.carbon_price));
        let shown = score.map(|score| Uftns(u64::try_from(score.div_ceil(1_000_000)).unwrap_or(u64::MAX)));
        let (bidder, sealed, opened) = (*bidder, *sealed, *opened);
        let row = BidRow { bidder, reputation, confidence_ppm, sealed, opened, score_uftns: shown };
        scored.push((score.is_none(), score, row));
    }
    scored.sort_by_key(|(is_sealed, score, row)| (*is_sealed, *score, row.bidder));
    Ok(scored.into_iter().map(|(_, _, row)| row).collect())
}

/// An account's reputation at the last final block.
pub(super) fn reputation(state: &dyn StateRead, account: &AccountId) -> Result<u32, StateError> {
    let (now, record) = (query::tip(state)?.time, query::reputation(state, account)?);
    Ok(record.map_or(REPUTATION_START, |record| record.score_at(now)))
}

/// How far an account's predictions are trusted at the last final block.
pub(super) fn confidence_ppm(state: &dyn StateRead, account: &AccountId) -> Result<u32, StateError> {
    let (now, record) = (query::tip(state)?.time, query::calibration(state, account)?);
    Ok(record.map_or(CONFIDENCE_START_PPM, |record| record.confidence_at(now)))
}

/// An escrow, whoever opened it and for whatever.
pub(super) async fn escrow(
    State(state): State<ApiState>,
    Segment(id): Segment<EscrowId>,
) -> Result<Json<EscrowAnswer>, ApiError> {
    let read = state.ledger().read(|state| escrow_of(state, id)).map_err(|error| ApiError::internal(&error))?;
    Ok(Json(read.ok_or_else(|| ApiError::not_found(format!("there is no escrow {id}")))?))
}

fn escrow_of(state: &dyn StateRead, id: EscrowId) -> Result<Option<EscrowAnswer>, StateError> {
    let Some(escrow) = query::escrow(state, &id)? else { return Ok(None) };
    let claims = query::claims_of(state, &id)?.into_iter().map(|record| (id, record));
    let order = query::order(state, &id)?;
    Ok(Some(EscrowAnswer {
        id,
        time: query::tip(state)?.time,
        payee: payee(state, &id, &escrow, order.as_ref())?,
        order,
        escrow,
        purpose: query::purpose(state, &id)?,
        draw: query::quota_draw(state, &id)?,
        claims: claim_rows(state, claims)?,
    }))
}

/// An order pays its seller, an auction's escrow its winner; any other escrow whoever works for it.
fn payee(
    state: &dyn StateRead,
    id: &EscrowId,
    escrow: &Escrow,
    order: Option<&OrderRecord>,
) -> Result<Option<PayeeRow>, StateError> {
    let account = match order {
        Some(order) => Some(order.seller),
        None => query::auction(state, id)?.and_then(|auction| auction.winner),
    };
    let Some(account) = account else { return Ok(None) };
    let node = query::node_of_account(state, &account)?;
    let ordered = order.and_then(|order| match order.kind {
        ListingKind::Agent(agent) => Some(agent),
        _ => None,
    });
    let agent = match (ordered, node) {
        (None, Some(node)) => {
            let mut agents = query::agents_of_node(state, node)?.into_iter();
            agents.find(|agent| agent.capabilities.contains(escrow.capability)).map(|agent| agent.id)
        }
        (ordered, _) => ordered,
    };
    Ok(Some(PayeeRow { account, node, agent }))
}

/// Claims that may be disputed or wait for a ruling.
pub(super) async fn claims(State(state): State<ApiState>) -> Result<Json<ClaimsAnswer>, ApiError> {
    let ledger = state.ledger().clone();
    let answer = blocking(move || {
        ledger.read(|state| {
            let found = query::open_claims(state, ROWS_MAX)?;
            let claims = claim_rows(state, found.rows.into_iter())?;
            Ok::<_, StateError>(ClaimsAnswer { time: query::tip(state)?.time, claims, is_cut: found.is_cut })
        })
    });
    Ok(Json(answer.await?.map_err(|error| ApiError::internal(&error))?))
}

fn claim_rows(
    state: &dyn StateRead,
    claims: impl Iterator<Item = (EscrowId, ClaimRecord)>,
) -> Result<Vec<ClaimRow>, StateError> {
    let frozen_ms = query::globals(state)?.frozen_ms_at(query::tip(state)?.time);
    Ok(claims.map(|(escrow, record)| ClaimRow { escrow, ends: record.effective_end(frozen_ms), record }).collect())
}
