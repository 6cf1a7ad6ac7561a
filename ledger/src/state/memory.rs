//! State in memory, for tests and simulation.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::{ChangeSet, Entry, StateError, StateRead};

/// A whole state in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState(BTreeMap<Key, Vec<u8>>);

/// A key behind its first eight bytes, in the order of the bytes: most comparisons are of two numbers and look nothing up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    first: u64,
    bytes: Vec<u8>,
}

impl Key {
    fn new(bytes: Vec<u8>) -> Self {
        Self { first: first(&bytes), bytes }
    }
}

fn first(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    for (place, byte) in first.iter_mut().zip(key) {
        *place = *byte;
    }
    u64::from_be_bytes(first)
}

/// What a key is looked up by, owned or borrowed.
trait Place {
    fn place(&self) -> (u64, &[u8]);
}

impl Place for Key {
    fn place(&self) -> (u64, &[u8]) {
        (self.first, &self.bytes)
    }
}

impl Place for (u64, &[u8]) {
    fn place(&self) -> (u64, &[u8]) {
        *self
    }
}

impl<'a> Borrow<dyn Place + 'a> for Key {
    fn borrow(&self) -> &(dyn Place + 'a) {
        self
    }
}

impl PartialEq for dyn Place + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for dyn Place + '_ {}

impl PartialOrd for dyn Place + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Place + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
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
                Some(value) => self.0.insert(Key::new(key), value),
                None => self.0.remove(&(first(&key), key.as_slice()) as &dyn Place),
            };
        }
    }

    /// Every entry in order, for snapshots and comparisons.
    pub fn entries(&self) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.0.iter().map(|(key, value)| (&key.bytes, value))
    }
}

impl StateRead for MemoryState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(&(first(key), key) as &dyn Place).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        let start = Key::new(prefix.max(from).to_vec());
        Ok(self
            .0
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.bytes.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.bytes.clone(), value.clone()))
            .collect())
    }
}
