//! One group's log in the shared store, chained by hashes so that holes and decay are noticed.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openraft::EntryPayload;
use serde::{Deserialize, Serialize};

use crate::app::LogPosition;
use crate::group::GroupId;
use crate::raft::meta::MetaTable;
use crate::raft::type_config::{Entry, Vote, position};
use crate::raft::{Durability, LogError};
use crate::storage::{Durable, KvStore, ScanLimit, Table, WriteBatch, prefix_end};

/// Hash of an entry and of all before it.
type ChainHash = [u8; blake3::OUT_LEN];

/// Domain of the chain's hashes.
const CHAIN_CONTEXT: &str = "mesh30k 2026 raft log chain v1";
/// Entries checked at once when a log is opened.
const PAGE: ScanLimit = ScanLimit::entries(256);
/// Entries deleted by one batch of a purge.
const PURGE_PAGE: u64 = 1024;

const HEAD: &[u8] = b"h";
const VOTE: &[u8] = b"v";
const COMMITTED: &[u8] = b"c";

/// The log of one group: entries, vote and committed position.
///
/// An entry's record is its chain hash and its bytes; the head names the last entry and its hash, and is written with
/// every append, truncation and purge in the same batch. So a lost, added or altered record contradicts something.
pub struct RaftLog {
    kv: Arc<dyn KvStore>,
    meta: MetaTable,
    group: GroupId,
    durability: Durability,
    head: Mutex<Head>,
}

/// Persisted extent of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// Last entry removed by a purge.
    purged: Option<LogPosition>,
    /// Index of the first entry present, or of the next one if there is none.
    first: u64,
    /// Chain hash before the first entry.
    before_first: ChainHash,
    /// Last entry present.
    last: Option<LogPosition>,
    /// Chain hash of the last entry (or before the first).
    last_hash: ChainHash,
}

impl Head {
    const EMPTY: Self = Self {
        purged: None,
        first: 0,
        before_first: [0; blake3::OUT_LEN],
        last: None,
        last_hash: [0; blake3::OUT_LEN],
    };

    /// Index the next entry takes.
    fn next(&self) -> u64 {
        self.last.map_or(self.first, |last| last.index.saturating_add(1))
    }
}

impl RaftLog {
    /// Opens a group's log and checks all of it.
    ///
    /// # Errors
    /// [`LogError`] naming the first contradiction.
    pub fn open(kv: Arc<dyn KvStore>, group: GroupId, durability: Durability) -> Result<Self, LogError> {
        let meta = MetaTable::new(Arc::clone(&kv), group);
        let log = Self { kv, meta, group, durability, head: Mutex::new(Head::EMPTY) };
        if let Some(head) = log.meta.read(HEAD, "head")? {
            *log.lock() = head;
        }
        log.verify()?;
        // Read again by openraft, which has no error of its own for what cannot be trusted.
        log.read_vote()?;
        log.read_committed()?;
        Ok(log)
    }

    /// The group this log belongs to.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// Last purged entry, and last entry present or purged.
    #[must_use]
    pub fn extent(&self) -> (Option<LogPosition>, Option<LogPosition>) {
        let head = self.lock();
        (head.purged, head.last.or(head.purged))
    }

    /// Appends entries; readable on return. `done` is called when they count as appended, see [`Durability`].
    pub(crate) fn append(&self, entries: impl IntoIterator<Item = Entry>, done: Durable) -> Result<(), LogError> {
        let mut held = self.lock();
        let mut head = held.clone();
        let mut batch = WriteBatch::new();
        for entry in entries {
            let at = position(&entry.log_id);
            if head.last.is_none() && head.purged.is_none() {
                // A log that never held anything begins wherever the leader has it begin.
                head.first = at.index;
            }
            if at.index != head.next() {
                let expected = head.next();
                return Err(LogError::NotConsecutive { group: self.group, expected, found: at.index });
            }
            let bytes = self.encode(&entry)?;
            head.last_hash = self.chain(&head.last_hash, at.index, &bytes);
            head.last = Some(at);
            let mut record = head.last_hash.to_vec();
            record.extend_from_slice(&bytes);
            batch.put(Table::RaftLog, self.entry_key(at.index), record);
        }
        self.meta.put(&mut batch, HEAD, "head", &head)?;
        match self.durability {
            Durability::Synced => self.kv.write_durable(&batch, done),
            Durability::Unsynced => {
                self.kv.write(&batch)?;
                done(Ok(()));
            }
        }
        *held = head;
        Ok(())
    }

