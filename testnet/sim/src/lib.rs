//! The mesh's own machines under a virtual clock: orchestrator, coordinators, leads and hosted agents, one seed, one
//! trace. What runs here is what a node runs; only the sockets are missing.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod agenda;
mod config;
mod layout;
mod network;
mod report;
mod world;

pub use config::{SimConfig, SimError};
pub use report::{SimReport, WaveReport};
pub use world::run;
