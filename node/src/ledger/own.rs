//! Transactions that a node makes by itself, from its own account.

use std::time::Duration;

use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::query;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{TimeMs, TxId, Uftns};

use super::handle::{LedgerHandle, SubmitError};
use crate::clock;

/// How long such a transaction stays valid, ms, and how long it is waited for.
const VALIDITY_MS: u64 = 30_000;
/// From the first try of one thing to the next, ms; the pause doubles each time.
const RETRY_MS: u64 = 30_000;
/// The longest pause, and how long one without money waits until it looks again, ms.
pub(crate) const RETRY_MAX_MS: u64 = 600_000;
/// Tries of one thing between two starts of the node.
pub(crate) const TRIES_MAX: u32 = 12;

/// How long to wait after a try, when there were so many before it.
pub(crate) fn pause_ms(tries: u32) -> u64 {
    RETRY_MS.saturating_mul(1 << tries.min(10)).min(RETRY_MAX_MS)
}

impl LedgerHandle {
    /// Whether the account of `key` can pay for an operation now.
    pub(crate) fn can_pay(&self, key: &SecretKey, op: Operation) -> bool {
        let affordable = || {
            let tx = self.own_transaction(key, op)?;
            self.read(|state| {
                let account = query::account(state, &tx.account)?.unwrap_or_default();
                Ok::<_, StateError>(query::base_fee(state)?.fee(tx.weight()) <= account.balance)
            })
        };
        affordable().unwrap_or(false)
    }

    /// Signs an operation with `key` and hands it in.
    ///
    /// # Errors
    /// Why it can't go in now.
    pub(crate) fn submit_own(&self, key: &SecretKey, op: Operation) -> Result<TxId, SubmitError> {
        let tx = self.own_transaction(key, op).map_err(SubmitError::from)?;
        self.submit(tx.sign(&[key]))
    }

    /// Waits until what [`Self::submit_own`] handed in is final or void. What came of it is for the ledger to say.
    pub(crate) async fn wait_own(&self, id: &TxId) {
        let _ = self.wait_final(id, Duration::from_millis(VALIDITY_MS)).await;
    }

    fn own_transaction(&self, key: &SecretKey, op: Operation) -> Result<Transaction, StateError> {
        let account = KeyPolicy::single(key.public()).account();
        let nonce = self.read(|state| query::next_nonce(state, &account))?;
        let valid_until = TimeMs(clock::wall_ms().saturating_add(VALIDITY_MS));
        Ok(Transaction::new(&self.context(), account, nonce, valid_until, Uftns::ftns(1), op))
    }
}
