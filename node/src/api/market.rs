//! What is offered and ordered on the market, quota, and content that earns.

use axum::Json;
use axum::extract::State;
use mesh30k_ledger::ops::Capabilities;
use mesh30k_ledger::query;
use mesh30k_ledger::records::ContentRecord;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{AccountId, Hash};
use serde::Deserialize;

use super::extract::{Params, Segment};
use super::ledger::blocking;
use super::problem::ApiError;
use super::state::ApiState;
use super::types::{ListingRow, OrderAnswer, QuotaOfferRow, QuotaRow};

/// Rows of one answer, at most.
const ROWS_MAX: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The first name that is wanted.
    from: Option<Hash>,
}

/// Listings in order of name, beginning with `from`.
pub(super) async fn listings(
    State(state): State<ApiState>,
    Params(page): Params<Page>,
) -> Result<Json<Vec<ListingRow>>, ApiError> {
    let ledger = state.ledger().clone();
    let from = page.from.unwrap_or(Hash::ZERO);
    let found = blocking(move || ledger.read(|state| query::listings(state, &from, ROWS_MAX))).await?;
    let rows = found.map_err(|error| ApiError::internal(&error))?.into_iter();
    Ok(Json(rows.map(|(listing, record)| ListingRow { listing, record }).collect()))
}

pub(super) async fn listing(
    State(state): State<ApiState>,
    Segment(listing): Segment<Hash>,
) -> Result<Json<ListingRow>, ApiError> {
    let record = state.ledger().read(|state| query::listing(state, &listing));
    let record = record.map_err(|error| ApiError::internal(&error))?;
    let record = record.ok_or_else(|| ApiError::not_found(format!("there is no listing {listing}")))?;
    Ok(Json(ListingRow { listing, record }))
}

pub(super) async fn order(
    State(state): State<ApiState>,
    Segment(id): Segment<Hash>,
) -> Result<Json<OrderAnswer>, ApiError> {
    let read =
        state.ledger().read(|state| Ok::<_, StateError>((query::order(state, &id)?, query::escrow(state, &id)?)));
    match read.map_err(|error| ApiError::internal(&error))? {
        (Some(order), Some(escrow)) => Ok(Json(OrderAnswer { order, escrow })),
        _ => Err(ApiError::not_found(format!("there is no order {id}"))),
    }
}

pub(super) async fn content(
    State(state): State<ApiState>,
    Segment(id): Segment<Hash>,
) -> Result<Json<ContentRecord>, ApiError> {
    let record = state.ledger().read(|state| query::content(state, &id)).map_err(|error| ApiError::internal(&error))?;
    Ok(Json(record.ok_or_else(|| ApiError::not_found(format!("there is no content {id}")))?))
}

/// Offers and loans of quota in order of name.
pub(super) async fn quota_offers(State(state): State<ApiState>) -> Result<Json<Vec<QuotaOfferRow>>, ApiError> {
    let ledger = state.ledger().clone();
    let found = blocking(move || ledger.read(|state| query::quota_offers(state, ROWS_MAX))).await?;
    let rows = found.map_err(|error| ApiError::internal(&error))?.into_iter();
    Ok(Json(rows.map(|(offer, record)| QuotaOfferRow { offer, record }).collect()))
}

/// An account's quota of each capability of which it ever had any.
pub(super) async fn quota(
    State(state): State<ApiState>,
    Segment(account): Segment<AccountId>,
) -> Result<Json<Vec<QuotaRow>>, ApiError> {
    let read = state.ledger().read(|state| {
        let mut rows = Vec::new();
        for name in Capabilities::ALL.names() {
            let Some(capability) = Capabilities::named(name) else { continue };
            if let Some(record) = query::quota(state, &account, capability)? {
                rows.push(QuotaRow { capability: name.to_owned(), record });
            }
        }
        Ok::<_, StateError>(rows)
    });
    Ok(Json(read.map_err(|error| ApiError::internal(&error))?))
}
