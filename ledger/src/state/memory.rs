//! State in memory, for tests and simulation.

use std::collections::BTreeSet;
#[expect(clippy::disallowed_types, reason = "looked up, never walked: order comes from the keys beside it")]
use std::collections::HashMap;
use std::ops::Bound;

use super::{ChangeSet, Entry, StateError, StateRead};

/// A whole state in memory: values by key, never walked, and beside them the keys in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::disallowed_types, reason = "as above")]
pub struct MemoryState {
    values: HashMap<Vec<u8>, Vec<u8>>,
    keys: BTreeSet<Vec<u8>>,
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
            let Some(value) = value else {
                self.keys.remove(&key);
                self.values.remove(&key);
                continue;
            };
            match self.values.get_mut(&key) {
                Some(known) => *known = value,
                None => {
                    self.keys.insert(key.clone());
                    self.values.insert(key, value);
                }
            }
        }
    }

    /// Every entry in order, for snapshots and comparisons.
    pub fn entries(&self) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.keys.iter().filter_map(|key| Some((key, self.values.get(key)?)))
    }
}

impl StateRead for MemoryState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.values.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        let range = self.keys.range::<[u8], _>((Bound::Included(prefix.max(from)), Bound::Unbounded));
        let found = range.take_while(|key| key.starts_with(prefix)).take(limit);
        Ok(found.filter_map(|key| Some((key.clone(), self.values.get(key)?.clone()))).collect())
    }
}
