//! The bench of arrival: every strategy in every scenario, several seeds, the median of the runs, and what it says of the
//! goals. Finished runs lie in files of their own, so that a bench that is stopped goes on where it was.

mod calibration;
mod csv;
mod figure;
mod fingerprint;
mod goals;
mod jobs;
mod markdown;
mod median;
mod report;
mod runner;
mod store;
mod tables;
mod write;

use thiserror::Error;

pub use calibration::{CalibrationPoint, CalibrationRun};
pub use figure::figure;
pub use goals::{Bound, Goal, Unit};
pub use jobs::{ArrivalBench, Job};
pub use median::median;
pub use report::{ArrivalReport, CascadeRuns, Medians, Row, Run};
pub use runner::{Progress, run_bench};
pub use tables::{Table, tables};
pub use write::write_all;

use crate::config::SimError;

/// Why a bench ends without a report.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A run was refused.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// More runs than anybody waits for, or none.
    #[error("runs is {0}, allowed are 1 to {max}", max = jobs::MAX_RUNS)]
    Runs(u32),
    /// A list that has to name something names nothing.
    #[error("{0} names nothing; leave it out for the usual ones")]
    Empty(&'static str),
    /// A file could not be written or its folder not be made.
    #[error("{path} can't be written")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A result could not be put into its file's form.
    #[error("a result has no form in JSON")]
    Form(#[from] serde_json::Error),
    /// A thread ended badly.
    #[error("the run {0} ended without a result")]
    Lost(String),
}
