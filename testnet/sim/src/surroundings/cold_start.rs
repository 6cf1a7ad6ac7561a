//! Cold starts: a function's instance is gone and must be started first.

use mesh30k_ledger::types::AgentClass;

use super::draw::{Draws, Label};

/// Share of works that find no instance (agents are called every half minute, so most stay warm).
const fn share(class: AgentClass) -> f64 {
    match class {
        AgentClass::A => 0.001,
        AgentClass::B => 0.004,
        AgentClass::C | AgentClass::D | AgentClass::E | AgentClass::F => 0.0,
    }
}

/// What the `turn`-th work takes more, if it is cold: log-normal, median 60 ms for edge functions and 400 ms else.
pub(crate) fn start_us(draws: Draws, class: AgentClass, turn: u64) -> Option<f64> {
    let median_us: f64 = if class == AgentClass::A { 60_000.0 } else { 400_000.0 };
    let cold = draws.happens(Label::ColdStart, turn << 1, share(class));
    cold.then(|| median_us * (0.5 * draws.normal(Label::ColdStart, turn << 1 | 1)).exp())
}
