//! When the events are: an open loop, so that a slow answer never delays the next question.

use std::sync::OnceLock;

use crate::config::{Scenario, SimConfig, SimError};
use crate::surroundings::draw::{Draws, Label};
use crate::trace::{field, rows};

/// How long before its T an event is submitted.
pub(crate) const AHEAD_US: i64 = 10_000_000;
/// Least distance of events that are watched one by one, each until nothing more comes of it.
const ONE_BY_ONE_US: i64 = 10_000_000;
const ARRIVALS: (&str, &[u8]) = ("arrivals.csv.gz", include_bytes!("../data/arrivals.csv.gz"));

/// One event to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WavePlan {
    pub(crate) target_us: i64,
    pub(crate) weight_milli: u32,
    pub(crate) effects: bool,
}

/// All events of a run that starts at `start_us`, the earliest first.
pub(crate) fn waves(config: &SimConfig, start_us: i64) -> Result<Vec<WavePlan>, SimError> {
    let draws = Draws::new(config.seed, u64::MAX);
    let trace = if config.scenario == Scenario::Replayed { arrivals()? } else { &[] };
    let offset = draws.bits(Label::Schedule, u64::MAX) as usize;
    let mut target_us = start_us + config.warm_up_us + AHEAD_US;
    let mut waves = Vec::new();
    for index in 0..config.waves {
        let turn = u64::from(index);
        let (share, weight_milli) = match trace.len() {
            _ if config.at_once => (1.0, 0),
            // Poisson, and events of weight zero.
            0 => (draws.exponential(Label::Schedule, turn, 1.0), 0),
            len => trace[(offset % len + index as usize) % len],
        };
        // Two events never share a millisecond, for an event's name is made of its own.
        let least_us = if config.at_once { ONE_BY_ONE_US } else { 1_000 };
        target_us += least_us + (share * config.interval_us as f64) as i64;
        let effects = config.effects_every > 0 && index % config.effects_every == config.effects_every - 1;
        waves.push(WavePlan { target_us, weight_milli, effects });
    }
    Ok(waves)
}

/// Distances between requests of a language model's service, of their mean, and weights of the works: a thousand
/// generated tokens are weight one.
fn arrivals() -> Result<&'static [(f64, u32)], SimError> {
    static TRACE: OnceLock<Vec<(f64, u32)>> = OnceLock::new();
    if let Some(trace) = TRACE.get() {
        return Ok(trace);
    }
    let mut gaps = Vec::new();
    for (line, row) in rows(ARRIVALS)? {
        let gap_ms: f64 = field(ARRIVALS.0, line, &row, 0)?;
        let tokens: u32 = field(ARRIVALS.0, line, &row, 1)?;
        gaps.push((gap_ms, tokens.min(1_000)));
    }
    let mean_ms = gaps.iter().map(|(gap, _)| gap).sum::<f64>() / gaps.len().max(1) as f64;
    let trace = gaps.into_iter().map(|(gap, weight)| (gap / mean_ms.max(1e-9), weight)).collect();
    Ok(TRACE.get_or_init(|| trace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schedules_rise_and_keep_their_mean() {
        for scenario in [Scenario::Mixed, Scenario::Replayed] {
            let config = SimConfig { scenario, waves: 1_000, ..SimConfig::default() };
            let waves = waves(&config, 0).unwrap();
            assert!(waves.windows(2).all(|pair| pair[0].target_us < pair[1].target_us));
            let span = waves.last().unwrap().target_us - waves[0].target_us;
            let mean = span as f64 / 999.0 / config.interval_us as f64;
            assert!((0.8..1.2).contains(&mean), "{scenario}: {mean}");
        }
    }
}
