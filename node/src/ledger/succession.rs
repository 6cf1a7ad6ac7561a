//! Asking peers how the right to certify passed on.

use std::time::Duration;

use bytes::Bytes;
use mesh30k_chain::Succession;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_p2p::{Control, PeerId};

use super::wire::{ANSWER_BYTES_MAX, SyncAnswer, SyncRequest};
use crate::lanes;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What `peer` shows; nothing when it does not answer, or has none to show. Not checked.
pub(crate) async fn ask(control: &Control, peer: PeerId) -> Option<Succession> {
    let body = Bytes::from(encode(&SyncRequest::Succession));
    let answer = control.request(peer, lanes::SYNC, body, TIMEOUT).await.ok()?;
    match decode(&answer, ANSWER_BYTES_MAX) {
        Ok(SyncAnswer::Succession(succession)) => Some(*succession),
        _ => None,
    }
}
