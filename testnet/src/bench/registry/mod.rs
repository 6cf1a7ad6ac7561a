//! `bench registry`: the registry at full size, beside Redis: same records, same changes, same questions, one run.

pub mod load;
pub mod ours;
pub mod population;
pub mod redis_server;
pub mod resp;
pub mod result;
pub mod theirs;

use std::time::Duration;

use anyhow::Result;

use self::load::Load;
use self::ours::Ours;
use self::population::{AGENTS, Population};
pub use self::result::{NO_REDIS, RegistryReport, Side};
use self::theirs::Theirs;

/// Everything reproducible comes from this.
const SEED: u64 = 1;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct RegistryOptions {
    /// Length of a run.
    pub duration: Duration,
    /// Runs, of which the median is shown.
    pub runs: usize,
}

/// Measures both sides.
///
/// # Errors
/// Something measured went wrong: a figure would mean nothing.
pub fn run(options: &RegistryOptions, mut progress: impl FnMut(&str)) -> Result<RegistryReport> {
    let load = Load { duration: options.duration, changes_per_s: 6_000, reads_per_s: 5_000, queries_per_s: 200 };
    let mut report = RegistryReport::new(AGENTS, &load);
    for run in 1..=options.runs {
        progress(&format!("run {run} of {}: ours", options.runs));
        let mut population = Population::new(SEED)?;
        report.ours.push(Ours::fill(&mut population)?.run(&mut population, &load)?);
        let Some(theirs) = Theirs::fill(&population)? else {
            progress(NO_REDIS);
            continue;
        };
        progress(&format!("run {run} of {}: redis", options.runs));
        report.redis.push(theirs.run(&mut population, &load, false)?);
        report.redis_pipelined.push(theirs.run(&mut population, &load, true)?);
    }
    Ok(report)
}
