//! The door for what programs hand in: one at a time would be one signature at a time, so whatever waits goes in together.

use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::TxId;
use tokio::sync::{mpsc, oneshot};

use super::handle::{LedgerHandle, Origin, SubmitError};

/// Requests that wait at the door, at most; further ones wait before it, in their connections.
const WAITING_MAX: usize = 512;
/// Transactions after which no further request joins a batch.
const BATCH_TRANSACTIONS: usize = 1_000;
/// Batches from this size on are worth telling the runtime that this thread is busy.
const LARGE_BATCH: usize = 32;

type Answers = Vec<Result<TxId, SubmitError>>;

/// Transactions handed in together, and who waits for the answers.
pub(crate) struct Request {
    batch: Vec<SignedTransaction>,
    reply: oneshot::Sender<Answers>,
}

/// The side of those who hand in.
pub(crate) struct Admission(mpsc::Sender<Request>);

impl Admission {
    /// A door, and what comes through it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self(sender), receiver)
    }

    /// Waits for its turn and for the answers; `None` when nobody answers any more.
    pub(crate) async fn admit(&self, batch: Vec<SignedTransaction>) -> Option<Answers> {
        let (reply, answers) = oneshot::channel();
        self.0.send(Request { batch, reply }).await.ok()?;
        answers.await.ok()
    }
}

/// Lets in what comes until nobody can hand in any more.
pub(crate) async fn run(mut door: mpsc::Receiver<Request>, ledger: LedgerHandle) {
    while let Some(first) = door.recv().await {
        let (mut batch, mut waiting) = (first.batch, vec![(first.reply, 0)]);
        while batch.len() < BATCH_TRANSACTIONS
            && let Ok(next) = door.try_recv()
        {
            waiting.push((next.reply, batch.len()));
            batch.extend(next.batch);
        }
        let is_large = batch.len() >= LARGE_BATCH;
        let submit = || ledger.submit_all(batch, Origin::Here);
        let mut answers = if is_large { tokio::task::block_in_place(submit) } else { submit() };
        // From the last to the first: each takes what begins at its place.
        for (reply, at) in waiting.into_iter().rev() {
            // Who went away meanwhile finds its transactions in the pool all the same.
            let _ = reply.send(answers.split_off(at.min(answers.len())));
        }
    }
}
