//! Storage: one ordered key-value store per process, shared by every Raft group and by the node's own state.

mod batch;
mod error;
mod fatal;
#[cfg(feature = "rocksdb")]
mod files;
#[cfg(any(test, feature = "rocksdb"))]
mod flusher;
mod kv;
mod memory;
#[cfg(feature = "rocksdb")]
mod rocks;

pub use batch::{Write, WriteBatch};
pub use error::StoreError;
pub use fatal::{FatalHandler, abort_on_fatal};
pub use kv::{Durable, KeyValue, KvStore, ScanLimit, Table, prefix_end};
pub use memory::{CrashReport, FlushMode, MemDisk, MemStore};
#[cfg(feature = "rocksdb")]
pub use rocks::{RocksMemory, RocksStore};
