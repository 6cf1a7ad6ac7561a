//! Why a slot was missed, by the truth.

use std::fmt;

use mesh30k_core::event::Strategy;
use mesh30k_ledger::types::AgentClass;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::surroundings::Trouble;
use crate::truth::Slot;

/// Window outside which a release is a miss that is explained, microseconds.
pub(crate) const OMEGA_US: i64 = 10_000;

/// What kept a slot out of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The agent was dead.
    Dead,
    /// The agent had left and the roster did not know yet.
    Gone,
    /// Its lead stalled, or the event reached it late.
    LateParent,
    /// Its lead never measured its clock, or took it to be down, and did not ask it.
    NotAsked,
    /// Asked early enough on average; a message was lost.
    Loss,
    /// A message met a spike.
    Spike,
    /// The instance had to be started.
    ColdStart,
    /// The work took more than twice its median.
    SlowWork,
    /// The agent paused.
    Pause,
    /// The path was congested.
    Congestion,
    /// The lead given was too short for nothing out of the ordinary.
    LeadTooShort,
    /// Its clock had been set.
    ClockStep,
    /// Its lead lied about the time.
    Liar,
    /// Its lead had its clock wrong, mostly for the asymmetry of the path.
    Asymmetry,
    /// Armed in time and aimed well, but woken late.
    Timer,
    /// Thrown, not held: its delay was not the predicted one.
    Spread,
    /// Answered with a contradiction, or kept its result back.
    Withheld,
}

impl Cause {
    /// All of them.
    const ALL: [Self; 17] = [
        Self::Dead,
        Self::Gone,
        Self::LateParent,
        Self::NotAsked,
        Self::Loss,
        Self::Spike,
        Self::ColdStart,
        Self::SlowWork,
        Self::Pause,
        Self::Congestion,
        Self::LeadTooShort,
        Self::ClockStep,
        Self::Liar,
        Self::Asymmetry,
        Self::Timer,
        Self::Spread,
        Self::Withheld,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Gone => "gone",
            Self::LateParent => "late_parent",
            Self::NotAsked => "not_asked",
            Self::Loss => "lead_too_short_loss",
            Self::Spike => "lead_too_short_spike",
            Self::ColdStart => "lead_too_short_cold_start",
            Self::SlowWork => "lead_too_short_slow_work",
            Self::Pause => "lead_too_short_pause",
            Self::Congestion => "lead_too_short_congestion",
            Self::LeadTooShort => "lead_too_short",
            Self::ClockStep => "clock_step",
            Self::Liar => "clock_liar",
            Self::Asymmetry => "clock_asymmetry",
            Self::Timer => "timer",
            Self::Spread => "thrown",
            Self::Withheld => "withheld",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = Self::ALL.into_iter().find(|cause| cause.name() == name);
        known.ok_or_else(|| D::Error::custom(format!("{name:?} is no cause of a miss")))
    }
}

/// One explained miss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// Number of the event, from zero.
    pub wave: u32,
    /// Who, by id.
    pub agent: u64,
    /// Its class.
    pub class: AgentClass,
    /// Why.
    pub cause: Cause,
    /// True release minus T; none for silence.
    pub error_us: Option<i64>,
    /// How long before T its lead sent; none when it did not.
    pub lead_us: Option<i64>,
    /// How long before T a standby was sent; none when none was.
    pub standby_us: Option<i64>,
    /// How wrong the lead had its clock.
    pub aim_us: i64,
}

/// What is known around a slot when it is explained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) strategy: Strategy,
    pub(crate) target_us: i64,
    pub(crate) dead: bool,
    pub(crate) gone: bool,
    pub(crate) lead_stalled: bool,
    pub(crate) lead_lies: bool,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) clock_set: bool,
}

/// The cause of a miss.
pub(crate) fn cause_of(slot: &Slot, around: &Circumstances) -> Cause {
    let late = |at: i64| at - around.target_us > OMEGA_US;
    match slot.released_us {
        None if around.gone => Cause::Gone,
        None if around.dead => Cause::Dead,
        None if slot.armed_us.is_some() => Cause::Withheld,
        None => match slot.sent_us {
            None if around.lead_stalled => Cause::LateParent,
            None => Cause::NotAsked,
            Some(_) => Cause::Dead,
        },
        Some(_) if around.dead => Cause::Dead,
        Some(_) if around.lead_stalled && slot.armed_us.is_some_and(late) => Cause::LateParent,
        Some(_) if around.strategy == Strategy::Throw => Cause::Spread,
        Some(_) if slot.armed_us.is_some_and(late) => match around.trouble {
            Some(Trouble::Loss) => Cause::Loss,
            Some(Trouble::Spike) => Cause::Spike,
            Some(Trouble::ColdStart) => Cause::ColdStart,
            Some(Trouble::SlowWork) => Cause::SlowWork,
            Some(Trouble::Pause) => Cause::Pause,
            Some(Trouble::Congestion) => Cause::Congestion,
            None => Cause::LeadTooShort,
        },
        Some(_) if around.lead_lies => Cause::Liar,
        Some(_) if around.clock_set => Cause::ClockStep,
        Some(_) if slot.aim_us.abs() > OMEGA_US / 2 => Cause::Asymmetry,
        Some(_) => Cause::Timer,
    }
}
