//! What surrounds a hosted agent and no machine may know: its way to the lead, its clock, its work.

use std::fmt::Debug;
use std::sync::Arc;

use super::agents::HostedAgent;
use super::host_clock::HostClockModel;
use super::link::ReplayedLink;
use super::processing::ProcessingModel;
use super::replay::Replay;
use super::virtual_clock::VirtualClock;
use crate::clock::HostClock;
use crate::time::LocalTimeUs;

/// The truth around one agent; every instant is true time, microseconds.
pub trait Surroundings: Debug {
    /// Whether it can be asked about instants to come as well as about now, with the same answers. Then a probe is answered in
    /// one go when it comes in, and the host need not wake for each step of it.
    const FORETOLD: bool = false;

    /// Delay of a message that leaves the lead's side at `at_us`; none when it never arrives.
    fn forward_us(&mut self, at_us: i64) -> Option<i64>;
    /// Delay of an answer that leaves the agent at `at_us`; none when it never arrives.
    fn return_us(&mut self, at_us: i64) -> Option<i64>;
    /// Duration of the work begun at `at_us` under `kappa`; none when it never ends.
    fn work_us(&mut self, at_us: i64, kappa: f64) -> Option<i64>;
    /// How late a timer set for `at_us` fires.
    fn timer_late_us(&mut self, at_us: i64) -> i64;
    /// What the agent's clock shows at `at_us`.
    fn read(&self, at_us: i64) -> LocalTimeUs;
    /// What the agent's time service says of that clock; none where there is no such service.
    fn host_clock(&mut self, _at_us: i64) -> Option<HostClock> {
        None
    }
    /// First instant, within a microsecond, at which the agent's clock shows `local` or later.
    fn true_time_of(&self, local: LocalTimeUs) -> i64;
}

/// What gives every agent of a host its surroundings.
pub trait Habitat: Debug {
    /// What it gives.
    type Around: Surroundings;

    /// The surroundings of an agent that starts at `now_us`.
    fn around(&self, now_us: i64, agent: &HostedAgent) -> Self::Around;
}

/// Replayed round trips, drawn clocks and work: what hosted agents of a real node live in. Timers are the machine's own.
#[derive(Clone, Debug)]
pub struct ReplayedHabitat {
    seed: u64,
    replay: Arc<Replay>,
}

impl ReplayedHabitat {
    /// Everything drawn from `seed`.
    #[must_use]
    pub const fn new(seed: u64, replay: Arc<Replay>) -> Self {
        Self { seed, replay }
    }
}

impl Habitat for ReplayedHabitat {
    type Around = Replayed;

    fn around(&self, now_us: i64, agent: &HostedAgent) -> Replayed {
        let id = agent.agent.0;
        Replayed {
            link: ReplayedLink::seeded(&self.replay, self.seed, id, agent.class),
            clock: VirtualClock::seeded(self.seed, id, now_us),
            service: HostClockModel::seeded(self.seed, id, agent.class),
            work: ProcessingModel::seeded(self.seed, id, agent.class),
            works: 0,
        }
    }
}

/// The surroundings of one agent in a [`ReplayedHabitat`].
#[derive(Clone, Debug)]
pub struct Replayed {
    link: ReplayedLink,
    clock: VirtualClock,
    service: HostClockModel,
    work: ProcessingModel,
    works: u64,
}

impl Surroundings for Replayed {
    const FORETOLD: bool = true;

    fn forward_us(&mut self, at_us: i64) -> Option<i64> {
        Some(self.link.forward_us(at_us))
    }

    fn return_us(&mut self, at_us: i64) -> Option<i64> {
        Some(self.link.return_us(at_us))
    }

    fn work_us(&mut self, _at_us: i64, kappa: f64) -> Option<i64> {
        self.works = self.works.wrapping_add(1);
        Some(self.work.draw_us(self.works, kappa))
    }

    fn timer_late_us(&mut self, _at_us: i64) -> i64 {
        0
    }

    fn read(&self, at_us: i64) -> LocalTimeUs {
        self.clock.read(at_us)
    }

    fn host_clock(&mut self, at_us: i64) -> Option<HostClock> {
        self.service.state(self.clock.true_offset_us(at_us))
    }

    fn true_time_of(&self, local: LocalTimeUs) -> i64 {
        self.clock.true_time_of(local)
    }
}
