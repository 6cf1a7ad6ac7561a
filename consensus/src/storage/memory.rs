//! The in-memory twin of the store: what a disk does, including its worst habits, under a test's control.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::{Durable, KeyValue, KvStore, ScanLimit, StoreError, Table, Write, WriteBatch};

type Name = (Table, Vec<u8>);
type Tables = BTreeMap<Name, Vec<u8>>;

/// Bytes before each record of the twin's write-ahead log: length and checksum.
const RECORD_HEADER_BYTES: usize = 4 + CHECKSUM_BYTES;
const CHECKSUM_BYTES: usize = 8;

/// When a durable write completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushMode {
    /// At once, inside the call.
    Immediate,
    /// When the test calls [`MemDisk::flush`].
    Manual,
}

/// What a crash left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashReport {
    /// Unsynced batches that were on disk all the same.
    pub kept_batches: usize,
    /// Unsynced batches that are gone, the torn one included.
    pub lost_batches: usize,
}

/// A disk that outlives the processes (handles) using it.
#[derive(Clone)]
pub struct MemDisk {
    inner: Arc<Mutex<Disk>>,
}

struct Disk {
    mode: FlushMode,
    visible: Tables,
    durable: Tables,
    wal: Vec<u8>,
    wal_batches: usize,
    pending: Vec<Durable>,
    generation: u64,
    /// Says that it synced and did not.
    lies: bool,
    /// Takes no further write.
    full: bool,
}

/// An open handle; after a crash of its disk it answers [`StoreError::Closed`].
#[derive(Clone)]
pub struct MemStore {
    disk: MemDisk,
    generation: u64,
}

impl MemDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(mode: FlushMode) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Disk {
                mode,
                visible: Tables::new(),
                durable: Tables::new(),
                wal: Vec::new(),
                wal_batches: 0,
                pending: Vec::new(),
                generation: 0,
                lies: false,
                full: false,
            })),
        }
    }

    /// Opens the disk; handles from before the last crash stay closed.
    #[must_use]
    pub fn open(&self) -> MemStore {
        MemStore { disk: self.clone(), generation: self.lock().generation }
    }

    /// Makes everything written so far durable and completes the waiting callbacks; returns how many.
    pub fn flush(&self) -> usize {
        let pending = self.lock().sync();
        let completed = pending.len();
        for done in pending {
            done(Ok(()));
        }
        completed
    }

    /// The device fails a sync: what waited for it is told so, and what reached the disk is unknown. The process has to
    /// end; follow with [`Self::crash`].
    pub fn fail_flush(&self) {
        let pending = std::mem::take(&mut self.lock().pending);
        for done in pending {
            done(Err(StoreError::Io { action: "sync its log", reason: "injected fsync failure".to_owned() }));
        }
    }

    /// From now on (until told otherwise) the device reports syncs as done and leaves everything to its volatile cache.
    pub fn lie_about_syncs(&self, lies: bool) {
        self.lock().lies = lies;
    }

    /// Fills the disk up, or makes room again: no write succeeds on a full one.
    pub fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    /// Callbacks waiting for a flush.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// Bytes of the write-ahead log that no flush covers yet.
    #[must_use]
    pub fn unsynced_bytes(&self) -> usize {
        self.lock().wal.len()
    }

    /// Pulls the plug. Of the unsynced bytes the first `keep_bytes` reach the disk: whole batches among them survive,
    /// a torn one fails its checksum and is dropped with all that follows. Waiting callbacks are never called.
    pub fn crash(&self, keep_bytes: usize) -> CrashReport {
        let (report, orphans) = {
            let mut disk = self.lock();
            let wal = std::mem::take(&mut disk.wal);
            let kept = wal.get(..keep_bytes).unwrap_or(&wal);
            let kept_batches = replay(kept, &mut disk.durable);
            let report = CrashReport { kept_batches, lost_batches: disk.wal_batches.saturating_sub(kept_batches) };
            disk.wal_batches = 0;
            disk.visible = disk.durable.clone();
            disk.generation = disk.generation.wrapping_add(1);
            (report, std::mem::take(&mut disk.pending))
        };
        drop(orphans);
        report
    }

    /// Flips one bit of a stored value, as a decaying disk would; false if there is no such key or bit.
    pub fn flip_bit(&self, table: Table, key: &[u8], bit: usize) -> bool {
        let mut disk = self.lock();
        let name = (table, key.to_vec());
        let mut flipped = false;
        let Disk { visible, durable, .. } = &mut *disk;
        for tables in [visible, durable] {
            if let Some(byte) = tables.get_mut(&name).and_then(|value| value.get_mut(bit / 8)) {
                *byte ^= 1 << (bit % 8);
                flipped = true;
            }
        }
        flipped
    }

    /// Removes a key behind everybody's back; false if it was absent.
    pub fn lose_key(&self, table: Table, key: &[u8]) -> bool {
        let mut disk = self.lock();
        let name = (table, key.to_vec());
        disk.durable.remove(&name);
        disk.visible.remove(&name).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn sync(&mut self) -> Vec<Durable> {
        if self.lies {
            return std::mem::take(&mut self.pending);
        }
        replay(&self.wal, &mut self.durable);
        self.wal.clear();
        self.wal_batches = 0;
        std::mem::take(&mut self.pending)
    }

    fn apply(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.full {
            return Err(StoreError::Io { action: "write", reason: "no space left on device".to_owned() });
        }
        let failed = |reason: String| StoreError::Io { action: "encode a batch", reason };
        let record = postcard::to_stdvec(batch).map_err(|e| failed(e.to_string()))?;
        let length = u32::try_from(record.len()).map_err(|e| failed(e.to_string()))?;
        self.wal.extend_from_slice(&length.to_be_bytes());
        self.wal.extend_from_slice(&checksum(&record));
        self.wal.extend_from_slice(&record);
        self.wal_batches += 1;
        write_into(batch, &mut self.visible);
        Ok(())
    }
}

