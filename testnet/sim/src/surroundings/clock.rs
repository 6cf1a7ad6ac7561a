//! An agent's clock: offset and rate of the core's virtual clock, a slow wander with the temperature, and steps.

use mesh30k_core::hosted::VirtualClock;
use mesh30k_core::time::LocalTimeUs;

use super::clock_step::{Steps, steps_until};
use super::draw::{Draws, Label};

/// Largest wander and its periods.
const WANDER_US: f64 = 250.0;
const SHORTEST_PERIOD_US: f64 = 1_200e6;

/// The clock of one agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AgentClock {
    clock: VirtualClock,
    draws: Draws,
    start_us: i64,
    has_steps: bool,
    wander_us: f64,
    period_us: f64,
}

impl AgentClock {
    pub(crate) fn new(seed: u64, agent: u64, start_us: i64, has_steps: bool) -> Self {
        let draws = Draws::new(seed, agent);
        Self {
            clock: VirtualClock::seeded(seed, agent, start_us),
            draws,
            start_us,
            has_steps,
            wander_us: WANDER_US * draws.unit(Label::NodeClock, 1),
            period_us: SHORTEST_PERIOD_US * (1.0 + 2.0 * draws.unit(Label::NodeClock, 2)),
        }
    }

    pub(crate) fn read(&self, at_us: i64) -> LocalTimeUs {
        self.clock.read(at_us).plus_us(self.shift_us(at_us))
    }

    /// First instant at which it shows `local`, to a microsecond or two: what shifts it is looked up where the plain clock
    /// would show it.
    pub(crate) fn true_time_of(&self, local: LocalTimeUs) -> i64 {
        let rough_us = self.clock.true_time_of(local);
        self.clock.true_time_of(local.minus_us(self.shift_us(rough_us)))
    }

    /// Steps since the agent started, until `at_us`.
    pub(crate) fn steps(&self, at_us: i64) -> Steps {
        if self.has_steps { steps_until(self.draws, self.start_us, at_us) } else { Steps::default() }
    }

    fn shift_us(&self, at_us: i64) -> i64 {
        let phase = (at_us - self.start_us) as f64 / self.period_us * std::f64::consts::TAU;
        (self.wander_us * phase.sin()) as i64 + self.steps(at_us).sum_us
    }
}
