//! Transactions that wait for a block. Pure: bounded in all and per account, in order of nonce within an account.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{AccountId, TimeMs, TxId};

/// Transactions that wait, at most.
pub(crate) const POOL_TRANSACTIONS_MAX: usize = 20_000;
/// Of one account, at most: the rest of a burst is refused, not another account's payment.
pub(crate) const ACCOUNT_TRANSACTIONS_MAX: usize = 2_000;

/// Why a transaction was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// The pool is full.
    #[error("{POOL_TRANSACTIONS_MAX} transactions wait already, which is the limit; try again shortly")]
    Full,
    /// This account's share is full.
    #[error(
        "{ACCOUNT_TRANSACTIONS_MAX} transactions of this account wait already, which is the limit; wait for some to be final"
    )]
    AccountFull,
    /// A transaction with this nonce waits already.
    #[error("another transaction of this account with nonce {nonce} waits already")]
    NonceTaken {
        /// The nonce.
        nonce: u64,
    },
}

#[derive(Clone, Debug)]
struct Waiting {
    id: TxId,
    signed: SignedTransaction,
}

/// The pool.
#[derive(Debug, Default)]
pub struct Mempool {
    accounts: BTreeMap<AccountId, BTreeMap<u64, Waiting>>,
    /// Accounts in the order in which their turn comes, so that nobody crowds the others out of a block.
    turns: VecDeque<AccountId>,
    ids: BTreeSet<TxId>,
}

impl Mempool {
    /// Takes a transaction in. The same one again is fine and changes nothing.
    ///
    /// # Errors
    /// When there is no room for it, or its nonce is taken.
    pub fn insert(&mut self, id: TxId, signed: SignedTransaction) -> Result<bool, PoolRefusal> {
        let (account, nonce) = (signed.tx.account, signed.tx.nonce);
        let own = self.accounts.get(&account);
        if let Some(waiting) = own.and_then(|own| own.get(&nonce)) {
            return if waiting.id == id { Ok(false) } else { Err(PoolRefusal::NonceTaken { nonce }) };
        }
        if own.is_some_and(|own| own.len() >= ACCOUNT_TRANSACTIONS_MAX) {
            return Err(PoolRefusal::AccountFull);
        }
        if self.ids.len() >= POOL_TRANSACTIONS_MAX {
            return Err(PoolRefusal::Full);
        }
        if own.is_none() {
            self.turns.push_back(account);
        }
        self.accounts.entry(account).or_default().insert(nonce, Waiting { id, signed });
        self.ids.insert(id);
        Ok(true)
    }

    /// Candidates for the next block: one of each account in turn, in order of nonce, up to `limit`.
    ///
    /// `next_nonce` says where an account stands at the tip that the block will extend; what lies below has been
    /// ordered already.
    pub fn candidates(&mut self, limit: usize, mut next_nonce: impl FnMut(&AccountId) -> u64) -> Vec<SignedTransaction> {
        let mut queues: VecDeque<(AccountId, u64)> =
            self.turns.iter().map(|account| (*account, next_nonce(account))).collect();
        let mut chosen = Vec::new();
        while chosen.len() < limit {
            let Some((account, nonce)) = queues.pop_front() else { break };
            let waiting = self.accounts.get(&account).and_then(|own| own.get(&nonce));
            if let Some(waiting) = waiting {
                chosen.push(waiting.signed.clone());
                queues.push_back((account, nonce.saturating_add(1)));
            }
        }
        if !chosen.is_empty()
            && let Some(first) = self.turns.pop_front()
        {
            self.turns.push_back(first);
        }
        chosen
    }

    /// Takes out a transaction that can never be ordered.
    pub fn remove(&mut self, account: &AccountId, nonce: u64) {
        self.retain(*account, |at, _| at != nonce);
    }

    /// Takes out everything of an account below `next_nonce`: final, one way or another.
    pub fn advance(&mut self, account: &AccountId, next_nonce: u64) {
        self.retain(*account, |at, _| at >= next_nonce);
    }

    /// Takes out what has expired; gives the count.
    pub fn expire(&mut self, now: TimeMs) -> usize {
        let before = self.len();
        let accounts: Vec<AccountId> = self.accounts.keys().copied().collect();
        for account in accounts {
            self.retain(account, |_, waiting| waiting.signed.tx.valid_until >= now);
        }
        before - self.len()
    }

    /// Transactions that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The accounts that have something waiting.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.accounts.keys()
    }

    /// Whether this transaction waits.
    #[must_use]
    pub fn contains(&self, id: &TxId) -> bool {
        self.ids.contains(id)
    }

    /// Up to `limit` waiting transactions, to send again to the validators.
    pub fn sample(&self, limit: usize) -> impl Iterator<Item = &SignedTransaction> {
        self.accounts.values().flat_map(BTreeMap::values).map(|waiting| &waiting.signed).take(limit)
    }

    fn retain(&mut self, account: AccountId, keep: impl Fn(u64, &Waiting) -> bool) {
        let Some(own) = self.accounts.get_mut(&account) else { return };
        own.retain(|nonce, waiting| {
            let kept = keep(*nonce, waiting);
            if !kept {
                self.ids.remove(&waiting.id);
            }
            kept
        });
        if own.is_empty() {
            self.accounts.remove(&account);
            self.turns.retain(|turn| *turn != account);
        }
    }
}
