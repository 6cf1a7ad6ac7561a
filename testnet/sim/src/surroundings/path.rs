//! The floor of a path: light and hops, split unequally between the two ways, now and then over another route.

use mesh30k_ledger::types::AgentClass;

use super::draw::{Draws, Label, window};

/// Deviation of the forward share at which 11 % of paths differ from half the round trip by more than a tenth
/// (Liu, GLOBECOM'22): 0.1 / 1.598.
const ASYMMETRY_SIGMA: f64 = 0.062_6;
/// A path takes another route in this share of half hours.
const ROUTE_WINDOW_US: i64 = 1_800_000_000;
const REROUTED_SHARE: f64 = 0.10;

/// Floor of the path between a lead and one agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    draws: Draws,
    floor_us: f64,
}

impl Path {
    /// Leads are near: medians of the round trip are 8 to 28 ms by class, log-normal.
    pub(crate) fn new(draws: Draws, class: AgentClass) -> Self {
        let (median_us, sigma) = match class {
            AgentClass::A => (8_000.0, 0.40),
            AgentClass::B => (15_000.0, 0.40),
            AgentClass::C => (18_000.0, 0.40),
            AgentClass::D => (20_000.0, 0.40),
            AgentClass::E | AgentClass::F => (28_000.0, 0.50),
        };
        let floor_us: f64 = median_us * (sigma * draws.normal(Label::FloorRtt, 0)).exp();
        Self { draws, floor_us }
    }

    /// (forward, return) of the route taken at `at_us`, microseconds.
    pub(crate) fn ways_us(&self, at_us: i64) -> (f64, f64) {
        let now = window(at_us, ROUTE_WINDOW_US);
        let rerouted = self.draws.happens(Label::Route, now, REROUTED_SHARE);
        // Route 0 is the usual one; another is as likely shorter as longer.
        let (route, factor) =
            if rerouted { (now, 0.8 + 0.5 * self.draws.unit(Label::FloorRtt, now)) } else { (0, 1.0) };
        let share = 0.5 + (ASYMMETRY_SIGMA * self.draws.normal(Label::Asymmetry, route)).clamp(-0.3, 0.3) / 2.0;
        let rtt_us = self.floor_us * factor;
        (rtt_us * share, rtt_us * (1.0 - share))
    }

    /// Round trip of the usual route.
    pub(crate) fn floor_us(&self) -> f64 {
        self.floor_us
    }
}
