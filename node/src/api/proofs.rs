//! What a key of the certified state holds, with everything to check it offline.

use axum::Json;
use axum::extract::State;
use mesh30k_ledger::query;
use mesh30k_ledger::state_receipt::{MAX_KEY_BYTES, ProveError, StateReceipt};
use mesh30k_ledger::types::AccountId;

use super::extract::{Segment, unhex};
use super::ledger::blocking;
use super::problem::{ApiError, sentence};
use super::state::ApiState;
use crate::ledger::StateProofError;

/// The proof of an account, or that there is none.
pub(super) async fn account(
    State(state): State<ApiState>,
    Segment(id): Segment<AccountId>,
) -> Result<Json<StateReceipt>, ApiError> {
    prove(&state, query::account_key(&id)).await
}

/// The proof of any key of the committed state, given in hexadecimal.
pub(super) async fn key(
    State(state): State<ApiState>,
    Segment(key): Segment<String>,
) -> Result<Json<StateReceipt>, ApiError> {
    if key.len() > 2 * MAX_KEY_BYTES {
        let bytes = key.len().div_ceil(2);
        return Err(ApiError::bad_request(format!("`key` has {bytes} bytes; at most {MAX_KEY_BYTES} are taken")));
    }
    prove(&state, unhex("key", &key)?).await
}

async fn prove(state: &ApiState, key: Vec<u8>) -> Result<Json<StateReceipt>, ApiError> {
    let ledger = state.ledger().clone();
    let proven = blocking(move || ledger.state_receipt(&key)).await?;
    proven.map(Json).map_err(|error| match &error {
        StateProofError::Prove(ProveError::NoDomain(_)) => ApiError::bad_request(sentence(&error)),
        StateProofError::NoCertificate(_) | StateProofError::Prove(ProveError::NotCertified) => {
            ApiError::unavailable(sentence(&error))
        }
        StateProofError::Prove(ProveError::State(_)) | StateProofError::State(_) => ApiError::internal(&error),
    })
}
