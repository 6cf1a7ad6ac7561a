//! Pauses of a whole agent: garbage collection, a neighbour's load, a suspended machine. Nothing happens until they end.

use super::draw::{Draws, Label, window};

/// In this share of minutes one begins, and how long it is at least and at most.
const WINDOW_US: i64 = 60_000_000;
const SHARE: f64 = 0.01;
const SHORTEST_US: f64 = 20_000.0;
const LONGEST_US: f64 = 300_000.0;

/// The pause nearest to `at_us`, from when to when, if its minute has one.
fn span_us(draws: Draws, at_us: i64) -> Option<(i64, i64)> {
    let dice = draws.unit(Label::Pause, window(at_us, WINDOW_US));
    if dice >= SHARE {
        return None;
    }
    let place = dice / SHARE;
    let length_us = SHORTEST_US + (LONGEST_US - SHORTEST_US) * (place * 16.0).fract();
    let begin_us = at_us - at_us.rem_euclid(WINDOW_US) + (place * (WINDOW_US as f64 - LONGEST_US)) as i64;
    Some((begin_us, begin_us + length_us as i64))
}

/// How much longer an agent pauses at `at_us`; zero when it does not.
pub(crate) fn rest_us(draws: Draws, at_us: i64) -> i64 {
    match span_us(draws, at_us) {
        Some((begin_us, end_us)) if (begin_us..end_us).contains(&at_us) => end_us - at_us,
        _ => 0,
    }
}

/// How much longer what runs from `at_us` for `length_us` takes.
pub(crate) fn during_us(draws: Draws, at_us: i64, length_us: i64) -> i64 {
    match span_us(draws, at_us) {
        Some((begin_us, end_us)) if begin_us < at_us + length_us && at_us < end_us => end_us - begin_us.max(at_us),
        _ => 0,
    }
}