fn checksum(record: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&blake3::hash(record).as_bytes()[..CHECKSUM_BYTES]);
    sum
}

/// Applies whole, intact records up to the first that is neither; returns how many.
fn replay(mut wal: &[u8], tables: &mut Tables) -> usize {
    let mut applied = 0;
    while let Some((header, rest)) = wal.split_at_checked(RECORD_HEADER_BYTES) {
        let (length, sum) = header.split_at(4);
        let length = length.iter().fold(0_usize, |n, byte| (n << 8) | usize::from(*byte));
        let Some((record, next)) = rest.split_at_checked(length) else { break };
        if checksum(record) != sum {
            break;
        }
        let Ok(batch) = postcard::from_bytes::<WriteBatch>(record) else { break };
        write_into(&batch, tables);
        applied += 1;
        wal = next;
    }
    applied
}

fn write_into(batch: &WriteBatch, tables: &mut Tables) {
    for write in batch.writes() {
        match write {
            Write::Put { table, key, value } => {
                tables.insert((*table, key.clone()), value.clone());
            }
            Write::Delete { table, key } => {
                tables.remove(&(*table, key.clone()));
            }
        }
    }
}

impl MemStore {
    fn open(&self) -> Result<MutexGuard<'_, Disk>, StoreError> {
        let disk = self.disk.lock();
        if disk.generation == self.generation { Ok(disk) } else { Err(StoreError::Closed) }
    }

    fn bounds(table: Table, from: &[u8], to: Option<&[u8]>) -> (Bound<Name>, Bound<Name>) {
        let end = match (to, Table::ALL.iter().find(|next| **next > table)) {
            (Some(to), _) => Bound::Excluded((table, to.to_vec())),
            (None, Some(next)) => Bound::Excluded((*next, Vec::new())),
            (None, None) => Bound::Unbounded,
        };
        (Bound::Included((table, from.to_vec())), end)
    }
}

impl KvStore for MemStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.open()?.visible.get(&(table, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: ScanLimit,
    ) -> Result<Vec<KeyValue>, StoreError> {
        let disk = self.open()?;
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let mut bytes = 0_usize;
        let mut found = Vec::new();
        for ((_, key), value) in disk.visible.range(Self::bounds(table, from, to)) {
            if found.len() >= limit.entries || bytes >= limit.bytes {
                break;
            }
            bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
            found.push((key.clone(), value.clone()));
        }
        Ok(found)
    }

    fn last(&self, table: Table, from: &[u8], to: Option<&[u8]>) -> Result<Option<KeyValue>, StoreError> {
        let disk = self.open()?;
        if to.is_some_and(|to| to <= from) {
            return Ok(None);
        }
        let found = disk.visible.range(Self::bounds(table, from, to)).next_back();
        Ok(found.map(|((_, key), value)| (key.clone(), value.clone())))
    }

    fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.open()?.apply(batch)
    }

    fn write_durable(&self, batch: &WriteBatch, done: Durable) {
        let outcome = self.open().and_then(|mut disk| {
            disk.apply(batch)?;
            Ok(match disk.mode {
                FlushMode::Immediate => Some(disk.sync()),
                FlushMode::Manual => None,
            })
        });
        match outcome {
            Err(error) => done(Err(error)),
            Ok(Some(synced)) => {
                for earlier in synced {
                    earlier(Ok(()));
                }
                done(Ok(()));
            }
            Ok(None) => self.disk.lock().pending.push(done),
        }
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