    /// Removes all entries after `index` (all entries, if `None`).
    pub(crate) fn truncate_after(&self, index: Option<u64>) -> Result<(), LogError> {
        let mut held = self.lock();
        let mut head = held.clone();
        let keep_to = index.map_or(head.first, |index| index.saturating_add(1)).max(head.first);
        let end = head.next();
        if keep_to >= end {
            return Ok(());
        }
        let mut batch = WriteBatch::new();
        // From the end backward: even a store that tears batches would leave no hole.
        for index in (keep_to..end).rev() {
            batch.delete(Table::RaftLog, self.entry_key(index));
        }
        head.last_hash = self.hash_before(&head, keep_to)?;
        head.last = match keep_to.checked_sub(1) {
            Some(last) if keep_to > head.first => Some(position(&self.read_one(&head, last)?.log_id)),
            _ => None,
        };
        self.meta.put(&mut batch, HEAD, "head", &head)?;
        self.kv.write(&batch)?;
        *held = head;
        Ok(())
    }

    /// Removes all entries up to and including `upto`; the log may end before it (after a snapshot).
    pub(crate) fn purge(&self, upto: LogPosition) -> Result<(), LogError> {
        let mut held = self.lock();
        loop {
            let mut head = held.clone();
            if head.purged.is_some_and(|purged| purged.index >= upto.index) {
                return Ok(());
            }
            let past = upto.index.saturating_add(1);
            let stop = past.min(head.next()).min(head.first.saturating_add(PURGE_PAGE)).max(head.first);
            let mut batch = WriteBatch::new();
            if past <= head.first && head.last.is_some() {
                // The log began after this position; there is nothing to remove.
                head.purged = Some(upto);
            } else if stop == head.next() {
                // Nothing remains to be chained to; the chain begins again at the snapshot's position.
                head.before_first = self.chain(&[0; blake3::OUT_LEN], upto.index, &upto.term.to_be_bytes());
                (head.purged, head.first, head.last) = (Some(upto), past, None);
                head.last_hash = head.before_first;
            } else {
                let last_gone = position(&self.read_one(&held, stop.saturating_sub(1))?.log_id);
                head.before_first = self.hash_before(&held, stop)?;
                (head.purged, head.first) = (Some(last_gone), stop);
            }
            for index in held.first..stop {
                batch.delete(Table::RaftLog, self.entry_key(index));
            }
            self.meta.put(&mut batch, HEAD, "head", &head)?;
            self.kv.write(&batch)?;
            *held = head;
        }
    }

    /// Entries of the part of `range` the log holds, checked against the chain; stops early once `max_bytes` are
    /// collected, but returns at least one entry if there is one.
    pub(crate) fn read(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Entry>, LogError> {
        let head = self.lock();
        let mut next = range.start.max(head.first);
        let end = range.end.min(head.next());
        let mut entries = Vec::new();
        if next >= end {
            return Ok(entries);
        }
        let mut hash = self.hash_before(&head, next)?;
        let mut left = max_bytes;
        while next < end && (left > 0 || entries.is_empty()) {
            let missing = usize::try_from(end - next).unwrap_or(usize::MAX);
            let limit = ScanLimit { entries: PAGE.entries.min(missing), bytes: left };
            let page = self.kv.scan(Table::RaftLog, &self.entry_key(next), Some(&self.entry_key(end)), limit)?;
            if page.is_empty() {
                return Err(LogError::Hole { group: self.group, index: next });
            }
            for (key, record) in page {
                left = left.saturating_sub(key.len().saturating_add(record.len()));
                entries.push(self.check(&key, &record, next, &mut hash)?);
                next = next.saturating_add(1);
            }
        }
        Ok(entries)
    }

    /// The application's entries from an index on, as far as the log holds them; for a group that does not run. Not all of them need
    /// be committed.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    pub fn entries_from(&self, index: u64) -> Result<Vec<Bytes>, LogError> {
        let entries = self.read(index..u64::MAX, usize::MAX)?;
        let own = entries.into_iter().filter_map(|entry| match entry.payload {
            EntryPayload::Normal(bytes) => Some(bytes.0),
            EntryPayload::Blank | EntryPayload::Membership(_) => None,
        });
        Ok(own.collect())
    }

    /// Stores a vote; `done` is called once it is on disk.
    pub(crate) fn save_vote(&self, vote: &Vote, done: Durable) -> Result<(), LogError> {
        let mut batch = WriteBatch::new();
        self.meta.put(&mut batch, VOTE, "vote", vote)?;
        self.kv.write_durable(&batch, done);
        Ok(())
    }

    pub(crate) fn read_vote(&self) -> Result<Option<Vote>, LogError> {
        self.meta.read(VOTE, "vote")
    }

    pub(crate) fn save_committed(&self, committed: Option<LogPosition>) -> Result<(), LogError> {
        let mut batch = WriteBatch::new();
        self.meta.put(&mut batch, COMMITTED, "committed position", &committed)?;
        Ok(self.kv.write(&batch)?)
    }

