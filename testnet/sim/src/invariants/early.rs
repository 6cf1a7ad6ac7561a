//! No release before T minus the bound on what anybody could know of the agent's clock.

use super::{Fact, Invariant};

/// Rates differ by more than the bound assumes until they are fitted, and clocks wander: at most this in a few seconds.
const DRIFT_US: i64 = 500;

pub(super) struct Early;

impl Invariant for Early {
    fn name(&self) -> &'static str {
        "no release before T - bound"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Option<String> {
        let Fact::Released { event, agent, error_us, bound_us: Some(bound_us), .. } = fact else { return None };
        (*error_us < -(bound_us + DRIFT_US))
            .then(|| format!("agent {agent} released {} us before T of {event}, its bound is {bound_us} us", -error_us))
    }
}
