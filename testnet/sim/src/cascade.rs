//! How fast the tree itself is: events that are sent at once and need no work.

use std::collections::BTreeMap;

use mesh30k_ledger::types::Scope;
use serde::{Deserialize, Serialize};

use crate::config::{SimConfig, SimError};
use crate::strategies::StrategyKind;
use crate::world;

/// A few quantiles of durations, microseconds, by nearest rank; null where more than the rest never came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50_us: Option<i64>,
    /// 95th percentile.
    pub p95_us: Option<i64>,
    /// 99th percentile.
    pub p99_us: Option<i64>,
    /// 99.9th percentile.
    pub p999_us: Option<i64>,
}

/// What came of a run of cascades. Agents that were dead or gone are left out, whoever else is silent counts as forever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CascadeReport {
    /// Its seed.
    pub seed: u64,
    /// Agents.
    pub agents: u32,
    /// Events.
    pub waves: u32,
    /// Agents of all events that were neither dead nor gone.
    pub alive: u64,
    /// From the orchestrator's sending to the agent's receipt.
    pub delivery: Latency,
    /// From the orchestrator's sending, to the agent, and its word back up to the orchestrator, without the time in which
    /// parents wait for others before they pass on a sum.
    pub round_trip: Latency,
    /// From the orchestrator's sending to its first summary, over events: who never answers holds it up to the deadline.
    pub folded: Latency,
    /// Releases in the first summaries.
    pub folded_released: u64,
    /// Everybody enrolled.
    pub enrolled: u64,
}

/// Sends `config.waves` cascades at once, each to everybody, whatever the work.
///
/// # Errors
/// As [`crate::run`].
pub fn run_cascades(config: &SimConfig, progress: &(dyn Fn(u32) + Sync)) -> Result<CascadeReport, SimError> {
    config.check()?;
    let config = SimConfig { at_once: true, ..config.clone() };
    // Thrown with T in the past of every lead, so each sends as soon as it hears of it.
    world::run_cascades(&config, StrategyKind::LearnedThrow, &|_, counted| progress(counted))
}

/// One agent in the event under way, microseconds since the orchestrator sent.
#[derive(Clone, Copy, Debug, Default)]
struct Stop {
    received_us: Option<i64>,
    /// Its word reached its lead.
    heard_us: Option<i64>,
}

/// One event under way.
#[derive(Debug, Default)]
struct Flight {
    sent_us: i64,
    stops: Vec<Stop>,
    /// When each parent's first summary left, and how long it was under way.
    left_us: BTreeMap<Scope, i64>,
    way_up_us: BTreeMap<Scope, i64>,
    folded: Option<(i64, u32)>,
}

/// Watches the events of a run of cascades, one at a time: they are far enough apart.
#[derive(Debug, Default)]
pub(crate) struct CascadeWatch {
    flight: Flight,
    delivery_us: Vec<i64>,
    round_trip_us: Vec<i64>,
    folded_us: Vec<i64>,
    folded_released: u64,
    enrolled: u64,
}

/// Stands for what never came.
const NEVER: i64 = i64::MAX;

impl CascadeWatch {
    /// The orchestrator sends.
    pub(crate) fn sent(&mut self, now_us: i64, agents: u32) {
        let stops = vec![Stop::default(); agents as usize];
        self.flight = Flight { sent_us: now_us, stops, ..Flight::default() };
    }

    /// The prepare reached an agent.
    pub(crate) fn received(&mut self, agent: u32, at_us: i64) {
        let since_us = at_us - self.flight.sent_us;
        if let Some(stop) = self.flight.stops.get_mut(agent as usize) {
            stop.received_us = stop.received_us.or(Some(since_us));
        }
    }

    /// An agent's word that it is ready reached its lead.
    pub(crate) fn heard(&mut self, agent: u32, at_us: i64) {
        let since_us = at_us - self.flight.sent_us;
        if let Some(stop) = self.flight.stops.get_mut(agent as usize) {
            stop.heard_us = stop.heard_us.or(Some(since_us));
        }
    }

