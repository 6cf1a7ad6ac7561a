//! A sudden slow-down: from one instant on, half of the agents need half as long again.

use super::draw::{Draws, Label};

const SHARE: f64 = 0.5;
const FACTOR: f64 = 1.5;

/// Factor on the work of an agent at `at_us`, when the slow-down comes at `from_us`.
pub(crate) fn factor(draws: Draws, from_us: Option<i64>, at_us: i64) -> f64 {
    let has_come = from_us.is_some_and(|from| at_us >= from);
    if has_come && draws.happens(Label::Slowdown, 0, SHARE) { FACTOR } else { 1.0 }
}
