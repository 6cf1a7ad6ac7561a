//! Purposes in the auditor's books, and what it costs to declare too much.

use super::{Auditor, standing};
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::types::{AccountId, TxId};
use std::collections::BTreeMap;

pub struct Declared {
    purpose: Purpose,
    in_force: Purpose,
    opener: AccountId,
    /// What its parts may pay together.
    size: i128,
    words: BTreeMap<AccountId, Purpose>,
    paid_for: bool,
}

impl Auditor {
    pub(super) fn purpose(&self, task: &TxId) -> Option<Purpose> {
        self.purposes.get(task).map(|declared| declared.in_force)
    }

    pub(super) fn declared(&mut self, opener: AccountId, task: TxId, purpose: Purpose) {
        let locked = &self.escrows[&task];
        assert_eq!(locked.opener, opener, "audit: a stranger declared a purpose");
        let size = locked.amount * (locked.open_parts + locked.released.len() as i128);
        let declared = Declared { purpose, in_force: purpose, opener, size, words: BTreeMap::new(), paid_for: false };
        assert!(self.purposes.insert(task, declared).is_none(), "audit: a purpose was declared twice");
    }

    /// Two reviewers who say the same, each by its last word, replace what counts. The first time that this puts a task lower than
    /// it was declared, its opener pays what was pretended of its size, and a tenth of it, as far as its money goes.
    pub(super) fn reclassified(&mut self, reviewer: AccountId, task: TxId, purpose: Purpose) {
        let declared = self.purposes.get_mut(&task).expect("audit: an undeclared purpose was reclassified");
        assert_ne!(declared.in_force, purpose, "audit: what counts was said again");
        declared.words.insert(reviewer, purpose);
        if declared.words.values().filter(|word| **word == purpose).count() < 2 {
            return;
        }
        declared.in_force = purpose;
        declared.words.clear();
        let listed = self.books[&declared.opener].listed;
        let (was, is) = (worth(declared.purpose, listed), worth(purpose, listed));
        if is >= was || declared.paid_for {
            return;
        }
        declared.paid_for = true;
        let (opener, size) = (declared.opener, declared.size);
        let due = (size * (was - is) + was - 1) / was + (size + 9) / 10;
        let paid = due.min(self.books[&opener].free);
        self.debit(opener, paid);
        self.treasury += paid;
        self.judged(opener, standing::TOO_HIGH);
    }
}

/// In tenths.
const fn worth(purpose: Purpose, listed: bool) -> i128 {
    match purpose {
        Purpose::ClimateAdaptation => 50,
        Purpose::DisasterResponse => 40,
        Purpose::RenewableOptimisation => 35,
        Purpose::SustainableAgriculture => 30,
        Purpose::ClimateScience => 25,
        Purpose::Education if listed => 20,
        Purpose::Education | Purpose::GeneralResearch => 10,
        Purpose::Luxury => 2,
        Purpose::ProofOfWork => 1,
    }
}
