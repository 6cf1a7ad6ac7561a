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
    since: TimeMs,
}

/// What waits of one account.
#[derive(Debug)]
struct Own {
    /// Its place in the order of turns.
    ticket: u64,
    waiting: BTreeMap<u64, Waiting>,
}

/// The pool. What it costs to take something in, to choose for a block and to take out grows with the logarithm of what waits.
#[derive(Debug, Default)]
pub struct Mempool {
    accounts: BTreeMap<AccountId, Own>,
    /// Accounts in the order in which their turn comes, so that nobody crowds the others out of a block.
    turns: BTreeMap<u64, AccountId>,
    next_ticket: u64,
    ids: BTreeSet<TxId>,
    expiries: BTreeSet<(TimeMs, AccountId, u64)>,
}

impl Mempool {
    /// Takes a transaction in at `now`. The same one again is fine and changes nothing.
    ///
    /// # Errors
    /// When there is no room for it, or its nonce is taken.
    pub fn insert(&mut self, now: TimeMs, id: TxId, signed: SignedTransaction) -> Result<bool, PoolRefusal> {
        let (account, nonce) = (signed.tx.account, signed.tx.nonce);
        let own = self.accounts.get(&account);
        if let Some(waiting) = own.and_then(|own| own.waiting.get(&nonce)) {
            return if waiting.id == id { Ok(false) } else { Err(PoolRefusal::NonceTaken { nonce }) };
        }
        if own.is_some_and(|own| own.waiting.len() >= ACCOUNT_TRANSACTIONS_MAX) {
            return Err(PoolRefusal::AccountFull);
        }
        if self.ids.len() >= POOL_TRANSACTIONS_MAX {
            return Err(PoolRefusal::Full);
        }
        if own.is_none() {
            let ticket = self.take_ticket(account);
            self.accounts.insert(account, Own { ticket, waiting: BTreeMap::new() });
        }
        self.ids.insert(id);
        self.expiries.insert((signed.tx.valid_until, account, nonce));
        if let Some(own) = self.accounts.get_mut(&account) {
            own.waiting.insert(nonce, Waiting { id, signed, since: now });
        }
        Ok(true)
    }

