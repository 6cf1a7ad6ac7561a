//! Standbys stay within their budget: each event adds a lead's share, what is not used is saved for at most four events.

use std::collections::BTreeMap;

use mesh30k_core::event::EventId;
use mesh30k_ledger::types::Scope;

use super::{Fact, Invariant};

/// Events whose share may be saved up.
const SAVED_EVENTS: u64 = 4;
const PPM: u64 = 1_000_000;

/// One lead's account, in millionths of a standby.
#[derive(Default)]
struct Account {
    earned: u64,
    most: u64,
    spent: u64,
    /// Standbys of each open event.
    events: BTreeMap<EventId, u64>,
}

pub(super) struct Budget {
    ppm: u64,
    leads: BTreeMap<Scope, Account>,
}

impl Budget {
    pub(super) const fn new(ppm: u64) -> Self {
        Self { ppm, leads: BTreeMap::new() }
    }
}

impl Invariant for Budget {
    fn name(&self) -> &'static str {
        "hedge budget kept"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Option<String> {
        match *fact {
            Fact::Dispatched { children, .. } => {
                for (lead, agents) in children.iter().filter(|(child, _)| matches!(child, Scope::Cluster(_))) {
                    let account = self.leads.entry(*lead).or_default();
                    let share = u64::from(*agents) * self.ppm;
                    account.earned += share;
                    // A share below one standby still allows one now and then.
                    let most = if share == 0 { 0 } else { (share * SAVED_EVENTS).max(PPM) };
                    account.most = account.most.max(most);
                }
                None
            }
            Fact::Hedged { event, lead } => {
                let account = self.leads.entry(lead).or_default();
                account.spent += PPM;
                let of_event = account.events.entry(event).or_default();
                *of_event += PPM;
                let over = *of_event > account.most || account.spent > account.earned + account.most;
                over.then(|| {
                    let (now, all) = (*of_event / PPM, account.spent / PPM);
                    format!("{lead:?} sent {now} standbys in {event}, {all} in all")
                })
            }
            Fact::Closed { event, .. } => {
                self.leads.values_mut().for_each(|account| {
                    account.events.remove(&event);
                });
                None
            }
            _ => None,
        }
    }
}
