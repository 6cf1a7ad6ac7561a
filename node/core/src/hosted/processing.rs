//! How long a hosted agent works. Synthetic: no trace of such work exists; shapes are log-normal with rare pauses.

use mesh30k_ledger::types::AgentClass;

use super::noise::{noise, normal, unit};

/// Share of works that meet a pause (garbage collection, a neighbour's load), and how much longer they take at most.
const PAUSE_SHARE: f64 = 0.003;
const PAUSE_FACTOR: f64 = 3.0;
/// Longest work, microseconds.
const MAX_WORK_US: f64 = 600_000_000.0;

/// One agent's work: a median in its class's range and a log-normal spread.
#[derive(Clone, Copy, Debug)]
pub struct ProcessingModel {
    seed: u64,
    agent: u64,
    median_us: f64,
    sigma: f64,
}

impl ProcessingModel {
    /// The model of `agent` under `seed`. With the links of its class the sum of one way and work lies in the class's
    /// range of the overview (A 5-20 ms, B 50-150, C 100-300, D 200-500; F: seconds).
    #[must_use]
    pub fn seeded(seed: u64, agent: u64, class: AgentClass) -> Self {
        let (low_us, high_us, sigma) = match class {
            AgentClass::A => (3_000.0, 12_000.0, 0.15),
            AgentClass::B => (40_000.0, 100_000.0, 0.20),
            AgentClass::C => (80_000.0, 220_000.0, 0.25),
            AgentClass::D => (180_000.0, 420_000.0, 0.25),
            AgentClass::E => (30_000.0, 150_000.0, 0.30),
            AgentClass::F => (3_000_000.0, 30_000_000.0, 0.80),
        };
        let median_us = low_us + (high_us - low_us) * unit(noise(seed, agent, 0x3093, 0));
        Self { seed, agent, median_us, sigma }
    }

    /// Median of its work under kappa 1, microseconds.
    #[must_use]
    pub const fn median_us(&self) -> f64 {
        self.median_us
    }

    /// Duration of the agent's `turn`-th work under `kappa`, microseconds.
    #[must_use]
    pub fn draw_us(&self, turn: u64, kappa: f64) -> i64 {
        let usual = self.median_us * (self.sigma * normal(noise(self.seed, self.agent, 0x3094, turn))).exp();
        let dice = noise(self.seed, self.agent, 0x3095, turn);
        let pause = if unit(dice) < PAUSE_SHARE { 1.0 + PAUSE_FACTOR * unit(dice.rotate_left(32)) } else { 1.0 };
        crate::time::round_us((usual * pause * kappa).clamp(0.0, MAX_WORK_US))
    }
}
