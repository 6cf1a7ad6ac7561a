//! Delays between node processes on real sockets of one region: small, jittery, never reordered on one way.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Floor of a way between two processes and the mean of the queue above it, microseconds.
const FLOOR_US: i64 = 150;
const QUEUE_MEAN_US: f64 = 200.0;

/// The node network.
#[derive(Debug)]
pub(crate) struct Network {
    rng: ChaCha8Rng,
    last: BTreeMap<(u64, u64), i64>,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), last: BTreeMap::new() }
    }

    /// When a message sent at `now_us` arrives; streams keep their order.
    pub(crate) fn arrival_us(&mut self, now_us: i64, from: u64, to: u64) -> i64 {
        let u: f64 = self.rng.random();
        let queue_us = (-(1.0 - u).ln() * QUEUE_MEAN_US) as i64;
        let arrival_us = now_us + FLOOR_US + queue_us;
        let last = self.last.entry((from, to)).or_default();
        *last = arrival_us.max(*last);
        *last
    }

    /// How late a timer fires.
    pub(crate) fn timer_late_us(&mut self, most_us: i64) -> i64 {
        self.rng.random_range(0..=most_us.max(0))
    }

    /// A node's standing error against mesh time.
    pub(crate) fn clock_error_us(&mut self, most_us: i64) -> i64 {
        self.rng.random_range(-most_us.abs()..=most_us.abs())
    }
}
