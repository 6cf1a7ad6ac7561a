//! Clocks of orchestrator, coordinators and leads: on provider time, which is off by some tenths of a millisecond, or lying.

use super::draw::{Draws, Label};

/// Deviation and largest error of provider time.
const SIGMA_US: f64 = 300.0;
const LARGEST_US: f64 = 1_500.0;
/// Share of leads that lie, and by how much.
pub(crate) const LIARS: f64 = 0.1;
pub(crate) const LIE_US: i64 = 200_000;

/// Standing error of a node's mesh time.
pub(crate) fn error_us(draws: Draws) -> i64 {
    (SIGMA_US * draws.normal(Label::NodeClock, 0)).clamp(-LARGEST_US, LARGEST_US) as i64
}

/// What a lead adds to its time, if it is one of the liars.
pub(crate) fn lie_us(draws: Draws) -> i64 {
    let dice = draws.unit(Label::Liar, 0);
    match dice < LIARS {
        true if dice < LIARS / 2.0 => -LIE_US,
        true => LIE_US,
        false => 0,
    }
}
