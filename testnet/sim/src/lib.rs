//! The mesh's own machines under a virtual clock: orchestrator, coordinators, leads and hosted agents, one seed, one
//! trace. What runs here is what a node runs; only the sockets are missing.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod agenda;
pub mod bench;
mod cascade;
mod churn;
mod config;
mod delays;
mod explain;
mod invariants;
mod layout;
mod report;
mod run;
mod schedule;
mod strategies;
mod surroundings;
mod tally;
mod trace;
mod truth;
mod world;

pub use cascade::{CascadeReport, Latency, run_cascades};
pub use config::{MAX_AGENTS, MAX_WAVES, Plant, SCENARIOS, Scenario, SimConfig, SimError};
pub use delays::{DelayFileError, replay_with};
pub use explain::{Cause, Miss};
pub use report::{SimReport, StrategyReport};
pub use run::{run, run_with};
pub use strategies::StrategyKind;
pub use tally::Counts;