    pub(crate) fn read_committed(&self) -> Result<Option<LogPosition>, LogError> {
        Ok(self.meta.read::<Option<LogPosition>>(COMMITTED, "committed position")?.flatten())
    }

    /// Reads everything once: each record follows from the one before, the last is the head's, none lies outside.
    fn verify(&self) -> Result<(), LogError> {
        let head = self.lock().clone();
        let prefix = self.group.key();
        let end = prefix_end(&prefix);
        let (mut hash, mut next) = (head.before_first, head.first);
        let mut from = prefix.to_vec();
        loop {
            let page = self.kv.scan(Table::RaftLog, &from, end.as_deref(), PAGE)?;
            let Some((last_key, _)) = page.last() else { break };
            from.clone_from(last_key);
            from.push(0);
            for (key, record) in &page {
                if self.index_of(key)? >= head.next() {
                    let (expected, found) = (head.last.map(|last| last.index), Some(self.index_of(key)?));
                    return Err(LogError::WrongEnd { group: self.group, expected, found });
                }
                self.check(key, record, next, &mut hash)?;
                next = next.saturating_add(1);
            }
        }
        if next != head.next() || hash != head.last_hash {
            let (expected, found) = (head.last.map(|last| last.index), next.checked_sub(1));
            return Err(LogError::WrongEnd { group: self.group, expected, found });
        }
        Ok(())
    }

    /// Decodes a record that must be entry `index` following `hash`, and advances the hash.
    fn check(&self, key: &[u8], record: &[u8], index: u64, hash: &mut ChainHash) -> Result<Entry, LogError> {
        if self.index_of(key)? != index {
            return Err(LogError::Hole { group: self.group, index });
        }
        let broken = LogError::Broken { group: self.group, index };
        let Some((stored, bytes)) = record.split_first_chunk::<{ blake3::OUT_LEN }>() else { return Err(broken) };
        *hash = self.chain(hash, index, bytes);
        if hash != stored {
            return Err(broken);
        }
        let entry: Entry = self.decode(bytes)?;
        if entry.log_id.index == index { Ok(entry) } else { Err(broken) }
    }

    fn read_one(&self, head: &Head, index: u64) -> Result<Entry, LogError> {
        let key = self.entry_key(index);
        let hole = LogError::Hole { group: self.group, index };
        let record = self.kv.get(Table::RaftLog, &key)?.ok_or(hole)?;
        self.check(&key, &record, index, &mut self.hash_before(head, index)?)
    }

    /// Chain hash of the entry before `index`.
    fn hash_before(&self, head: &Head, index: u64) -> Result<ChainHash, LogError> {
        if index <= head.first {
            return Ok(head.before_first);
        }
        let before = index.saturating_sub(1);
        let record = self.kv.get(Table::RaftLog, &self.entry_key(before))?;
        let record = record.ok_or(LogError::Hole { group: self.group, index: before })?;
        let stored = record.first_chunk::<{ blake3::OUT_LEN }>();
        stored.copied().ok_or(LogError::Broken { group: self.group, index: before })
    }

    fn chain(&self, before: &ChainHash, index: u64, bytes: &[u8]) -> ChainHash {
        let mut hasher = blake3::Hasher::new_derive_key(CHAIN_CONTEXT);
        hasher.update(&self.group.key()).update(before).update(&index.to_be_bytes()).update(bytes);
        *hasher.finalize().as_bytes()
    }

    fn entry_key(&self, index: u64) -> Vec<u8> {
        let mut key = self.group.key().to_vec();
        key.extend_from_slice(&index.to_be_bytes());
        key
    }

    fn index_of(&self, key: &[u8]) -> Result<u64, LogError> {
        let index = key.get(GroupId::KEY_BYTES..).and_then(|index| <[u8; 8]>::try_from(index).ok());
        index.map(u64::from_be_bytes).ok_or_else(|| self.unreadable("key", format!("key of {} bytes", key.len())))
    }

    fn encode(&self, entry: &Entry) -> Result<Vec<u8>, LogError> {
        postcard::to_stdvec(entry).map_err(|e| self.unreadable("entry", e.to_string()))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Entry, LogError> {
        let (entry, rest) = postcard::take_from_bytes(bytes).map_err(|e| self.unreadable("entry", e.to_string()))?;
        if rest.is_empty() {
            Ok(entry)
        } else {
            Err(self.unreadable("entry", format!("{} bytes too many", rest.len())))
        }
    }

    const fn unreadable(&self, what: &'static str, reason: String) -> LogError {
        LogError::Unreadable { group: self.group, what, reason }
    }

    fn lock(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "raft_log_tests.rs"]
mod tests;
