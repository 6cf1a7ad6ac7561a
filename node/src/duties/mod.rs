//! What a node does for the ledger by itself, from its own account: what a sector's voter says of its registry each period, and
//! what an oracle says of its grid.
//!
//! What is due is decided by books that know no clock, network or ledger; one loop asks them, signs and submits. What came of it is
//! read from the ledger, never from the answer to the submission.

mod anchors;
#[cfg(test)]
mod anchors_tests;
mod intensity;
#[cfg(test)]
mod intensity_tests;
mod progress;
mod row;
mod service;

pub use row::{Duty, DutyRow, DutyState};
pub use service::{DutyHandle, DutyParts, start};
