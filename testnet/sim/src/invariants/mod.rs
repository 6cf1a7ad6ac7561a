//! What must hold in every run, whatever goes wrong: one rule a file, each fed with facts and never with a machine's
//! opinion of itself.

mod acks;
mod budget;
mod denominators;
mod early;
mod twice;

use mesh30k_core::event::{EventId, FoldedAck};
use mesh30k_ledger::types::{AgentId, Scope};

/// Something that happened, by the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'a> {
    /// A parent was told an event that means so many agents below it; the children by their own counts.
    Dispatched { event: EventId, at: Scope, children: &'a [(Scope, u32)], effects: bool },
    /// An agent released in the slot of `slot`. `bound_us` is how wrong its clock may have been, as far as anybody could
    /// know; none when it was not held to a clock.
    Released { event: EventId, agent: AgentId, slot: AgentId, error_us: i64, bound_us: Option<i64> },
    /// The final answer of one agent was handed to its living lead, so long after T.
    Answered { event: EventId, lead: Scope, agent: AgentId, after_us: i64 },
    /// A child's summary was handed to a living parent.
    Delivered { parent: Scope, fold: &'a FoldedAck },
    /// A machine died; what it knew is lost.
    Died { at: Scope },
    /// A machine sent its summary, or the orchestrator published it.
    Folded { fold: &'a FoldedAck },
    /// A standby was sent for a slot.
    Hedged { event: EventId, lead: Scope },
    /// Nothing more is expected of an event that enrolled so many.
    Closed { event: EventId, enrolled: u32 },
}

/// One rule.
pub(crate) trait Invariant {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// Takes in a fact; says what is wrong, if it breaks the rule.
    fn see(&mut self, fact: &Fact<'_>) -> Option<String>;
}

/// Most breaches told in words.
const TOLD_MAX: usize = 20;

/// All rules over one run.
pub(crate) struct Watch {
    rules: [Box<dyn Invariant>; 5],
    breaches: Vec<String>,
    count: u64,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Watch {
    pub(crate) fn new(hedge_budget_ppm: u64) -> Self {
        let rules: [Box<dyn Invariant>; 5] = [
            Box::new(early::Early),
            Box::new(twice::Twice::default()),
            Box::new(acks::Acks::default()),
            Box::new(denominators::Denominators::default()),
            Box::new(budget::Budget::new(hedge_budget_ppm)),
        ];
        Self { rules, breaches: Vec::new(), count: 0 }
    }

    pub(crate) fn see(&mut self, fact: &Fact<'_>) {
        for rule in &mut self.rules {
            if let Some(what) = rule.see(fact) {
                self.count += 1;
                if self.breaches.len() < TOLD_MAX {
                    self.breaches.push(format!("{}: {what}", rule.name()));
                }
            }
        }
    }

    /// What did not hold, and how often in all.
    pub(crate) fn verdict(mut self) -> Vec<String> {
        if self.count > self.breaches.len() as u64 {
            self.breaches.push(format!("{} breaches in all", self.count));
        }
        self.breaches
    }
}
