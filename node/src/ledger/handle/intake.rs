//! Transactions on their way in: looked at together, kept, and handed on.

use mesh30k_chain::PoolRefusal;
use mesh30k_ledger::execute::{check_unsigned, invalid_signatures};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{TimeMs, TxId};

use super::LedgerHandle;
use crate::clock;

/// Why a transaction was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The ledger would reject it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// No room for it.
    #[error(transparent)]
    Pool(#[from] PoolRefusal),
    /// The chain stands still.
    #[error("the chain is halted: {0}")]
    Halted(String),
    /// There is too little room on the disk.
    #[error("{0}")]
    ReadOnly(String),
    /// State can't be read.
    #[error("the ledger can't be read")]
    State(#[from] StateError),
    /// The node is ending.
    #[error("the node is ending; ask another one")]
    Closed,
}

/// Where a transaction came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// At this node, which sees to it that the validators hear of it.
    Here,
    /// At another node, which does.
    Peer,
}

impl LedgerHandle {
    /// Accepts a transaction: it is kept here and sent to the validators until it is ordered or expires.
    ///
    /// # Errors
    /// When the ledger would reject it or there is no room.
    pub fn submit(&self, signed: SignedTransaction) -> Result<TxId, SubmitError> {
        let answer = self.submit_all(vec![signed], Origin::Here).pop();
        answer.unwrap_or_else(|| Err(StateError::Storage("a transaction was lost on its way in".to_owned()).into()))
    }

    /// As [`Self::submit`], for what programs hand in one by one or in batches: whatever waits is looked at together, so that
    /// signatures are verified in batches. Waits for its turn.
    ///
    /// # Errors
    /// When the ledger is not running (any more), or has no room on its disk; each transaction has an answer of its own. What this
    /// node itself submits still goes to those that have room.
    pub async fn admit(&self, batch: Vec<SignedTransaction>) -> Result<Vec<Result<TxId, SubmitError>>, SubmitError> {
        if let Some(reason) = self.disk().refusal() {
            return Err(SubmitError::ReadOnly(reason));
        }
        self.0.admission.admit(batch).await.ok_or(SubmitError::Closed)
    }

    /// Accepts transactions, each on its own merits. Cheap checks come before signatures, which are verified all at once.
    pub(crate) fn submit_all(&self, batch: Vec<SignedTransaction>, origin: Origin) -> Vec<Result<TxId, SubmitError>> {
        if let Some(reason) = self.halted() {
            return batch.iter().map(|_| Err(SubmitError::Halted(reason.clone()))).collect();
        }
        let ids: Vec<TxId> = batch.iter().map(SignedTransaction::id).collect();
        let mut answers = match self.verdicts_on(&ids, &batch) {
            Ok(verdicts) => verdicts.into_iter().zip(&ids).map(|(verdict, id)| Ok(verdict.map(|()| *id)?)).collect(),
            Err(error) => batch.iter().map(|_| Err(SubmitError::State(error.clone()))).collect::<Vec<_>>(),
        };
        let now = TimeMs(clock::wall_ms());
        let mut fresh = Vec::new();
        let mut pool = self.pool();
        for (signed, answer) in batch.into_iter().zip(&mut answers) {
            let Ok(id) = *answer else { continue };
            match pool.insert(now, id, signed.clone()) {
                Ok(true) => fresh.push(signed),
                Ok(false) => {}
                Err(refusal) => *answer = Err(refusal.into()),
            }
        }
        drop(pool);
        if !fresh.is_empty() {
            if origin == Origin::Here {
                self.0.outbox.put(fresh);
                self.0.outbox_filled.notify_one();
            }
            self.0.pool_changed.notify_one();
        }
        answers
    }

    /// What is wrong with each transaction that is not in the pool yet.
    fn verdicts_on(&self, ids: &[TxId], batch: &[SignedTransaction]) -> Result<Vec<Result<(), Rejection>>, StateError> {
        let now = TimeMs(clock::wall_ms());
        let known: Vec<bool> = {
            let pool = self.pool();
            ids.iter().map(|id| pool.contains(id)).collect()
        };
        let mut verdicts = self.read(|state| check_unsigned(state, now, batch))?;
        for (verdict, known) in verdicts.iter_mut().zip(known) {
            // Somebody who sends several in a row numbers them ahead; they wait for their turn.
            if known || matches!(verdict, Err(Rejection::NonceAhead { .. })) {
                *verdict = Ok(());
            }
        }
        let (places, left): (Vec<usize>, Vec<&SignedTransaction>) =
            batch.iter().enumerate().filter(|(at, _)| verdicts.get(*at).is_some_and(Result::is_ok)).unzip();
        for (at, key) in places.into_iter().zip(invalid_signatures(&left, self.0.verdicts.as_ref())) {
            if let (Some(verdict), Some(key)) = (verdicts.get_mut(at), key) {
                *verdict = Err(Rejection::BadSignature(key));
            }
        }
        Ok(verdicts)
    }
}
