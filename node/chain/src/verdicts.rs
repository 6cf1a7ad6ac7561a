//! Verdicts on signatures, remembered, so that none is checked twice in a process.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use mesh30k_ledger::execute::SignatureOracle;
use mesh30k_ledger::key_points::KeyPoints;
use mesh30k_ledger::keys::{PublicKey, Signature};
use mesh30k_ledger::types::Hash;

/// Valid signatures remembered: two full pools.
const REMEMBERED_MAX: usize = 40_000;

/// Remembers valid signatures by a hash over key, message and signature.
#[derive(Debug, Default)]
pub struct Verdicts {
    valid: Mutex<Remembered>,
    keys: KeyPoints,
}

#[derive(Debug, Default)]
struct Remembered {
    known: HashSet<Hash>,
    order: VecDeque<Hash>,
}

impl Verdicts {
    fn name(key: &PublicKey, message: &Hash, signature: &Signature) -> Hash {
        // Never leaves the process, so it needs no context of its own.
        let mut bytes = [0; 128];
        for (to, from) in bytes.iter_mut().zip(key.0.iter().chain(message.as_bytes()).chain(&signature.0)) {
            *to = *from;
        }
        Hash::of(&bytes)
    }

    fn knows(&self, name: &Hash) -> bool {
        self.valid.lock().unwrap_or_else(std::sync::PoisonError::into_inner).known.contains(name)
    }

    fn remember(&self, names: impl IntoIterator<Item = Hash>) {
        let mut valid = self.valid.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for name in names {
            if valid.known.insert(name) {
                valid.order.push_back(name);
            }
        }
        while valid.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = valid.order.pop_front() {
                valid.known.remove(&oldest);
            }
        }
    }
}

impl SignatureOracle for Verdicts {
    fn verify(&self, key: &PublicKey, message: &Hash, signature: &Signature) -> bool {
        let name = Self::name(key, message, signature);
        if self.knows(&name) {
            return true;
        }
        let valid = self.keys.verify(key, message, signature);
        if valid {
            self.remember([name]);
        }
        valid
    }

    fn first_invalid(&self, items: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        let names: Vec<Hash> = items.iter().map(|(key, message, sig)| Self::name(key, message, sig)).collect();
        let unknown: Vec<usize> =
            (0..items.len()).filter(|index| !names.get(*index).is_some_and(|n| self.knows(n))).collect();
        let fresh: Vec<_> = unknown.iter().filter_map(|index| items.get(*index).copied()).collect();
        if let Some(bad) = self.keys.first_invalid(&fresh) {
            return unknown.get(bad).copied();
        }
        self.remember(unknown.iter().filter_map(|index| names.get(*index).copied()));
        None
    }
}
