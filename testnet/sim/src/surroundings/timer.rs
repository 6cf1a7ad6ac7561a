//! Timers: they fire on a millisecond's tick, and the process then waits for a core.

use super::draw::{Draws, Label};

const TICK_US: f64 = 1_000.0;
const WAKE_MEAN_US: f64 = 60.0;

/// How late the `turn`-th timer fires.
pub(crate) fn late_us(draws: Draws, turn: u64) -> i64 {
    let tick_us = TICK_US * draws.unit(Label::Timer, turn << 1);
    (tick_us + draws.exponential(Label::Timer, turn << 1 | 1, WAKE_MEAN_US)) as i64
}
