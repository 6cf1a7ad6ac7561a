//! State in memory, for tests and simulation.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{ChangeSet, Entry, StateError, StateRead};

/// A whole state in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState(BTreeMap<Key, Vec<u8>>);

/// A key behind its first eight bytes, in the order of the bytes: most comparisons are of two numbers and look nothing up.
type Key = (u64, Vec<u8>);

fn ordered(key: Vec<u8>) -> Key {
    let mut first = [0; 8];
    for (place, byte) in first.iter_mut().zip(&key) {
        *place = *byte;
    }
    (u64::from_be_bytes(first), key)
}

impl MemoryState {
    /// Nothing at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a change set.
    pub fn apply(&mut self, changes: ChangeSet) {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(ordered(key), value),
                None => self.0.remove(&ordered(key)),
            };
        }
    }

    /// Every entry in order, for snapshots and comparisons.
    pub fn entries(&self) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.0.iter().map(|((_, key), value)| (key, value))
    }
}

impl StateRead for MemoryState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(&ordered(key.to_vec())).cloned())
    }

    fn view(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<(), StateError> {
        if let Some(value) = self.0.get(&ordered(key.to_vec())) {
            see(value);
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        let start = ordered(prefix.max(from).to_vec());
        Ok(self
            .0
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(|((_, key), _)| key.starts_with(prefix))
            .take(limit)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }
}