    fn take_ticket(&mut self, account: AccountId) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket = ticket.saturating_add(1);
        self.turns.insert(ticket, account);
        ticket
    }

    /// Candidates for the next block: one of each account in turn, in order of nonce, up to `limit`. Who had a turn stands at
    /// the end of the line afterwards.
    ///
    /// `next_nonce` says where an account stands at the tip that the block will extend; what lies below has been
    /// ordered already. It is asked of no more accounts than are looked at.
    pub fn candidates(
        &mut self,
        limit: usize,
        mut next_nonce: impl FnMut(&AccountId) -> u64,
    ) -> Vec<SignedTransaction> {
        let mut chosen = Vec::new();
        let mut served = Vec::new();
        let mut queues: VecDeque<(&AccountId, u64)> = VecDeque::new();
        let mut turns = self.turns.iter();
        while chosen.len() < limit {
            let next = turns.next().map(|(ticket, account)| {
                served.push((*ticket, *account));
                (account, next_nonce(account))
            });
            let Some((account, nonce)) = next.or_else(|| queues.pop_front()) else { break };
            if let Some(waiting) = self.accounts.get(account).and_then(|own| own.waiting.get(&nonce)) {
                chosen.push(waiting.signed.clone());
                queues.push_back((account, nonce.saturating_add(1)));
            }
        }
        if served.len() == self.turns.len() {
            // Everybody had a turn; another one begins next time.
            served.truncate(usize::from(!chosen.is_empty()));
        }
        for (ticket, account) in served {
            self.turns.remove(&ticket);
            let ticket = self.take_ticket(account);
            if let Some(own) = self.accounts.get_mut(&account) {
                own.ticket = ticket;
            }
        }
        chosen
    }

    /// Takes out a transaction that can never be ordered.
    pub fn remove(&mut self, account: &AccountId, nonce: u64) {
        self.retain(*account, |at| at != nonce);
    }

    /// Takes out everything of an account below `next_nonce`: final, one way or another.
    pub fn advance(&mut self, account: &AccountId, next_nonce: u64) {
        self.retain(*account, |at| at >= next_nonce);
    }

    /// Takes out what has expired; gives the count.
    pub fn expire(&mut self, now: TimeMs) -> usize {
        let before = self.len();
        while let Some((until, account, nonce)) = self.expiries.first().copied().filter(|(until, ..)| *until < now) {
            self.remove(&account, nonce);
            // Gone already with the transaction; removed here so that this loop ends whatever happens.
            self.expiries.remove(&(until, account, nonce));
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

    /// Up to `limit` transactions that have waited since `since` or longer, to send again to the validators.
    pub fn overdue(&self, since: TimeMs, limit: usize) -> impl Iterator<Item = &SignedTransaction> {
        let waiting =
            self.turns.values().filter_map(|account| self.accounts.get(account)).flat_map(|own| own.waiting.values());
        waiting.filter(move |waiting| waiting.since <= since).map(|waiting| &waiting.signed).take(limit)
    }

    fn retain(&mut self, account: AccountId, keep: impl Fn(u64) -> bool) {
        let Some(own) = self.accounts.get_mut(&account) else { return };
        own.waiting.retain(|nonce, waiting| {
            let kept = keep(*nonce);
            if !kept {
                self.ids.remove(&waiting.id);
                self.expiries.remove(&(waiting.signed.tx.valid_until, account, *nonce));
            }
            kept
        });
        if own.waiting.is_empty() {
            self.turns.remove(&own.ticket);
            self.accounts.remove(&account);
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh30k_ledger::key_policy::KeyPolicy;
    use mesh30k_ledger::keys::SecretKey;
    use mesh30k_ledger::ops::{Operation, Transfer};
    use mesh30k_ledger::signing::ChainContext;
    use mesh30k_ledger::transaction::Transaction;
    use mesh30k_ledger::types::{ChainId, Hash, Uftns};
    use proptest::prelude::*;

    use super::*;

    fn transaction(owner: u8, nonce: u64, valid_until: u64) -> SignedTransaction {
        let context = ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash::ZERO };
        let account = KeyPolicy::single(SecretKey::from_seed([owner; 32]).public()).account();
        let op = Operation::Transfer(Transfer { to: account, amount: Uftns(1), memo: String::new() });
        Transaction::new(&context, account, nonce, TimeMs(valid_until), Uftns(1), op).sign(&[])
    }

    #[test]
    fn one_burst_leaves_room_for_others() {
        let mut pool = Mempool::default();
        for nonce in 0..ACCOUNT_TRANSACTIONS_MAX as u64 {
            let signed = transaction(1, nonce, 9);
            assert_eq!(pool.insert(TimeMs(0), signed.id(), signed), Ok(true));
        }
        let next = transaction(1, ACCOUNT_TRANSACTIONS_MAX as u64, 9);
        assert_eq!(pool.insert(TimeMs(0), next.id(), next), Err(PoolRefusal::AccountFull));
        let other = transaction(2, 0, 9);
        assert_eq!(pool.insert(TimeMs(0), other.id(), other.clone()), Ok(true));
        assert!(pool.candidates(2, |_| 0).contains(&other));
    }

    #[test]
    fn a_second_transaction_with_the_same_nonce_is_refused_and_the_same_one_is_fine() {
        let mut pool = Mempool::default();
        let (first, second) = (transaction(1, 0, 9), transaction(1, 0, 8));
        assert_eq!(pool.insert(TimeMs(0), first.id(), first.clone()), Ok(true));
        assert_eq!(pool.insert(TimeMs(0), first.id(), first), Ok(false));
        assert_eq!(pool.insert(TimeMs(0), second.id(), second), Err(PoolRefusal::NonceTaken { nonce: 0 }));
    }

    #[test]
    fn whoever_was_left_out_comes_first_next_time() {
        let mut pool = Mempool::default();
        for owner in 0..10 {
            let signed = transaction(owner, 0, 9);
            assert_eq!(pool.insert(TimeMs(u64::from(owner)), signed.id(), signed), Ok(true));
        }
        let mut seen = BTreeSet::new();
        for _ in 0..5 {
            let mut asked = 0;
            let chosen = pool.candidates(2, |_| {
                asked += 1;
                0
            });
            assert_eq!((chosen.len(), asked), (2, 2));
            seen.extend(chosen.iter().map(SignedTransaction::id));
        }
        assert_eq!(seen.len(), 10);
        assert_eq!(pool.overdue(TimeMs(3), 100).count(), 4);
    }

    proptest! {
        #[test]
        fn candidates_are_what_can_follow_and_nothing_is_lost(
            entries in proptest::collection::vec((0_u8..5, 0_u64..8, 0_u64..20), 0..60),
            ordered in 0_u64..4,
            now in 0_u64..20,
        ) {
            let mut pool = Mempool::default();
            let mut model = BTreeMap::new();
            for (owner, nonce, until) in entries {
                let signed = transaction(owner, nonce, until);
                if pool.insert(TimeMs(0), signed.id(), signed.clone()) == Ok(true) {
                    model.insert((signed.tx.account, nonce), signed);
                }
            }
            let accounts: BTreeSet<AccountId> = model.keys().map(|(account, _)| *account).collect();
            let mut expected = BTreeSet::new();
            for account in &accounts {
                let run = (ordered..).map_while(|nonce| model.get(&(*account, nonce)));
                expected.extend(run.map(SignedTransaction::id));
            }
            let chosen: BTreeSet<TxId> = pool.candidates(1_000, |_| ordered).iter().map(SignedTransaction::id).collect();
            prop_assert_eq!(chosen, expected);
            for account in &accounts {
                pool.advance(account, ordered);
            }
            pool.expire(TimeMs(now));
            model.retain(|(_, nonce), signed| *nonce >= ordered && signed.tx.valid_until.0 >= now);
            prop_assert_eq!(pool.len(), model.len());
            prop_assert!(model.values().all(|signed| pool.contains(&signed.id())));
        }
    }
}
