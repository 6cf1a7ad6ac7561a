//! A node: the pure parts put together and driven by thin loops.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
pub mod archive;
pub mod bridge;
pub mod clock;
pub mod config;
pub mod content;
pub mod datadir;
pub mod disk;
pub mod duties;
pub mod execution;
pub mod foundation;
pub mod grid;
pub mod harness;
pub mod identity;
pub mod join;
pub mod keystore;
pub mod lanes;
pub mod ledger;
pub mod mesh;
pub mod node;
pub mod offences;
pub mod priority;
pub mod process_groups;
mod pulse;
pub mod raft_runtime;
pub mod recovery;
pub mod roster;
pub mod sectors;
pub mod stopped;
pub mod tasks;
pub mod telemetry;
