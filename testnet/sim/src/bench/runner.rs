//! Runs what is not there yet, a few at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use super::BenchError;
use super::fingerprint::fingerprint;
use super::jobs::{ArrivalBench, Job};
use super::report::ArrivalReport;
use super::store::{MadeWith, Store};
use crate::cascade::{CascadeReport, run_cascades};
use crate::report::StrategyReport;
use crate::run::run_with;

/// Folder of the finished runs, below the bench's own.
const RUNS: &str = "runs";

/// What a bench tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// It begins: so many events in all, so many runs.
    Begins {
        /// Events of all runs.
        events: u64,
        /// Runs.
        runs: usize,
    },
    /// One more event of a run was counted.
    Event(&'a Job),
    /// A run is over, now or in an earlier bench; none for cascades.
    Over {
        /// Which.
        job: &'a Job,
        /// Its events.
        events: u64,
        /// What came of it.
        report: Option<&'a StrategyReport>,
        /// It was there already.
        loaded: bool,
    },
}

/// Results by the names of their runs.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) arrivals: BTreeMap<String, StrategyReport>,
    pub(super) cascades: BTreeMap<String, CascadeReport>,
}

/// Runs a bench in `folder`, or the rest of one that was stopped there, on so many threads as `bench.base` says.
///
/// # Errors
/// [`BenchError`] when it cannot be meant or its folder cannot be written.
pub fn run_bench(
    bench: &ArrivalBench,
    folder: &Path,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<ArrivalReport, BenchError> {
    bench.check()?;
    let store = Store::open(&folder.join(RUNS), MadeWith::new(bench, fingerprint()?))?;
    let jobs = bench.jobs();
    let events = jobs.iter().map(|job| u64::from(bench.config(job).waves)).sum();
    progress(Progress::Begins { events, runs: jobs.len() });
    let waiting = Mutex::new(jobs.iter().rev().copied().collect::<Vec<Job>>());
    let done = Mutex::new((Results::default(), None));
    std::thread::scope(|scope| {
        for _ in 0..bench.base.threads.max(1) {
            scope.spawn(|| {
                while let Some(job) = waiting.lock().ok().and_then(|mut jobs| jobs.pop()) {
                    let failed = one(bench, &store, &job, &done, progress).err();
                    if let (Some(error), Ok(mut done), Ok(mut jobs)) = (failed, done.lock(), waiting.lock()) {
                        done.1.get_or_insert(error);
                        jobs.clear();
                    }
                }
            });
        }
    });
    let (results, failed) = done.into_inner().unwrap_or_default();
    match failed {
        Some(error) => Err(error),
        None => ArrivalReport::new(bench, folder, &results),
    }
}

type Done = Mutex<(Results, Option<BenchError>)>;

fn one(
    bench: &ArrivalBench,
    store: &Store,
    job: &Job,
    done: &Done,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<(), BenchError> {
    let config = bench.config(job);
    let events = u64::from(config.waves);
    let name = job.to_string();
    let lost = || BenchError::Lost(name.clone());
    match job {
        Job::Arrival { kind, .. } => {
            let stored = store.load::<StrategyReport>(&name);
            let loaded = stored.is_some();
            let report = match stored {
                Some(report) => report,
                None => {
                    let mut all = run_with(&config, &|_, _| progress(Progress::Event(job)))?;
                    let report = all.strategies.remove(kind).ok_or_else(lost)?;
                    store.save(&name, &report)?
                }
            };
            progress(Progress::Over { job, events, report: Some(&report), loaded });
            done.lock().map_err(|_| lost())?.0.arrivals.insert(name, report);
        }
        Job::Cascades { .. } => {
            let stored = store.load::<CascadeReport>(&name);
            let loaded = stored.is_some();
            let report = match stored {
                Some(report) => report,
                None => {
                    let report = run_cascades(&config, &|_| progress(Progress::Event(job)))?;
                    store.save(&name, &report)?
                }
            };
            progress(Progress::Over { job, events, report: None, loaded });
            done.lock().map_err(|_| lost())?.0.cascades.insert(name, report);
        }
    }
    Ok(())
}
