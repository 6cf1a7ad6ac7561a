//! The ledger of the mesh: a pure state machine over canonical bytes.
//!
//! The same blocks give the same state on every machine: integers only, no clock, no randomness, no I/O.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_arithmetic
    )
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod authority;
pub mod block;
mod calibration;
pub mod carbon;
pub mod charges;
pub mod codec;
mod due_event;
pub mod execute;
pub mod export;
pub mod fees;
pub mod finality;
pub mod finality_proof;
pub mod genesis;
pub mod governance;
pub mod handover;
pub mod invariants;
mod jail;
pub mod journal;
pub mod key_points;
pub mod key_policy;
pub mod keys;
pub mod merkle;
pub mod mmr;
mod offices;
pub mod operators;
pub mod ops;
pub mod outcome;
mod outcome_view;
pub mod parameters;
pub mod placement;
pub mod pricing;
pub mod priority;
pub mod query;
mod quota;
pub mod range_audit;
pub mod receipt;
pub mod records;
pub mod rejection;
mod reputation;
pub mod restart;
pub mod restore;
pub mod retirement;
pub mod seats;
pub mod signing;
pub mod smt;
pub mod state;
pub mod state_receipt;
pub mod tables;
pub mod topology;
pub mod transaction;
pub mod types;
pub mod unit_price;
mod words;
