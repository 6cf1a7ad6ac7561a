//! Raft groups for order, certificates for truth.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod app;
pub mod finality;
pub mod group;
pub mod raft;
pub mod storage;
pub mod transport;
