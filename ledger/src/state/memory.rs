//! State in memory, for tests and simulation.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{ChangeSet, Entry, StateError, StateRead};

/// A whole state in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState(BTreeMap<u8, BTreeMap<u64, Place>>);

/// Where a key belongs, in the order of the bytes: its domain and its next eight bytes, as a number. Few keys share a place, so that a
/// search compares numbers and looks at one record.
fn place_of(key: &[u8]) -> (u8, u64) {
    let (domain, rest) = key.split_first().unwrap_or((&0, &[]));
    let mut head = [0; 8];
    for (to, from) in head.iter_mut().zip(rest) {
        *to = *from;
    }
    (*domain, u64::from_be_bytes(head))
}

/// The records of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    One(Record),
    /// In order of key; two at least, so that equal states look alike.
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
        use std::collections::btree_map::Entry;
        let (domain, head) = place_of(record.key());
        match self.0.entry(domain).or_default().entry(head) {
            Entry::Vacant(place) => drop(place.insert(Place::One(record))),
            Entry::Occupied(mut place) => place.get_mut().put(record),
        }
    }

    fn remove(&mut self, key: &[u8]) {
        let (domain, head) = place_of(key);
        let Some(places) = self.0.get_mut(&domain) else { return };
        if places.get_mut(&head).is_some_and(|place| !place.remove(key)) {
            places.remove(&head);
        }
        if places.is_empty() {
            self.0.remove(&domain);
        }
    }

    fn find(&self, key: &[u8]) -> Option<&[u8]> {
        let (domain, head) = place_of(key);
        self.0.get(&domain)?.get(&head)?.get(key)
    }

    /// Every entry in order, for snapshots and comparisons.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.values().flat_map(BTreeMap::values).flat_map(Place::records).map(|record| (record.key(), record.value()))
    }

    /// Every entry from a key on, in order.
    fn entries_from<'a>(&'a self, start: &'a [u8]) -> impl Iterator<Item = &'a Record> {
        let (domain, head) = place_of(start);
        let domains = self.0.range((Bound::Included(domain), Bound::Unbounded));
        let places = domains.flat_map(move |(at, places)| places.range(if *at == domain { head } else { 0 }..));
        places.flat_map(|(_, place)| place.records()).filter(move |record| record.key() >= start)
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
