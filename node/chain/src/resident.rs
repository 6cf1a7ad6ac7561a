//! What of the final state stands in memory: the pages of its trees, all of them, and records that were read lately.
//!
//! Pages follow from the buckets below them and change with every block, down to the lowest: written, they would be most of what a
//! block writes. So they are made anew when a state is first used, which checks the whole tree against its root.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use mesh30k_ledger::smt::{is_page, rebuild_pages};
use mesh30k_ledger::state::{ChangeSet, StateError, StateRead};

/// Records kept unless told otherwise, in bytes with what it costs to keep them.
pub(crate) const RECORDS_BYTES: usize = 4 << 20;
/// What it costs to keep a record, beside its key and value.
const RECORD_BYTES: usize = 96;

type Pages = HashMap<Vec<u8>, Vec<u8>>;
/// The value of a key, nothing where there is none.
type Value = Option<Vec<u8>>;

/// The part of a state that is in memory.
pub(crate) struct Resident {
    /// Nothing before the state is first used.
    pages: RwLock<Option<Pages>>,
    records: Mutex<Records>,
}

impl Resident {
    /// Nothing yet, and never more than so many bytes of records.
    pub(crate) fn new(records_bytes: usize) -> Self {
        Self { pages: RwLock::default(), records: Mutex::new(Records::new(records_bytes)) }
    }

    /// Has the pages of the trees of `state`, whose resident part this is.
    pub(crate) fn prepare(&self, state: &dyn StateRead) -> Result<(), StateError> {
        // Held to the end: no block is written meanwhile.
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        if pages.is_none() {
            let mut made = Pages::new();
            rebuild_pages(state, |key, page| drop(made.insert(key, page)))?;
            *pages = Some(made);
        }
        Ok(())
    }

    /// Shows a page of the trees of `state`, if it is there.
    pub(crate) fn view_page(
        &self,
        state: &dyn StateRead,
        key: &[u8],
        see: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StateError> {
        let mut pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        if pages.is_none() {
            drop(pages);
            self.prepare(state)?;
            pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(page) = pages.as_ref().and_then(|pages| pages.get(key)) {
            see(page);
        }
        Ok(())
    }

    /// Shows a record, by `read` where it is not at hand, if it is there.
    pub(crate) fn view_record(
        &self,
        key: &[u8],
        see: &mut dyn FnMut(&[u8]),
        read: impl FnOnce() -> Result<Value, StateError>,
    ) -> Result<(), StateError> {
        let writes = {
            let mut records = self.records();
            if let Some(value) = records.get(key) {
                value.as_deref().into_iter().for_each(see);
                return Ok(());
            }
            records.writes
        };
        let value = read()?;
        value.as_deref().into_iter().for_each(see);
        let mut records = self.records();
        // What was read before a write must not stand for what is there after it.
        if records.writes == writes {
            records.keep(key.to_vec(), value);
        }
        Ok(())
    }

    /// As [`Self::view_record`] for many: shows the place of each among them with its value, and reads all that are not at hand at once.
    pub(crate) fn view_records(
        &self,
        keys: &[&[u8]],
        see: &mut dyn FnMut(usize, &[u8]),
        read: impl FnOnce(&[&[u8]]) -> Result<Vec<Value>, StateError>,
    ) -> Result<(), StateError> {
        let (mut places, mut missing) = (Vec::new(), Vec::new());
        let writes = {
            let mut records = self.records();
            for (place, key) in keys.iter().enumerate() {
                match records.get(key) {
                    Some(value) => value.as_deref().into_iter().for_each(|value| see(place, value)),
                    None => {
                        places.push(place);
                        missing.push(*key);
                    }
                }
            }
            records.writes
        };
        if missing.is_empty() {
            return Ok(());
        }
        let values = read(&missing)?;
        for (place, value) in places.iter().zip(&values) {
            value.as_deref().into_iter().for_each(|value| see(*place, value));
        }
        let mut records = self.records();
        if records.writes == writes {
            missing.iter().zip(values).for_each(|(key, value)| records.keep(key.to_vec(), value));
        }
        Ok(())
    }

    /// Has `write` write these changes, and follows them. Nobody reads a page meanwhile.
    pub(crate) fn change<E>(&self, changes: &ChangeSet, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        self.records().writes += 1;
        write()?;
        let mut records = self.records();
        records.writes += 1;
        for (key, value) in changes {
            if !is_page(key) {
                records.follow(key, value);
            } else if let Some(pages) = pages.as_mut() {
                match value {
                    Some(value) => pages.insert(key.clone(), value.clone()),
                    None => pages.remove(key),
                };
            }
        }
        Ok(())
    }

    /// As [`Self::change`], for a whole state in the place of the one there was.
    pub(crate) fn replace<E>(&self, state: &ChangeSet, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        self.records().writes += 1;
        write()?;
        let mut records = self.records();
        *records = Records { writes: records.writes + 1, ..Records::new(records.bytes_max) };
        let entries = state.iter().filter(|(key, _)| is_page(key));
        *pages = Some(entries.filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect());
        Ok(())
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records in two generations: one that is asked for moves to the younger, and when that is half of what may be kept, the older goes.
struct Records {
    young: HashMap<Vec<u8>, Value>,
    old: HashMap<Vec<u8>, Value>,
    /// Of the younger.
    bytes: usize,
    /// Of both.
    bytes_max: usize,
    /// Counts the beginning and the end of each write.
    writes: u64,
}

impl Records {
    fn new(bytes_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), bytes: 0, bytes_max, writes: 0 }
    }

    fn get(&mut self, key: &[u8]) -> Option<&Value> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.keep(key, value);
        }
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn keep(&mut self, key: Vec<u8>, value: Value) {
        self.bytes += RECORD_BYTES + key.len() + value.as_ref().map_or(0, Vec::len);
        self.young.insert(key, value);
        if self.bytes > self.bytes_max / 2 {
            (self.old, self.bytes) = (std::mem::take(&mut self.young), 0);
        }
    }

    /// What is at hand becomes what was written; what nobody asked for is not taken in.
    fn follow(&mut self, key: &[u8], value: &Value) {
        for generation in [&mut self.young, &mut self.old] {
            if let Some(held) = generation.get_mut(key) {
                held.clone_from(value);
            }
        }
    }
}

#[cfg(test)]
#[path = "resident_tests.rs"]
mod tests;
