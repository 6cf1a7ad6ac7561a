//! The state as bytes under keys: read from anywhere, changed only by change sets.

mod chunked_map;
pub(crate) mod keyspace;
mod memory;
mod overlay;
mod typed;

pub use memory::MemoryState;
pub use overlay::Overlay;
pub(crate) use overlay::merged_scan;
pub(crate) use typed::{decode_record, read, read_or_corrupt};

use std::collections::BTreeMap;

/// Everything there is to write after a block: values by key, nothing where a key goes away. Tree nodes included.
pub type ChangeSet = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// State that cannot be read. Never the fault of a block or a transaction: the node stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The storage below failed.
    #[error("state cannot be read: {0}")]
    Storage(String),
    /// A record is missing or is not what its key says.
    #[error("state is damaged at key {key}: {reason}")]
    Corrupt {
        /// In hexadecimal.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

/// Somewhere state can be read from.
pub trait StateRead {
    /// The value of a key.
    ///
    /// # Errors
    /// Storage that fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Shows the value of a key, if it has one, where it lies: as [`StateRead::get`] for whoever needs no copy. Nothing else may be
    /// asked of the state meanwhile.
    ///
    /// # Errors
    /// Storage that fails.
    fn view(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<(), StateError> {
        if let Some(value) = self.get(key)? {
            see(&value);
        }
        Ok(())
    }

    /// As [`StateRead::view`] for many keys, best in ascending order: shows the place of a key among them with its value, in any order.
    /// For state that is read faster all at once.
    ///
    /// # Errors
    /// Storage that fails.
    fn view_many(&self, keys: &[&[u8]], see: &mut dyn FnMut(usize, &[u8])) -> Result<(), StateError> {
        keys.iter().enumerate().try_for_each(|(place, key)| self.view(key, &mut |value| see(place, value)))
    }

    /// Up to `limit` entries in ascending order of key whose key begins with `prefix` and is not below `from`
    /// (a whole key; empty for the beginning).
    ///
    /// # Errors
    /// Storage that fails.
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError>;
}

impl<S: StateRead + ?Sized> StateRead for &S {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        (**self).get(key)
    }
    fn view(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<(), StateError> {
        (**self).view(key, see)
    }
    fn view_many(&self, keys: &[&[u8]], see: &mut dyn FnMut(usize, &[u8])) -> Result<(), StateError> {
        (**self).view_many(keys, see)
    }
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        (**self).scan(prefix, from, limit)
    }
}
