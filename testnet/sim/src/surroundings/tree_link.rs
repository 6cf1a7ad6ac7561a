//! Ways between nodes of the tree: wide-area floors, exponential queues, lost packets; streams keep their order.

use super::draw::{Draws, Label};
use super::loss;

/// Share of lost packets between data centres.
const LOSS: f64 = 0.000_5;

/// One direction of one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreeLink {
    draws: Draws,
    floor_us: f64,
    last_us: i64,
    turn: u64,
}

impl TreeLink {
    /// A way with this median floor, log-normal.
    pub(crate) fn new(draws: Draws, median_us: f64) -> Self {
        let floor_us: f64 = median_us * (0.5 * draws.normal(Label::TreeLink, 0)).exp();
        Self { draws, floor_us, last_us: i64::MIN, turn: 0 }
    }

    /// When a message sent at `now_us` arrives.
    pub(crate) fn arrival_us(&mut self, now_us: i64) -> i64 {
        self.turn += 1;
        let queue_us = self.draws.exponential(Label::TreeMessage, self.turn << 1, 200.0 + 0.02 * self.floor_us);
        let lost = loss::resend_us(self.draws, Label::TreeMessage, LOSS, self.turn << 1 | 1, 2.0 * self.floor_us);
        let delay_us = self.floor_us + queue_us + lost.unwrap_or(0.0);
        self.last_us = self.last_us.max(now_us + delay_us as i64);
        self.last_us
    }

    /// Its floor, microseconds.
    pub(crate) fn floor_us(&self) -> f64 {
        self.floor_us
    }
}
