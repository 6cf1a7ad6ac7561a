//! Who leads what, and what a sector's group has agreed on.
//!
//! The *coordinator* of a sector is the leader of its Raft group. It appoints the leads of clusters by entries of that
//! group ([`LeadBook`], [`LeaseTable`]), each with a deputy, a lease and a fencing number; it puts the hosts' batches into
//! the same log. [`SectorState`] is what every voter holds after applying the log; [`CoordinatorDuties`] is what the
//! coordinator does beyond that.

mod book;
mod duties;
mod entry;
mod fencing;
mod lease;
mod news;
mod seals;
#[cfg(test)]
mod seals_tests;
mod state;
mod table;
#[cfg(test)]
mod tests;

pub use book::{CANDIDATE_SILENT_AFTER_US, LEAD_SILENT_AFTER_US, LeadBook};
pub use duties::{
    ASK_FULL_GAP_US, CoordinatorAction, CoordinatorDuties, DELTA_EVERY_US, SUMMARY_EVERY_US, summary_period_us,
};
pub use entry::{MAX_SECTOR_ENTRY_BYTES, SectorEffect, SectorEntry, SectorOutcome};
pub use fencing::Fencing;
pub use lease::{
    DEPUTY_MARGIN_US, LEASE_RENEW_US, LEASE_US, Lease, LeaseError, LeaseGrant, MAX_LEASE_US, Rank, Tenure,
};
pub use news::{MAX_SECTOR_NEWS_BYTES, SectorNews};
pub use seals::{RegistrySeal, RegistrySeals, SEALS_KEPT, SealError, end_of_period, registry_root};
pub use state::{MAX_SECTOR_SNAPSHOT_BYTES, SectorState, SectorStateError};
pub use table::{LeaseTable, MAX_LEASES};
