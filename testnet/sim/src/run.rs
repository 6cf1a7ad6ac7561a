//! All strategies of a run, each in a mesh of its own.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::config::{SimConfig, SimError};
use crate::report::{SimReport, StrategyReport};
use crate::strategies::{StrategyKind, first_draft};
use crate::world;

/// Runs every strategy over the same events.
///
/// # Errors
/// [`SimError`] when the configuration or the delays cannot be used.
pub fn run(config: &SimConfig) -> Result<SimReport, SimError> {
    run_with(config, &|_, _| {})
}

/// As [`run`]; `progress` hears how many events of a strategy are counted.
///
/// # Errors
/// As [`run`].
pub fn run_with(config: &SimConfig, progress: &(dyn Fn(StrategyKind, u32) + Sync)) -> Result<SimReport, SimError> {
    config.check()?;
    // The longest first, so that threads end together.
    let mut waiting = config.strategies.clone();
    waiting.sort_unstable();
    waiting.dedup();
    let waiting = Mutex::new(waiting);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..config.threads.clamp(1, StrategyKind::ALL.len()) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().ok().and_then(|mut kinds| kinds.pop());
                    let Some(kind) = next else { break };
                    let result = one(config, kind, progress);
                    if let Ok(mut done) = done.lock() {
                        done.insert(kind, result);
                    }
                }
            });
        }
    });
    let results = done.into_inner().unwrap_or_default();
    let mut strategies = BTreeMap::new();
    let mut trace = blake3::Hasher::new();
    for (kind, result) in results {
        let report = result?;
        trace.update(report.trace_hash.as_bytes());
        strategies.insert(kind, report);
    }
    let missing = config.strategies.iter().find(|kind| !strategies.contains_key(kind));
    if let Some(kind) = missing {
        return Err(SimError::Lost(*kind));
    }
    Ok(SimReport {
        scenario: config.scenario.to_string(),
        seed: config.seed,
        agents: config.agents,
        waves: config.waves,
        trace_hash: trace.finalize().to_hex().to_string(),
        strategies,
    })
}

fn one(
    config: &SimConfig,
    kind: StrategyKind,
    progress: &(dyn Fn(StrategyKind, u32) + Sync),
) -> Result<StrategyReport, SimError> {
    match kind {
        StrategyKind::FirstDraft => {
            let report = first_draft::run(config)?;
            progress(kind, config.waves);
            Ok(report)
        }
        StrategyKind::LearnedThrow | StrategyKind::Hold | StrategyKind::HoldHedge => world::run(config, kind, progress),
    }
}
