//! Draws by counter: a figure depends on seed, owner, label and turn alone, so that one more agent changes nobody else's.

use mesh30k_core::hosted::{noise, normal, unit};

/// What is drawn; each source of delay has its own labels.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Label {
    FloorRtt = 1,
    Asymmetry,
    Route,
    Queue,
    Congestion,
    Spike,
    Loss,
    ColdStart,
    Pause,
    Death,
    Timer,
    ClockStep,
    LeadStall,
    NodeClock,
    TreeLink,
    TreeMessage,
    Churn,
    Liar,
    Slowdown,
    Schedule,
}

/// All draws of one owner (an agent, a lead, a tree link).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    seed: u64,
    owner: u64,
}

impl Draws {
    pub(crate) const fn new(seed: u64, owner: u64) -> Self {
        Self { seed, owner }
    }

    pub(crate) fn bits(self, label: Label, turn: u64) -> u64 {
        noise(self.seed, self.owner, 0x51A0_0000 | label as u64, turn)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(self, label: Label, turn: u64) -> f64 {
        unit(self.bits(label, turn))
    }

    /// About standard normal, never beyond 3.5.
    pub(crate) fn normal(self, label: Label, turn: u64) -> f64 {
        normal(self.bits(label, turn))
    }

    /// Exponential with this mean.
    pub(crate) fn exponential(self, label: Label, turn: u64, mean: f64) -> f64 {
        -mean * (1.0 - self.unit(label, turn)).ln()
    }

    /// Whether something of this probability happens.
    pub(crate) fn happens(self, label: Label, turn: u64, probability: f64) -> bool {
        self.unit(label, turn) < probability
    }
}

/// Number of the window of this length in which an instant lies.
pub(crate) fn window(at_us: i64, length_us: i64) -> u64 {
    at_us.div_euclid(length_us).unsigned_abs()
}
