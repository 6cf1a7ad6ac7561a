//! Bodies that the HTTP API takes. Its types come by a link to their source, for they have files of their own beside it.

#[allow(dead_code)]
pub mod types;

use mesh30k_core::event::SignedEvent;
use mesh30k_ledger::transaction::{MAX_TRANSACTION_BYTES, SignedTransaction};
use types::{BatchBody, DispatchRequest, HexBody, PlanRequest};

use crate::strict::{choose, stable_json, strict};

/// A body of one of the four kinds; what it carries in hexadecimal is read as well.
pub fn api_body(bytes: &[u8]) {
    let Some((kind, bytes)) = choose(bytes, 4) else { return };
    match kind {
        0 => {
            let Some(body) = stable_json::<HexBody>(bytes) else { return };
            let Ok(bytes) = hex::decode(&body.hex) else { return };
            strict::<SignedTransaction>(&bytes, MAX_TRANSACTION_BYTES);
            strict::<SignedEvent>(&bytes, MAX_TRANSACTION_BYTES);
        }
        1 => {
            let Some(body) = stable_json::<BatchBody>(bytes) else { return };
            for bytes in body.hex.iter().filter_map(|one| hex::decode(one).ok()) {
                strict::<SignedTransaction>(&bytes, MAX_TRANSACTION_BYTES);
            }
        }
        2 => drop(stable_json::<PlanRequest>(bytes)),
        _ => drop(stable_json::<DispatchRequest>(bytes)),
    }
}
