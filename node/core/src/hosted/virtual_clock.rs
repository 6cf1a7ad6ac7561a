//! The clock of a hosted agent: off by an offset and a rate nobody but the harness may read.

use super::noise::{noise, unit};
use crate::time::{LocalTimeUs, round_us};

/// Largest offset, microseconds either way.
const MAX_OFFSET_US: f64 = 200_000.0;
/// Largest rate error, ppm either way.
const MAX_SKEW_PPM: f64 = 30.0;

/// Agent time = true time + offset + skew since the clock was started.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    offset_us: f64,
    skew_ppm: f64,
    started_us: i64,
}

impl VirtualClock {
    /// The clock of `agent` under `seed`, started at true time `started_us`.
    #[must_use]
    pub fn seeded(seed: u64, agent: u64, started_us: i64) -> Self {
        let draw = |label| 2.0 * unit(noise(seed, agent, 0xC10C, label)) - 1.0;
        Self { offset_us: draw(1) * MAX_OFFSET_US, skew_ppm: draw(2) * MAX_SKEW_PPM, started_us }
    }

    /// What it shows at true time `true_us`.
    #[must_use]
    pub fn read(&self, true_us: i64) -> LocalTimeUs {
        let elapsed_us = true_us.saturating_sub(self.started_us) as f64;
        LocalTimeUs(true_us.saturating_add(round_us(self.offset_us + elapsed_us * self.skew_ppm / 1e6)))
    }

    /// First true time, within a microsecond, at which it shows `local` or later.
    #[must_use]
    pub fn true_time_of(&self, local: LocalTimeUs) -> i64 {
        let shown_us = local.0.saturating_sub(self.started_us) as f64 - self.offset_us;
        let elapsed_us = shown_us / (1.0 + self.skew_ppm / 1e6);
        self.started_us.saturating_add(round_us(elapsed_us.ceil()))
    }

    /// Its offset at true time `true_us`: for the harness and the simulator.
    #[must_use]
    pub fn true_offset_us(&self, true_us: i64) -> i64 {
        self.read(true_us).0.saturating_sub(true_us)
    }
}
