//! Purposes in the auditor's books.

use super::Auditor;
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::types::{AccountId, TxId};

impl Auditor {
    pub(super) fn declared(&mut self, task: TxId, purpose: Purpose) {
        assert!(self.purposes.insert(task, purpose).is_none(), "audit: a purpose was declared twice");
    }

    /// Two reviewers who say the same, each by its last word, replace what counts.
    pub(super) fn reclassified(&mut self, reviewer: AccountId, task: TxId, purpose: Purpose) {
        let in_force = self.purposes.get_mut(&task).expect("audit: an undeclared purpose was reclassified");
        assert_ne!(*in_force, purpose, "audit: what counts was said again");
        let words = self.words.entry(task).or_default();
        words.insert(reviewer, purpose);
        if words.values().filter(|word| **word == purpose).count() == 2 {
            *in_force = purpose;
            words.clear();
        }
    }
}
