//! What became of the transactions of the last blocks, for those who wait for it: reading it back from the database would decode a
//! whole block for each of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh30k_ledger::outcome::Outcome;
use mesh30k_ledger::types::{Height, TxId};

/// Transactions after which the oldest blocks are forgotten.
const TRANSACTIONS_MAX: usize = 8_192;

/// The last blocks' outcomes by transaction.
#[derive(Debug, Default)]
pub(crate) struct RecentFinals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    outcomes: HashMap<TxId, (Height, Outcome)>,
    blocks: VecDeque<Vec<TxId>>,
}

impl RecentFinals {
    /// Takes note of a block; the newest is kept whatever its size.
    pub(crate) fn keep(&self, height: Height, transactions: &[TxId], outcomes: &[Outcome]) {
        // An idle chain makes a block every few seconds, and nobody waits for one of those.
        if transactions.is_empty() {
            return;
        }
        let mut kept = self.lock();
        let named = transactions.iter().zip(outcomes).map(|(id, outcome)| (*id, (height, outcome.clone())));
        kept.outcomes.extend(named);
        kept.blocks.push_back(transactions.to_vec());
        while kept.outcomes.len() > TRANSACTIONS_MAX
            && kept.blocks.len() > 1
            && let Some(oldest) = kept.blocks.pop_front()
        {
            for id in oldest {
                kept.outcomes.remove(&id);
            }
        }
    }

    /// What became of a transaction, if its block is among the last.
    pub(crate) fn get(&self, id: &TxId) -> Option<(Height, Outcome)> {
        self.lock().outcomes.get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use mesh30k_ledger::rejection::Rejection;
    use mesh30k_ledger::types::{Hash, Uftns};

    use super::*;

    #[test]
    fn the_last_blocks_are_known_and_old_ones_forgotten() {
        let recent = RecentFinals::default();
        let outcome = Outcome::Rejected { fee: Uftns(1), rejection: Rejection::ZeroAmount };
        let id = |height: u64, at: u64| Hash::derive("test", &[&height.to_be_bytes(), &at.to_be_bytes()]);
        let per_block = 1_000;
        for height in 1..=20 {
            let ids: Vec<TxId> = (0..per_block).map(|at| id(height, at)).collect();
            recent.keep(Height(height), &ids, &vec![outcome.clone(); ids.len()]);
            recent.keep(Height(height), &[], &[]);
        }
        assert_eq!(recent.get(&id(20, 999)), Some((Height(20), outcome)));
        assert_eq!(recent.get(&id(1, 0)), None);
        let kept = recent.lock();
        assert!(kept.outcomes.len() <= TRANSACTIONS_MAX && kept.blocks.len() <= 8);
    }
}
