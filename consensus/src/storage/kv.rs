//! The store as the rest of the process sees it.

use serde::{Deserialize, Serialize};

use crate::storage::{StoreError, WriteBatch};

/// A key and its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// Called once, from any thread, when a write is on disk or has failed. Never called after a crash or a close.
pub type Durable = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The keyspaces of the one database. They share one write-ahead log, so that a batch over several is atomic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Table {
    /// Entries of all Raft groups.
    RaftLog,
    /// Votes, log heads, memberships and snapshots of all Raft groups.
    RaftMeta,
    /// Final ledger state.
    State,
    /// Blocks, certificates, receipts.
    Blocks,
    /// Registries of sectors.
    Registry,
    /// Whatever is small and local.
    Misc,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 6] = [Self::RaftLog, Self::RaftMeta, Self::State, Self::Blocks, Self::Registry, Self::Misc];

    /// Stable name on disk.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RaftLog => "raft_log",
            Self::RaftMeta => "raft_meta",
            Self::State => "state",
            Self::Blocks => "blocks",
            Self::Registry => "registry",
            Self::Misc => "misc",
        }
    }
}

/// Where a scan stops: after this many entries, or once this many bytes are collected (at least one entry is returned).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimit {
    /// Most entries.
    pub entries: usize,
    /// Bytes of keys and values after which no further entry is taken.
    pub bytes: usize,
}

impl ScanLimit {
    /// Bytes collected by default: enough for a page, little beside the memory of a process.
    pub const DEFAULT_BYTES: usize = 4 << 20;

    /// At most this many entries, and the default bytes.
    #[must_use]
    pub const fn entries(entries: usize) -> Self {
        Self { entries, bytes: Self::DEFAULT_BYTES }
    }
}

/// An ordered key-value store with atomic batches and group-committed durability.
///
/// Writes take effect, and are readable, in the order of the calls; they become durable in that order too, so that
/// what survives a crash is always a prefix of what was written.
pub trait KvStore: Send + Sync + 'static {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The values of many keys, in their order: all at once where the store reads faster so.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(table, key)).collect()
    }

    /// Entries with `from <= key < to` in ascending order; `None` means the end of the table.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: ScanLimit)
    -> Result<Vec<KeyValue>, StoreError>;

    /// The entry with the greatest key in `from <= key < to`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn last(&self, table: Table, from: &[u8], to: Option<&[u8]>) -> Result<Option<KeyValue>, StoreError>;

    /// Writes atomically without waiting for the disk: a power cut may lose it, the end of the process does not.
    ///
    /// # Errors
    /// [`StoreError`] when nothing was written.
    fn write(&self, batch: &WriteBatch) -> Result<(), StoreError>;

    /// Writes atomically; readable on return, `done` is called once it is on disk.
    fn write_durable(&self, batch: &WriteBatch, done: Durable);

    /// Calls `done` once everything written before this call is on disk.
    fn flush(&self, done: Durable) {
        self.write_durable(&WriteBatch::new(), done);
    }

    /// Entries whose key begins with `prefix` and is not below `from` (pass the prefix itself to begin at its start).
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn scan_prefix(
        &self,
        table: Table,
        prefix: &[u8],
        from: &[u8],
        limit: ScanLimit,
    ) -> Result<Vec<KeyValue>, StoreError> {
        let start = if from > prefix { from } else { prefix };
        self.scan(table, start, prefix_end(prefix).as_deref(), limit)
    }
}

/// The least key greater than every key with this prefix; `None` when there is none (all bytes 255).
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::prefix_end;

    #[test]
    fn prefix_end_is_the_tightest_bound() {
        assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_end(&[1, 255]), Some(vec![2]));
        assert_eq!(prefix_end(&[255, 255]), None);
        assert_eq!(prefix_end(&[]), None);
    }
}
