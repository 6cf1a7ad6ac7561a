//! The ledger as the application of consensus: what a validator executes, stores, signs and proposes.
//!
//! Decides and stores; sockets, tasks and clocks belong to whoever drives it. A node drives it over libp2p and RocksDB, the
//! fault simulation in `tests/faults` over a seeded network and a disk in memory: the same code.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod app;
mod archive;
mod catch_up;
mod chunk_plan;
mod core;
mod mempool;
mod offers;
mod order;
mod resident;
mod restart;
mod snapshot;
mod store;
mod successor;
mod validator;
mod verdicts;

pub use app::{Hooks, LedgerApp, MAX_ORDER_AHEAD_MS, Shared};
pub use archive::{ArchiveError, Archived, History, HistoryError, MAX_ARCHIVE_LINE_BYTES};
pub use catch_up::{CatchUp, Wanted};
pub use chunk_plan::{
    Ask, ChunkOutcome, ChunkPlan, Due, FAILURES_MAX, IN_FLIGHT_MAX, LATE_MS, PER_SOURCE_MAX, SOURCES_MAX,
};
pub use core::{Applied, Core, Finalized, StorageFailed};
pub use mempool::{Mempool, PoolRefusal};
pub use offers::{ASKED_MAX, GATHER_MS, NextStep, Offer, Offers, RETRY_MS, TRIES_MAX};
pub use order::order;
pub use restart::{
    ObeyError, Restart, RestartRefused, Restartable, SignedRestart, SignedStatement, Statement, StatementError,
    TailBlock, make_statement, obey,
};
pub use snapshot::{Snapshot, SnapshotFailed};
pub use store::{FinalBlock, LedgerStore, StoredBlock};
pub use successor::{HandOverFailed, Succession, SuccessionError, Successor};
pub use validator::{Effect, Proposal, Validator};
pub use verdicts::Verdicts;
