//! Dead agents: for ten minutes at a time nothing reaches them and nothing leaves.

use super::draw::{Draws, Label, window};

const WINDOW_US: i64 = 600_000_000;

/// Share of agents that are dead at any time.
pub(crate) const SHARE: f64 = 0.002;

/// Whether an agent of a mesh with this share of dead is dead at `at_us`.
pub(crate) fn is_dead(draws: Draws, share: f64, at_us: i64) -> bool {
    // Windows of different agents do not end together.
    let shift_us = (draws.bits(Label::Death, u64::MAX) % WINDOW_US as u64) as i64;
    share > 0.0 && draws.happens(Label::Death, window(at_us + shift_us, WINDOW_US), share)
}
