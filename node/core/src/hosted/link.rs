//! The replayed way between a lead and one hosted agent.

use std::sync::Arc;

use mesh30k_ledger::types::AgentClass;

use super::noise::{noise, unit};
use super::replay::{Replay, asymmetry};

/// How long one sample of a series holds. The sources give no interval; 200 ms lets a burst of probes see many samples
/// and makes messages sent together meet the same weather.
pub const SLICE_US: i64 = 200_000;

/// Both ways of one link: the series' floor split by the path's fixed asymmetry, what is above it by chance.
#[derive(Clone, Debug)]
pub struct ReplayedLink {
    rtt_us: Arc<[u32]>,
    floor_us: f64,
    forward_share: f64,
    seed: u64,
    agent: u64,
}

impl ReplayedLink {
    /// The link of `agent` under `seed`; a class without a series has none and no delay.
    #[must_use]
    pub fn seeded(replay: &Replay, seed: u64, agent: u64, class: AgentClass) -> Self {
        let rtt_us = replay.series_of(seed, agent, class).map(|s| s.rtt_us.clone()).unwrap_or_else(|| Arc::from([]));
        let floor_us = f64::from(rtt_us.iter().copied().min().unwrap_or(0));
        Self { rtt_us, floor_us, forward_share: 0.5 + asymmetry(seed, agent) / 2.0, seed, agent }
    }

    /// Delay of a message that leaves the lead's side at true time `true_us`.
    #[must_use]
    pub fn forward_us(&self, true_us: i64) -> i64 {
        let (above, share) = self.weather(true_us);
        crate::time::round_us(self.floor_us * self.forward_share + above * share)
    }

    /// Delay of an answer that leaves the agent at true time `true_us`.
    #[must_use]
    pub fn return_us(&self, true_us: i64) -> i64 {
        let (above, share) = self.weather(true_us);
        crate::time::round_us(self.floor_us * (1.0 - self.forward_share) + above * (1.0 - share))
    }

    /// What is above the floor now, and which part of it is on the forward way.
    fn weather(&self, true_us: i64) -> (f64, f64) {
        let slice = true_us.checked_div_euclid(SLICE_US).unwrap_or(0).unsigned_abs();
        let start = noise(self.seed, self.agent, 0x0FF5, 0);
        let position = slice.wrapping_add(start >> 32).checked_rem(self.rtt_us.len() as u64).unwrap_or(0);
        let rtt = self.rtt_us.get(usize::try_from(position).unwrap_or(0)).copied().unwrap_or(0);
        let share = unit(noise(self.seed, self.agent, 0x5A9E, slice));
        ((f64::from(rtt) - self.floor_us).max(0.0), share)
    }
}
