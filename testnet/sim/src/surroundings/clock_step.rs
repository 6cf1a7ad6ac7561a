//! Clock steps: an agent's clock is set by 10 to 80 ms either way.

use super::draw::{Draws, Label, window};

/// In this share of ten minutes a clock is set once.
const WINDOW_US: i64 = 600_000_000;
const SHARE: f64 = 0.002;

/// The latest step at or before `at_us` since `start_us`, and the sum of all steps till then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) sum_us: i64,
    pub(crate) last_us: Option<i64>,
}

/// All steps of one clock.
pub(crate) fn steps_until(draws: Draws, start_us: i64, at_us: i64) -> Steps {
    let mut steps = Steps::default();
    for number in window(start_us, WINDOW_US)..=window(at_us, WINDOW_US) {
        let dice = draws.unit(Label::ClockStep, number);
        if dice >= SHARE {
            continue;
        }
        let place = dice / SHARE;
        let when_us = number as i64 * WINDOW_US + (place * WINDOW_US as f64) as i64;
        if (start_us..=at_us).contains(&when_us) {
            let size = (place * 64.0).fract();
            let step_us = (10_000.0 + 70_000.0 * (2.0 * size).fract()) as i64;
            steps.sum_us += if size < 0.5 { -step_us } else { step_us };
            steps.last_us = Some(when_us);
        }
    }
    steps
}
