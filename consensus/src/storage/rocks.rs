//! The store of real processes: one RocksDB, one write-ahead log, one flusher thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, ErrorKind, IteratorMode,
    LogLevel, LruCacheOptions, Options, ReadOptions,
};

use crate::storage::files;
use crate::storage::flusher::Flusher;
use crate::storage::{Durable, FatalHandler, KeyValue, KvStore, ScanLimit, StoreError, Table, Write, WriteBatch};

/// All write buffers together may take as much as so many of one table: the tables are rarely busy at the same time.
const BUSY_TABLES: usize = 3;
/// Size of all logs after which idle tables are flushed, so that no quiet table pins old logs.
const MAX_WAL_BYTES: u64 = 64 << 20;
/// With large write buffers the logs may be as long as so many of them.
const WAL_BUFFERS: u64 = 4;
/// Files kept open.
const MAX_OPEN_FILES: i32 = 128;
/// Part of a write buffer for a filter, so that a key that is not in it costs little.
const MEMTABLE_BLOOM: f64 = 0.05;
/// Scans of more entries leave nothing in the cache: who walks through a table comes by once, and would push out the blocks that
/// single keys are read from again and again.
const CACHED_SCAN_ENTRIES: usize = 256;
/// Values from so many bytes on stand in files of their own.
const BLOB_BYTES_MIN: u64 = 4_096;
/// RocksDB's own text logs kept, and their size.
const TEXT_LOGS: usize = 2;
const TEXT_LOG_BYTES: usize = 1 << 20;

/// Memory that a database may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksMemory {
    /// Cached blocks, shared by all tables.
    pub block_cache_bytes: usize,
    /// Write buffer of one table, of the state's twice as much; all of them together take at most three times as much.
    pub memtable_bytes: usize,
}

impl Default for RocksMemory {
    /// 8 MiB of blocks, 4 MiB of writes per table.
    fn default() -> Self {
        Self { block_cache_bytes: 8 << 20, memtable_bytes: 4 << 20 }
    }
}

/// RocksDB behind the store trait.
///
/// Recovery tolerates a torn tail of the log and nothing else; missing older logs are noticed through the manifest, and a folder without
/// any log or without `CURRENT` is refused before.
/// After a failed fsync the fatal handler runs and no later write is accepted.
pub struct RocksStore {
    // Dropped first: the thread holds the database too and has to let go of it before the lock file is free.
    flusher: Flusher,
    db: Arc<DB>,
    failed: Arc<AtomicBool>,
}

impl RocksStore {
    /// Opens or creates the database in `path`, with as much memory as [`RocksMemory::default`] says.
    ///
    /// # Errors
    /// Those of [`Self::open_with`].
    pub fn open(path: &Path, fatal: FatalHandler) -> Result<Self, StoreError> {
        Self::open_with(path, RocksMemory::default(), fatal)
    }

    /// Opens or creates the database in `path`.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it open, [`StoreError::Corrupt`] if its files contradict each
    /// other, [`StoreError::Io`] otherwise.
    pub fn open_with(path: &Path, memory: RocksMemory, fatal: FatalHandler) -> Result<Self, StoreError> {
        files::refuse_incomplete(path)?;
        let options = database_options(memory);
        let mut lru = LruCacheOptions::default();
        lru.set_capacity(memory.block_cache_bytes);
        // By default a small cache falls into shards of half a MiB, in which the index of a large file finds no place: it was read
        // anew for each key.
        lru.set_num_shard_bits(0);
        let cache = Cache::new_lru_cache_opts(&lru);
        let tables =
            Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), table_options(table, &cache, memory)));
        let db = DB::open_cf_descriptors(&options, path, tables).map_err(|e| open_error(path, &e))?;
        let db = Arc::new(db);
        let failed = Arc::new(AtomicBool::new(false));
        let (synced, tripped) = (Arc::clone(&db), Arc::clone(&failed));
        let flusher = Flusher::spawn(
            move || {
                synced.flush_wal(true).map_err(|e| {
                    tripped.store(true, Ordering::SeqCst);
                    StoreError::Io { action: "sync its log", reason: e.to_string() }
                })
            },
            fatal,
        )?;
        Ok(Self { flusher, db, failed })
    }

    /// Approximate bytes in use by write buffers and cached blocks.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let sum_of = |tables: &[Table], property: &str| {
            let families = tables.iter().filter_map(|table| self.table(*table).ok());
            let values = families.filter_map(|family| self.db.property_int_value_cf(family, property).ok().flatten());
            values.fold(0, u64::saturating_add)
        };
        // The tables share one cache, so any of them tells of all of it; the index blocks are in there too.
        let cached = sum_of(&Table::ALL[..1], "rocksdb.block-cache-usage");
        cached
            .saturating_add(sum_of(&Table::ALL, "rocksdb.cur-size-all-mem-tables"))
            .saturating_add(sum_of(&Table::ALL, "rocksdb.estimate-table-readers-mem"))
    }

    fn table(&self, table: Table) -> Result<&rocksdb::ColumnFamily, StoreError> {
        let name = table.name();
        self.db
            .cf_handle(name)
            .ok_or_else(|| StoreError::Corrupt { reason: format!("column family {name} is missing") })
    }

    fn write_batch(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        if self.failed.load(Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let mut native = rocksdb::WriteBatch::default();
        for write in batch.writes() {
            match write {
                Write::Put { table, key, value } => native.put_cf(self.table(*table)?, key, value),
                Write::Delete { table, key } => native.delete_cf(self.table(*table)?, key),
            }
        }
        self.db.write(native).map_err(|e| error_from("write", &e))
    }

    fn read_options(from: &[u8], to: Option<&[u8]>) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        options
    }
}

