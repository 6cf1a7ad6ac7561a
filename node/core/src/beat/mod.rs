//! Heartbeats: how what a host knows of its agents reaches the sector group.
//!
//! A host signs one batch for all its agents ([`Beater`]); its home lead keeps the newest of each host and passes them on
//! every second ([`LeadFold`]); the coordinator puts them into at most four entries a second ([`Coalescer`]); whoever
//! reads the group's entries keeps the batches that still say something new ([`BatchStore`]). The host's signature stays
//! on its batch all the way.

mod batch;
mod beater;
mod coalescer;
mod lead_fold;
mod pending;
mod store;
#[cfg(test)]
mod tests;

pub use batch::{
    AgentReport, BatchError, BatchKind, HostBatch, MAX_BATCH_BYTES, MAX_DELAY_US, MAX_REPORTS, SignedHostBatch,
    VerifiedBatch,
};
pub use beater::{BEAT_EVERY_US, Beater, FULL_EVERY, JUMP_PPM, MIN_BEAT_GAP_US};
pub use coalescer::{Coalescer, ENTRY_GAP_US, MAX_ENTRY_BATCHES, MAX_ENTRY_BYTES};
pub use lead_fold::{FORWARD_EVERY_US, FORWARD_GAP_US, FoldAction, LeadFold, SUSPECT_AFTER_US};
pub use pending::MAX_PENDING_HOSTS;
pub use store::{BatchStore, CommittedBatch, MAX_HOSTS, MAX_LIVE_BATCHES, StoreError};

/// What is due this soon is done now. Who looks around twice a second, now a millisecond late and now two, would else pass on
/// each second half a second late.
const EARLY_US: i64 = 100_000;
