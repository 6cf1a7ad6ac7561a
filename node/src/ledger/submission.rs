//! Transactions on their way to the validators' pools, and into this one.

use std::time::Duration;

use bytes::Bytes;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_p2p::{Control, Inbox};

use super::handle::{LedgerHandle, SubmitError};
use super::peers::Peers;
use super::wire::{BATCH_TRANSACTIONS_MAX, SponsorAnswer, TxMessage};
use crate::lanes;

/// How often waiting transactions are sent again.
const RESEND_EVERY: Duration = Duration::from_secs(1);
/// Bytes of a message, at most: the lane's bound.
const MESSAGE_BYTES_MAX: usize = 1_024 * 1_024;
/// Bytes of transactions gathered in a batch before it is closed.
const BATCH_BYTES: usize = 512 * 1_024;

/// Sends what waits in this node's pool to the validators, at once and again until it is ordered.
pub(crate) async fn forward(ledger: LedgerHandle, peers: Peers, control: Control) {
    let mut resend = tokio::time::interval(RESEND_EVERY);
    resend.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = ledger.pool_changed() => {}
            _ = resend.tick() => {}
        }
        let batch = batch(&ledger);
        if batch.is_empty() {
            continue;
        }
        let body = Bytes::from(encode(&TxMessage::Submit(batch)));
        let own = control.local_peer_id();
        for (_, peer) in peers.validators().filter(|(_, peer)| *peer != own) {
            // What is lost is sent again.
            let _ = control.notify(peer, lanes::TX, body.clone());
        }
    }
}

fn batch(ledger: &LedgerHandle) -> Vec<SignedTransaction> {
    let pool = ledger.pool();
    let mut bytes = 0;
    let fits = |signed: &&SignedTransaction| {
        bytes += encode(*signed).len();
        bytes <= BATCH_BYTES
    };
    pool.sample(BATCH_TRANSACTIONS_MAX).take_while(fits).cloned().collect()
}

/// Takes transactions from other nodes, and sponsors newcomers where this node is a validator.
pub(crate) async fn receive(mut inbox: Inbox, ledger: LedgerHandle, sponsor: Option<SecretKey>) {
    while let Some(inbound) = inbox.recv().await {
        let Ok(message) = decode::<TxMessage>(&inbound.body, MESSAGE_BYTES_MAX) else {
            tracing::debug!(peer = %inbound.peer, "a message about transactions can't be read");
            continue;
        };
        match message {
            TxMessage::Submit(batch) => {
                for signed in batch {
                    if let Err(error) = ledger.submit(signed) {
                        ledger.metrics().transactions_refused.inc();
                        tracing::debug!(%error, peer = %inbound.peer, "a forwarded transaction was refused");
                    }
                }
            }
            TxMessage::Sponsor(signed) => {
                let Some(reply) = inbound.reply else { continue };
                let answer = match sponsor.as_ref() {
                    Some(key) => sponsored(&ledger, key, *signed),
                    None => SponsorAnswer::Refused("this node is no validator".to_owned()),
                };
                reply.send(Bytes::from(encode(&answer)));
            }
        }
    }
}

fn sponsored(ledger: &LedgerHandle, key: &SecretKey, mut signed: SignedTransaction) -> SponsorAnswer {
    if !matches!(signed.tx.op, Operation::RegisterHost(_)) {
        return SponsorAnswer::Refused(format!("only registrations are sponsored, this is a {}", signed.tx.op.name()));
    }
    if signed.tx.sponsor != Some(KeyPolicy::single(key.public()).account()) {
        return SponsorAnswer::Refused("it names another sponsor".to_owned());
    }
    signed.add_sponsor_signature(key);
    match ledger.submit(signed) {
        Ok(id) => SponsorAnswer::Sponsored(id),
        Err(error @ SubmitError::Rejected(_)) => SponsorAnswer::Refused(error.to_string()),
        Err(error) => SponsorAnswer::Refused(format!("not now: {error}")),
    }
}
