//! Denominators are complete: every summary counts everybody who was enrolled below it at dispatch, in some state.

use std::collections::BTreeMap;

use mesh30k_core::event::EventId;
use mesh30k_ledger::types::Scope;

use super::{Fact, Invariant};

#[derive(Default)]
pub(super) struct Denominators {
    /// By event: agents below each parent, and what the orchestrator published.
    events: BTreeMap<EventId, (BTreeMap<Scope, u32>, Option<u32>)>,
}

impl Invariant for Denominators {
    fn name(&self) -> &'static str {
        "denominators complete"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Option<String> {
        match *fact {
            Fact::Dispatched { event, at, children, .. } => {
                let (below, _) = self.events.entry(event).or_default();
                below.insert(at, children.iter().map(|(_, agents)| agents).sum());
                None
            }
            Fact::Folded { fold } => {
                let (below, published) = self.events.get_mut(&fold.event)?;
                let enrolled = fold.tally.sum(|c| c.enrolled);
                if fold.from == Scope::Global {
                    *published = Some(enrolled);
                }
                let states =
                    fold.tally.sum(|c| c.released) + fold.tally.sum(|c| c.conflict) + fold.tally.sum(|c| c.transit);
                if states != enrolled {
                    return Some(format!("{:?} counts {enrolled} enrolled and {states} states", fold.from));
                }
                let meant = *below.get(&fold.from)?;
                (enrolled < meant).then(|| format!("{:?} counts {enrolled} of {meant} enrolled", fold.from))
            }
            Fact::Closed { event, enrolled } => match self.events.remove(&event)? {
                (_, None) => Some(format!("no summary of {event}")),
                (_, Some(counted)) if counted < enrolled => {
                    Some(format!("{event} enrolled {enrolled} and its summary counts {counted}"))
                }
                _ => None,
            },
            _ => None,
        }
    }
}
