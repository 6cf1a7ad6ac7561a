//! Queueing on the way: exponential (stable for at least 500 s, after the RIPE boxes), in spells of congestion of five
//! minutes longer and with a standing queue on one of the two ways.

use mesh30k_ledger::types::AgentClass;

use super::draw::{Draws, Label, window};

const SPELL_US: i64 = 300_000_000;

/// Queues of one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    draws: Draws,
    mean_us: f64,
    spell_share: f64,
}

impl Queue {
    pub(crate) fn new(draws: Draws, class: AgentClass, floor_us: f64) -> Self {
        let (base_us, spell_share) = match class {
            AgentClass::A => (200.0, 0.02),
            AgentClass::B | AgentClass::C | AgentClass::D => (300.0, 0.02),
            AgentClass::E | AgentClass::F => (1_500.0, 0.05),
        };
        Self { draws, mean_us: base_us + 0.02 * floor_us, spell_share }
    }

    /// Delay of the `turn`-th message, which goes `forward` or back.
    pub(crate) fn delay_us(&self, at_us: i64, turn: u64, forward: bool) -> f64 {
        let (mean_us, standing_us) = match self.spell(at_us) {
            Some((crowded_forward, standing_us)) if crowded_forward == forward => (self.mean_us * 8.0, standing_us),
            _ => (self.mean_us, 0.0),
        };
        standing_us + self.draws.exponential(Label::Queue, turn, mean_us)
    }

    /// Which way is congested and by how much, if one is.
    fn spell(&self, at_us: i64) -> Option<(bool, f64)> {
        let spell = window(at_us, SPELL_US);
        let dice = self.draws.unit(Label::Congestion, spell);
        // The dice below the share are uniform again: their upper half is the forward way.
        (dice < self.spell_share).then(|| {
            let place = dice / self.spell_share;
            (place >= 0.5, 2_000.0 + 18_000.0 * (2.0 * place).fract())
        })
    }

    pub(crate) fn is_congested(&self, at_us: i64) -> bool {
        self.spell(at_us).is_some()
    }
}
