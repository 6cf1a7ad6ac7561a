//! What surrounds the agents and nodes of a simulated mesh: each source of delay or fault is a file of its own, pure and
//! drawn by counter. Shapes follow measurements named there; levels are assumptions.

mod clock;
mod clock_step;
mod cold_start;
pub(crate) mod death;
pub(crate) mod draw;
pub(crate) mod lead_stall;
mod loss;
pub(crate) mod node_clock;
mod path;
mod pause;
mod queue;
mod slowdown;
mod spike;
mod timer;
pub(crate) mod tree_link;
mod trouble;

use std::sync::Arc;

use mesh30k_core::clock::HostClock;
use mesh30k_core::hosted::{Habitat, HostClockModel, HostedAgent, ProcessingModel, Replay, ReplayedLink, Surroundings};
use mesh30k_core::time::LocalTimeUs;
use mesh30k_ledger::types::AgentClass;

use self::clock::AgentClock;
use self::draw::{Draws, Label};
use self::path::Path;
use self::queue::Queue;
pub(crate) use self::trouble::{Trouble, Troubles};

/// Which faults there are around the agents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AgentFaults {
    /// Share of agents dead at any time.
    pub(crate) dead_share: f64,
    /// Whether clocks are set now and then.
    pub(crate) clock_steps: bool,
    /// Cold starts, pauses.
    pub(crate) hiccups: bool,
    /// When half of the agents become slower.
    pub(crate) slow_from_us: Option<i64>,
    /// Whether events need work.
    pub(crate) work: bool,
}

/// Gives each agent its surroundings.
#[derive(Clone, Debug)]
pub(crate) struct SimHabitat {
    pub(crate) seed: u64,
    /// Replayed last hops; none for the model's own.
    pub(crate) replay: Option<Arc<Replay>>,
    pub(crate) faults: AgentFaults,
}

#[derive(Clone, Debug)]
enum Way {
    Model(Path, Queue),
    Replayed(ReplayedLink),
}

/// The surroundings of one agent.
#[derive(Clone, Debug)]
pub(crate) struct SimSurroundings {
    draws: Draws,
    class: AgentClass,
    faults: AgentFaults,
    way: Way,
    clock: AgentClock,
    service: HostClockModel,
    work: ProcessingModel,
    messages: u64,
    works: u64,
    timers: u64,
    troubles: Troubles,
}

impl Habitat for SimHabitat {
    type Around = SimSurroundings;

    fn around(&self, now_us: i64, agent: &HostedAgent) -> SimSurroundings {
        let id = agent.agent.0;
        let draws = Draws::new(self.seed, id);
        let way = match &self.replay {
            Some(replay) => Way::Replayed(ReplayedLink::seeded(replay, self.seed, id, agent.class)),
            None => {
                let path = Path::new(draws, agent.class);
                Way::Model(path, Queue::new(draws, agent.class, path.floor_us()))
            }
        };
        SimSurroundings {
            draws,
            class: agent.class,
            faults: self.faults,
            way,
            clock: AgentClock::new(self.seed, id, now_us, self.faults.clock_steps),
            service: HostClockModel::seeded(self.seed, id, agent.class),
            work: ProcessingModel::seeded(self.seed, id, agent.class),
            messages: 0,
            works: 0,
            timers: 0,
            troubles: Troubles::default(),
        }
    }
}

impl SimSurroundings {
    pub(crate) fn is_dead(&self, at_us: i64) -> bool {
        death::is_dead(self.draws, self.faults.dead_share, at_us)
    }

    /// The gravest thing that happened to it in a span of time.
    pub(crate) fn trouble(&self, from_us: i64, to_us: i64) -> Option<Trouble> {
        self.troubles.gravest(from_us, to_us)
    }

    /// When its clock was last set.
    pub(crate) fn last_step_us(&self, at_us: i64) -> Option<i64> {
        self.clock.steps(at_us).last_us
    }

    fn way_us(&mut self, at_us: i64, forward: bool) -> i64 {
        self.messages += 1;
        let (path, queue) = match &self.way {
            Way::Replayed(link) => return if forward { link.forward_us(at_us) } else { link.return_us(at_us) },
            Way::Model(path, queue) => (path, queue),
        };
        let (out_us, back_us) = path.ways_us(at_us);
        let floor_us = if forward { out_us } else { back_us };
        let mut delay_us = floor_us + queue.delay_us(at_us, self.messages, forward);
        if queue.is_congested(at_us) {
            self.troubles.note(Trouble::Congestion, at_us);
        }
        if let Some(spike_us) = spike::spike_us(self.draws, self.class, self.messages) {
            self.troubles.note(Trouble::Spike, at_us);
            delay_us += spike_us;
        }
        let share = loss::share(self.class);
        if let Some(resend_us) = loss::resend_us(self.draws, Label::Loss, share, self.messages, out_us + back_us) {
            self.troubles.note(Trouble::Loss, at_us);
            delay_us += resend_us;
        }
        delay_us as i64
    }
}

impl Surroundings for SimSurroundings {
    fn forward_us(&mut self, at_us: i64) -> Option<i64> {
        let delay_us = self.way_us(at_us, true);
        let arrives_us = at_us + delay_us;
        if self.is_dead(arrives_us) {
            return None;
        }
        if !self.faults.hiccups {
            return Some(delay_us);
        }
        let rest_us = pause::rest_us(self.draws, arrives_us);
        if rest_us > 0 {
            self.troubles.note(Trouble::Pause, at_us);
        }
        Some(delay_us + rest_us)
    }

    fn return_us(&mut self, at_us: i64) -> Option<i64> {
        let delay_us = self.way_us(at_us, false);
        (!self.is_dead(at_us)).then_some(delay_us)
    }

    fn work_us(&mut self, at_us: i64, kappa: f64) -> Option<i64> {
        if !self.faults.work {
            return (!self.is_dead(at_us)).then_some(0);
        }
        self.works += 1;
        let slower = slowdown::factor(self.draws, self.faults.slow_from_us, at_us);
        let usual_us = self.work.draw_us(self.works, kappa);
        if usual_us as f64 > 2.0 * kappa * self.work.median_us() {
            self.troubles.note(Trouble::SlowWork, at_us);
        }
        let mut work_us = (usual_us as f64 * slower) as i64;
        if !self.faults.hiccups {
            return Some(work_us);
        }
        if let Some(start_us) = cold_start::start_us(self.draws, self.class, self.works) {
            self.troubles.note(Trouble::ColdStart, at_us);
            work_us += start_us as i64;
        }
        let paused_us = pause::during_us(self.draws, at_us, work_us);
        if paused_us > 0 {
            self.troubles.note(Trouble::Pause, at_us);
        }
        (!self.is_dead(at_us + work_us)).then_some(work_us + paused_us)
    }

    fn timer_late_us(&mut self, at_us: i64) -> i64 {
        self.timers += 1;
        let late_us = timer::late_us(self.draws, self.timers);
        if !self.faults.hiccups {
            return late_us;
        }
        let rest_us = pause::rest_us(self.draws, at_us + late_us);
        if rest_us > 0 {
            self.troubles.note(Trouble::Pause, at_us);
        }
        late_us + rest_us
    }

    fn read(&self, at_us: i64) -> LocalTimeUs {
        self.clock.read(at_us)
    }

    fn host_clock(&mut self, at_us: i64) -> Option<HostClock> {
        self.service.state(self.clock.read(at_us).0 - at_us)
    }

    fn true_time_of(&self, local: LocalTimeUs) -> i64 {
        self.clock.true_time_of(local)
    }
}
