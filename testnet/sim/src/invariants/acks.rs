//! No ack is lost at a living parent: what was handed to a lead in time is in its last summary, and what a parent was told
//! by its children is in its own.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_core::event::{EventId, FoldedAck};
use mesh30k_ledger::types::{AgentId, Scope};

use super::{Fact, Invariant};

/// Answers after this may come too late for the last correction of a lead.
const IN_TIME_US: i64 = 3_000_000;

#[derive(Default)]
struct Known {
    /// Agents whose answer each lead has in time.
    answered: BTreeMap<Scope, BTreeSet<AgentId>>,
    /// Results in each lead's last summary.
    told: BTreeMap<Scope, u32>,
    /// By parent, results in the last summary of each child.
    below: BTreeMap<Scope, BTreeMap<Scope, u32>>,
}

#[derive(Default)]
pub(super) struct Acks {
    events: BTreeMap<EventId, Known>,
}

impl Invariant for Acks {
    fn name(&self) -> &'static str {
        "no ack lost at a living parent"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Option<String> {
        match *fact {
            Fact::Answered { event, lead, agent, after_us } if after_us <= IN_TIME_US => {
                self.events.entry(event).or_default().answered.entry(lead).or_default().insert(agent);
            }
            Fact::Delivered { parent, fold } => {
                let below = self.events.entry(fold.event).or_default().below.entry(parent).or_default();
                // Who takes over from a dead child may know less than it had told.
                let told = below.entry(fold.from).or_default();
                *told = results(fold).max(*told);
            }
            Fact::Died { at } => {
                self.events.values_mut().for_each(|known| {
                    known.below.remove(&at);
                });
            }
            Fact::Folded { fold } => return self.check_fold(fold),
            Fact::Closed { event, .. } => return self.events.remove(&event).and_then(|known| lost(event, &known)),
            _ => {}
        }
        None
    }
}

impl Acks {
    fn check_fold(&mut self, fold: &FoldedAck) -> Option<String> {
        let known = self.events.entry(fold.event).or_default();
        let told = results(fold);
        if matches!(fold.from, Scope::Cluster(_)) {
            known.told.insert(fold.from, told);
            return None;
        }
        let heard: u32 = known.below.get(&fold.from).map_or(0, |children| children.values().sum());
        (told != heard).then(|| format!("{:?} tells of {told} results and was told of {heard}", fold.from))
    }
}

fn lost(event: EventId, known: &Known) -> Option<String> {
    known.answered.iter().find_map(|(lead, agents)| {
        let told = known.told.get(lead).copied().unwrap_or(0);
        let answered = agents.len() as u32;
        (told < answered).then(|| format!("{lead:?} had {answered} answers of {event} and told of {told}"))
    })
}

fn results(fold: &FoldedAck) -> u32 {
    fold.tally.sum(|c| c.released) + fold.tally.sum(|c| c.conflict)
}