impl KvStore for RocksStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.table(table)?, key).map_err(|e| error_from("read", &e))
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let sorted = keys.is_sorted();
        let values = self.db.batched_multi_get_cf(self.table(table)?, keys.iter().copied(), sorted);
        let read = |value: Result<Option<rocksdb::DBPinnableSlice<'_>>, rocksdb::Error>| {
            value.map(|value| value.map(|value| value.to_vec())).map_err(|e| error_from("read", &e))
        };
        values.into_iter().map(read).collect()
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: ScanLimit,
    ) -> Result<Vec<KeyValue>, StoreError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let mut options = Self::read_options(from, to);
        options.fill_cache(limit.entries <= CACHED_SCAN_ENTRIES);
        let mut bytes = 0_usize;
        let mut found = Vec::new();
        for item in self.db.iterator_cf_opt(self.table(table)?, options, IteratorMode::Start) {
            if found.len() >= limit.entries || bytes >= limit.bytes {
                break;
            }
            let (key, value) = item.map_err(|e| error_from("scan", &e))?;
            bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
            found.push((key.into_vec(), value.into_vec()));
        }
        Ok(found)
    }

    fn last(&self, table: Table, from: &[u8], to: Option<&[u8]>) -> Result<Option<KeyValue>, StoreError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(None);
        }
        let options = Self::read_options(from, to);
        match self.db.iterator_cf_opt(self.table(table)?, options, IteratorMode::End).next() {
            None => Ok(None),
            Some(Ok((key, value))) => Ok(Some((key.into_vec(), value.into_vec()))),
            Some(Err(e)) => Err(error_from("scan", &e)),
        }
    }

    fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.write_batch(batch)
    }

    fn write_durable(&self, batch: &WriteBatch, done: Durable) {
        match self.write_batch(batch) {
            Ok(()) => self.flusher.submit(done),
            Err(error) => done(Err(error)),
        }
    }
}

fn database_options(memory: RocksMemory) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    options.set_db_write_buffer_size(memory.memtable_bytes.saturating_mul(BUSY_TABLES));
    options.set_max_total_wal_size(MAX_WAL_BYTES.max(WAL_BUFFERS.saturating_mul(memory.memtable_bytes as u64)));
    options.set_max_open_files(MAX_OPEN_FILES);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(TEXT_LOGS);
    options.set_max_log_file_size(TEXT_LOG_BYTES);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options
}

fn table_options(table: Table, cache: &Cache, memory: RocksMemory) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_write_buffer_size(memory.memtable_bytes);
    options.set_max_write_buffer_number(2);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_memtable_whole_key_filtering(true);
    options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM);
    match table {
        Table::State => {
            // Hashes and keys, which don't get smaller; the more of them a write buffer holds, the less often they are merged.
            options.set_compression_type(DBCompressionType::None);
            options.set_write_buffer_size(memory.memtable_bytes.saturating_mul(2));
        }
        Table::Blocks | Table::RaftLog => {
            // Whole blocks are written once, beside the tree of keys, which is merged again and again.
            options.set_enable_blob_files(true);
            options.set_min_blob_size(BLOB_BYTES_MIN);
            options.set_enable_blob_gc(true);
            // Entries of the log are mostly signatures and soon deleted.
            let is_log = matches!(table, Table::RaftLog);
            let compression = if is_log { DBCompressionType::None } else { DBCompressionType::Lz4 };
            options.set_compression_type(compression);
            options.set_blob_compression_type(compression);
        }
        Table::RaftMeta | Table::Registry | Table::Misc => {}
    }
    options.set_block_based_table_factory(&blocks);
    options
}

fn open_error(path: &Path, error: &rocksdb::Error) -> StoreError {
    let reason = error.to_string();
    let lowered = reason.to_lowercase();
    if error.kind() == ErrorKind::IOError && lowered.contains("lock") {
        return StoreError::Locked { path: path.display().to_string() };
    }
    error_from("open", error)
}

fn error_from(action: &'static str, error: &rocksdb::Error) -> StoreError {
    let reason = error.to_string();
    match error.kind() {
        ErrorKind::Corruption => StoreError::Corrupt { reason },
        _ => StoreError::Io { action, reason },
    }
}