    /// A summary leaves its sender.
    pub(crate) fn folded(&mut self, from: Scope, now_us: i64, released: u32) {
        self.flight.left_us.entry(from).or_insert(now_us);
        if from == Scope::Global && self.flight.folded.is_none() {
            self.flight.folded = Some((now_us - self.flight.sent_us, released));
        }
    }

    /// A summary reaches its parent.
    pub(crate) fn delivered(&mut self, from: Scope, now_us: i64) {
        if let Some(left_us) = self.flight.left_us.get(&from) {
            self.flight.way_up_us.entry(from).or_insert(now_us - left_us);
        }
    }

    /// The event is over: these were alive, each with its cluster and its sector.
    pub(crate) fn close(&mut self, enrolled: u32, alive: impl Iterator<Item = (u32, Scope, Scope)>) {
        let flight = std::mem::take(&mut self.flight);
        for (agent, cluster, sector) in alive {
            let stop = flight.stops.get(agent as usize).copied().unwrap_or_default();
            let up_us = |from| flight.way_up_us.get(&from).copied();
            let round_trip_us = || Some(stop.heard_us? + up_us(cluster)? + up_us(sector)?);
            self.delivery_us.push(stop.received_us.unwrap_or(NEVER));
            self.round_trip_us.push(round_trip_us().unwrap_or(NEVER));
        }
        let (folded_us, released) = flight.folded.unwrap_or((NEVER, 0));
        self.folded_us.push(folded_us);
        self.folded_released += u64::from(released);
        self.enrolled += u64::from(enrolled);
    }

    pub(crate) fn report(self, config: &SimConfig) -> CascadeReport {
        CascadeReport {
            seed: config.seed,
            agents: config.agents,
            waves: config.waves,
            alive: self.delivery_us.len() as u64,
            delivery: Latency::of(self.delivery_us),
            round_trip: Latency::of(self.round_trip_us),
            folded: Latency::of(self.folded_us),
            folded_released: self.folded_released,
            enrolled: self.enrolled,
        }
    }
}

impl Latency {
    fn of(mut taken_us: Vec<i64>) -> Self {
        taken_us.sort_unstable();
        let rank = |permille: usize| {
            let at = (taken_us.len() * permille).div_ceil(1_000).checked_sub(1)?;
            taken_us.get(at).copied().filter(|us| *us != NEVER)
        };
        Self { p50_us: rank(500), p95_us: rank(950), p99_us: rank(990), p999_us: rank(999) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank_and_silence_is_forever() {
        let latency = Latency::of((1..=1_000).rev().collect());
        let all = [latency.p50_us, latency.p95_us, latency.p99_us, latency.p999_us];
        assert_eq!(all, [Some(500), Some(950), Some(990), Some(999)]);
        let silent = Latency::of((1..=980).chain([NEVER; 20]).collect());
        assert_eq!((silent.p95_us, silent.p99_us), (Some(950), None));
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }

    #[test]
    fn a_round_trip_needs_the_word_and_both_ways_up() {
        use mesh30k_ledger::types::{ClusterId, SectorId};
        let sector = Scope::Sector(SectorId(0));
        let cluster = Scope::Cluster(ClusterId { sector: SectorId(0), index: 0 });
        let mut watch = CascadeWatch::default();
        watch.sent(1_000, 2);
        watch.received(0, 1_060);
        watch.heard(0, 1_075);
        watch.received(1, 1_070);
        watch.folded(cluster, 9_000, 1);
        watch.delivered(cluster, 9_005);
        watch.folded(sector, 9_006, 1);
        watch.delivered(sector, 9_040);
        watch.folded(Scope::Global, 9_040, 1);
        watch.close(2, [(0, cluster, sector), (1, cluster, sector)].into_iter());
        let report = watch.report(&SimConfig::default());
        assert_eq!((report.alive, report.enrolled, report.folded_released), (2, 2, 1));
        assert_eq!((report.delivery.p50_us, report.delivery.p95_us), (Some(60), Some(70)));
        assert_eq!((report.round_trip.p50_us, report.round_trip.p95_us), (Some(75 + 5 + 34), None));
        assert_eq!(report.folded.p50_us, Some(8_040));
    }
}
