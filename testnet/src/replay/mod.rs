//! A day of recorded work over recorded grids, carried out by the real ledger.

mod audit;
mod cast;
mod chain;
mod data;
mod day;
mod plan;
mod random;

pub use day::{ReplayError, ReplayOptions, ReplaySummary, run};
