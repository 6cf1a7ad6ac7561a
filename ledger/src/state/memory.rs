//! State in memory, for tests and simulation.

use super::chunked_map::{ChunkedMap, Run};
use super::{ChangeSet, Entry, StateError, StateRead};

/// A whole state in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryState(ChunkedMap<Place>);

impl PartialEq for MemoryState {
    fn eq(&self, other: &Self) -> bool {
        self.entries().eq(other.entries())
    }
}

impl Eq for MemoryState {}

/// Where a key belongs, in the order of the bytes: its first sixteen, as a number. Few keys share a place, so that a search compares
/// numbers and looks at one record.
fn place_of(key: &[u8]) -> u128 {
    let mut head = [0; 16];
    for (to, from) in head.iter_mut().zip(key) {
        *to = *from;
    }
    u128::from_be_bytes(head)
}

/// The records of one place.
#[derive(Debug, Clone)]
enum Place {
    One(Record),
    /// In order of key; two at least.
    Many(Vec<Record>),
}

impl Place {
    fn records(&self) -> &[Record] {
        match self {
            Self::One(record) => std::slice::from_ref(record),
            Self::Many(records) => records,
        }
    }

    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.records().iter().find(|record| record.key() == key).map(Record::value)
    }

    fn put(&mut self, record: Record) {
        match self {
            Self::One(held) if held.key() == record.key() => *held = record,
            Self::One(held) => {
                let mut records = vec![std::mem::take(held), record];
                records.sort_unstable_by(|a, b| a.key().cmp(b.key()));
                *self = Self::Many(records);
            }
            Self::Many(records) => match records.binary_search_by(|held| held.key().cmp(record.key())) {
                Ok(at) => records.splice(at..=at, [record]).for_each(drop),
                Err(at) => records.insert(at, record),
            },
        }
    }

    /// Whether anything is left without this key.
    fn remove(&mut self, key: &[u8]) -> bool {
        match self {
            Self::One(record) => record.key() != key,
            Self::Many(records) => {
                records.retain(|record| record.key() != key);
                if let [last] = records.as_mut_slice() {
                    *self = Self::One(std::mem::take(last));
                }
                true
            }
        }
    }
}

/// A key and its value, side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Record {
    bytes: Box<[u8]>,
    key_length: usize,
}

impl Record {
    fn new(key: &[u8], value: &[u8]) -> Self {
        Self { bytes: [key, value].concat().into_boxed_slice(), key_length: key.len() }
    }

    fn key(&self) -> &[u8] {
        self.bytes.get(..self.key_length).unwrap_or_default()
    }

    fn value(&self) -> &[u8] {
        self.bytes.get(self.key_length..).unwrap_or_default()
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
                Some(value) => self.put(Record::new(&key, &value)),
                None => self.remove(&key),
            }
        }
    }

    fn put(&mut self, record: Record) {
        let number = place_of(record.key());
        match self.0.get_mut(number) {
            Some(place) => place.put(record),
            None => self.0.insert(number, Place::One(record)),
        }
    }

    fn remove(&mut self, key: &[u8]) {
        let number = place_of(key);
        if self.0.get_mut(number).is_some_and(|place| !place.remove(key)) {
            self.0.remove(number);
        }
    }

    fn find(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.get(place_of(key))?.get(key)
    }

    /// Every entry in order, for snapshots and comparisons.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.values_from(0).flat_map(Place::records).map(|record| (record.key(), record.value()))
    }

    /// Every entry from a key on, in order.
    fn entries_from<'a>(&'a self, start: &'a [u8]) -> impl Iterator<Item = &'a Record> {
        let places = self.0.values_from(place_of(start));
        places.flat_map(Place::records).filter(move |record| record.key() >= start)
    }
}

impl StateRead for MemoryState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.find(key).map(<[u8]>::to_vec))
    }

    fn view(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<(), StateError> {
        if let Some(value) = self.find(key) {
            see(value);
        }
        Ok(())
    }

    /// Step by step, each for all keys: memory is fetched for many of them at once, where no step waits for another.
    fn view_many(&self, keys: &[&[u8]], see: &mut dyn FnMut(usize, &[u8])) -> Result<(), StateError> {
        let numbers: Vec<u128> = keys.iter().map(|key| place_of(key)).collect();
        let runs: Vec<Option<&Run<Place>>> = numbers.iter().map(|number| self.0.run(*number)).collect();
        let places: Vec<Option<&Place>> =
            runs.iter().zip(&numbers).map(|(run, number)| run.and_then(|run| run.get(*number))).collect();
        let values: Vec<Option<&[u8]>> =
            places.iter().zip(keys).map(|(place, key)| place.and_then(|place| place.get(key))).collect();
        for (at, value) in values.into_iter().enumerate() {
            if let Some(value) = value {
                see(at, value);
            }
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        let entries = self.entries_from(prefix.max(from));
        Ok(entries
            .take_while(|record| record.key().starts_with(prefix))
            .take(limit)
            .map(|record| (record.key().to_vec(), record.value().to_vec()))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    /// Keys of few letters, many of which begin with the same nine bytes.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let end = vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4);
        (any::<bool>(), end).prop_map(|(long, end)| if long { [&[7; 9], end.as_slice()].concat() } else { end })
    }

    proptest! {
        /// Reads, scans and compares as a plain ordered map of the same entries.
        #[test]
        fn it_is_an_ordered_map(
            layers in vec(btree_map(key(), proptest::option::of(vec(any::<u8>(), 0..3)), 0..20), 0..6),
            prefix in key(),
            from in key(),
            limit in 0_usize..10,
        ) {
            let (mut state, mut model) = (MemoryState::new(), BTreeMap::new());
            for layer in layers {
                for (key, value) in &layer {
                    match value {
                        Some(value) => drop(model.insert(key.clone(), value.clone())),
                        None => drop(model.remove(key)),
                    }
                }
                state.apply(layer);
            }
            let entries: Vec<Entry> = state.entries().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(&entries, &model.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(state.get(&from).unwrap(), model.get(&from).cloned());
            let expected = model.iter().filter(|(key, _)| key.starts_with(&prefix) && **key >= from).take(limit);
            let expected: Vec<Entry> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
            prop_assert_eq!(state.scan(&prefix, &from, limit).unwrap(), expected);
            let mut again = MemoryState::new();
            again.apply(model.into_iter().map(|(key, value)| (key, Some(value))).collect());
            prop_assert_eq!(again, state);
        }
    }
}
