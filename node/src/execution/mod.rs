//! Running other people's code: a metered WebAssembly sandbox.
//!
//! A guest sees its input, its own memory and the host functions it was granted, nothing else: there is no WASI. What it costs
//! is counted in fuel, which is the same on every machine for one engine version, so that another host can re-run a task and
//! compare. All calls here block; [`Runner`] brings them onto blocking threads and bounds how many run at once.

mod aggregate;
mod cache;
pub mod energy;
mod engine;
mod error;
mod host;
mod limits;
mod meter;
mod modules;
mod outcome;
mod queue;
mod runner;
mod wasmi_engine;

pub use aggregate::{AggregateError, Authority, CarbonAggregate};
pub use engine::{Cancel, Request, TaskEngine};
pub use error::ExecutionError;
pub use host::HostFunction;
pub use limits::Limits;
pub use modules::{Builtin, builtin, builtins};
pub use outcome::{Execution, Exit};
pub use runner::{Job, Runner};
pub use wasmi_engine::WasmiEngine;

#[cfg(test)]
mod runner_tests;
#[cfg(test)]
mod tests;
