//! No agent releases twice in one event, and of an event with effects no slot is released twice, by whomever.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_core::event::EventId;
use mesh30k_ledger::types::AgentId;

use super::{Fact, Invariant};

#[derive(Default)]
struct Seen {
    effects: bool,
    /// (slot, agent) of every release.
    releases: BTreeSet<(AgentId, AgentId)>,
}

#[derive(Default)]
pub(super) struct Twice {
    events: BTreeMap<EventId, Seen>,
}

impl Invariant for Twice {
    fn name(&self) -> &'static str {
        "none released twice"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Option<String> {
        match *fact {
            Fact::Dispatched { event, effects, .. } => self.events.entry(event).or_default().effects |= effects,
            Fact::Closed { event, .. } => {
                self.events.remove(&event);
            }
            Fact::Released { event, agent, slot, .. } => {
                let seen = self.events.entry(event).or_default();
                let others = (slot, AgentId(0))..=(slot, AgentId(u64::MAX));
                if seen.effects && seen.releases.range(others).next().is_some() {
                    return Some(format!("slot of agent {slot} in {event}, which has effects"));
                }
                if !seen.releases.insert((slot, agent)) {
                    return Some(format!("agent {agent} in {event}"));
                }
            }
            _ => {}
        }
        None
    }
}
