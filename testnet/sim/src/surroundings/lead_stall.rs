//! Stalled leads: for two seconds a lead does nothing; what comes waits.

use super::draw::{Draws, Label, window};

pub(crate) const LENGTH_US: i64 = 2_000_000;
/// In this share of ten minutes a lead stalls once.
const WINDOW_US: i64 = 600_000_000;
pub(crate) const SHARE: f64 = 0.08;

/// When the stall ends that a lead is in at `at_us`, if it is in one.
pub(crate) fn end_us(draws: Draws, share: f64, at_us: i64) -> Option<i64> {
    let dice = draws.unit(Label::LeadStall, window(at_us, WINDOW_US));
    if dice >= share {
        return None;
    }
    let begin_us = at_us - at_us.rem_euclid(WINDOW_US) + (dice / share * (WINDOW_US - LENGTH_US) as f64) as i64;
    let end_us = begin_us + LENGTH_US;
    (begin_us..end_us).contains(&at_us).then_some(end_us)
}
