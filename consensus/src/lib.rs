//! Raft for order, certificates for truth.
//!
//! [`raft`] orders opaque entries in groups of nodes and hands them to an [`app::Application`]; [`finality`] turns
//! ordered blocks into certified ones. Both are free of sockets, clocks and engines: storage, transport and runtime
//! come in through traits, so that the same code runs on RocksDB and libp2p and inside a seeded simulation.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod app;
pub mod finality;
pub mod group;
pub mod raft;
pub mod storage;
pub mod transport;
