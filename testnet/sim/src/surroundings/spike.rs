//! Rare long delays of single messages: Pareto above 10 ms.

use mesh30k_ledger::types::AgentClass;

use super::draw::{Draws, Label};

const SMALLEST_US: f64 = 10_000.0;
const LARGEST_US: f64 = 3_000_000.0;
const ALPHA: f64 = 1.3;

/// Share of messages of a class that meet one.
const fn share(class: AgentClass) -> f64 {
    match class {
        AgentClass::A | AgentClass::B | AgentClass::C | AgentClass::D => 0.002,
        AgentClass::E | AgentClass::F => 0.008,
    }
}

/// What the `turn`-th message waits more, if it meets one.
pub(crate) fn spike_us(draws: Draws, class: AgentClass, turn: u64) -> Option<f64> {
    let dice = draws.unit(Label::Spike, turn);
    let share = share(class);
    // Below the share the dice are uniform again.
    (dice < share).then(|| (SMALLEST_US * (1.0 - dice / share).powf(-1.0 / ALPHA)).min(LARGEST_US))
}
