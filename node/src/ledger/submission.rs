//! Transactions on their way to the validators' pools, and into this one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::TimeMs;
use mesh30k_p2p::{Control, Inbox, PeerId};

use super::handle::{LedgerHandle, Origin, SubmitError};
use super::peers::Peers;
use super::wire::{BATCH_TRANSACTIONS_MAX, SponsorAnswer, TxMessage};
use crate::{clock, lanes, pulse};

/// How often it is looked whether something has to be sent again.
const RESEND_EVERY: Duration = Duration::from_millis(500);
/// Bytes of a message, at most: the lane's bound.
const MESSAGE_BYTES_MAX: usize = 1_024 * 1_024;
/// Bytes of transactions gathered in a batch before it is closed.
const BATCH_BYTES: usize = 512 * 1_024;
/// Transactions that wait to be sent for the first time, at most.
const OUTBOX_MAX: usize = 20_000;
/// A transaction that has waited for so long is sent to every validator, ms.
const OVERDUE_MS: u64 = 1_000;

/// What came in at this node and no validator has been told of, in order. Bounded by the pool: what is here is there as well.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Mutex<VecDeque<SignedTransaction>>);

impl Outbox {
    /// Adds what came in.
    pub(crate) fn put(&self, fresh: Vec<SignedTransaction>) {
        let mut waiting = self.lock();
        waiting.extend(fresh);
        // What does not leave in time is sent again from the pool.
        let surplus = waiting.len().saturating_sub(OUTBOX_MAX);
        waiting.drain(..surplus);
    }

    fn take(&self) -> VecDeque<SignedTransaction> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SignedTransaction>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what came in at this node to the validator that most likely leads, once, and what waits for longer to all validators, again
/// and again until it is ordered.
pub(crate) async fn forward(ledger: LedgerHandle, peers: Peers, control: Control) {
    let mut resend = pulse::interval(RESEND_EVERY);
    let own = control.local_peer_id();
    let mut told = None;
    loop {
        let is_resend = tokio::select! {
            () = ledger.outbox_filled() => false,
            _ = resend.tick() => true,
        };
        let leader = ledger.likely_leader().and_then(|leader| peers.peer_of(leader));
        let everybody = || peers.validators().map(|(_, peer)| peer).collect();
        let mut fresh = ledger.outbox().take();
        if leader.is_some() && leader != told {
            // Whoever led before may have taken what it was told with it.
            fresh = waiting(&ledger, 0, OUTBOX_MAX);
            told = leader;
        }
        // What waits for a leader here is where it should be.
        send(&control, own, &leader.map_or_else(everybody, |leader| vec![leader]), fresh);
        if is_resend {
            send(&control, own, &everybody(), waiting(&ledger, OVERDUE_MS, BATCH_TRANSACTIONS_MAX));
        }
    }
}

/// Up to `limit` transactions that have waited here for `age_ms` or longer.
fn waiting(ledger: &LedgerHandle, age_ms: u64, limit: usize) -> VecDeque<SignedTransaction> {
    let since = TimeMs(clock::wall_ms().saturating_sub(age_ms));
    ledger.pool().overdue(since, limit).cloned().collect()
}

fn send(control: &Control, own: PeerId, to: &[PeerId], mut waiting: VecDeque<SignedTransaction>) {
    let others: Vec<PeerId> = to.iter().copied().filter(|peer| *peer != own).collect();
    while !others.is_empty() && !waiting.is_empty() {
        let body = Bytes::from(encode(&TxMessage::Submit(next_batch(&mut waiting))));
        for peer in &others {
            // What is lost is sent again.
            let _ = control.notify(*peer, lanes::TX, body.clone());
        }
    }
}

/// As many as fit a message, and at least one.
fn next_batch(waiting: &mut VecDeque<SignedTransaction>) -> Vec<SignedTransaction> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_TRANSACTIONS_MAX
        && let Some(next) = waiting.front()
    {
        bytes += encode(next).len();
        if bytes > BATCH_BYTES && !batch.is_empty() {
            break;
        }
        batch.extend(waiting.pop_front());
    }
    batch
}

/// Takes transactions from other nodes, and sponsors newcomers where this node is a validator.
pub(crate) async fn receive(mut inbox: Inbox, ledger: LedgerHandle, sponsor: SecretKey) {
    while let Some(inbound) = inbox.recv().await {
        let Ok(message) = decode::<TxMessage>(&inbound.body, MESSAGE_BYTES_MAX) else {
            tracing::debug!(peer = %inbound.peer, "a message about transactions can't be read");
            continue;
        };
        match message {
            TxMessage::Submit(batch) => {
                let answers = tokio::task::block_in_place(|| ledger.submit_all(batch, Origin::Peer));
                for answer in answers {
                    if let Err(error) = answer {
                        ledger.metrics().transactions_refused.inc();
                        tracing::debug!(%error, peer = %inbound.peer, "a forwarded transaction was refused");
                    }
                }
            }
            TxMessage::Sponsor(signed) => {
                let Some(reply) = inbound.reply else { continue };
                let answer = match ledger.validator() {
                    Some(_) => sponsored(&ledger, &sponsor, *signed),
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
