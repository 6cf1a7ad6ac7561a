//! Operators: the keys that freeze and thaw.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use std::collections::BTreeSet;

use crate::keys::{PublicKey, verify};
use crate::transaction::SignedTransaction;

/// `threshold` of these keys order freezes and thaws together.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Operators {
    /// How many must sign, at least 1.
    pub threshold: u8,
    /// At most 16.
    pub keys: Vec<PublicKey>,
}

impl Operators {
    /// Whether it can be satisfied.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let distinct: BTreeSet<_> = self.keys.iter().collect();
        let threshold = usize::from(self.threshold);
        distinct.len() == self.keys.len() && threshold >= 1 && threshold <= distinct.len() && distinct.len() <= 16
    }

    /// Distinct operators whose signature under this transaction holds.
    #[must_use]
    pub fn count_valid(&self, signed: &SignedTransaction) -> usize {
        let message = signed.tx.signing_hash();
        let valid: BTreeSet<_> = signed
            .signatures
            .iter()
            .filter(|keyed| self.keys.contains(&keyed.key))
            .filter(|keyed| verify(&keyed.key, message.as_bytes(), &keyed.signature))
            .map(|keyed| keyed.key)
            .collect();
        valid.len()
    }
}
