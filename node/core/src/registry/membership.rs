//! Which agents a sector's view holds: what only joining and leaving change.

use super::{Capabilities, Record};
use mesh30k_ledger::types::AgentId;
use std::sync::Arc;

/// The agents of a view, each at its *slot*. Shared by all views between two changes of membership, so a report costs
/// nothing here.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// In rising order; an agent's place is its slot.
    agents: Vec<AgentId>,
    union: Capabilities,
}

impl Membership {
    /// The membership of records in rising order of their agents.
    pub(super) fn of(records: &[Arc<Record>]) -> Self {
        let union = records.iter().fold(Capabilities(0), |union, record| union.union(record.capabilities));
        Self { agents: records.iter().map(|record| record.agent).collect(), union }
    }

    /// The agents, in rising order.
    pub(super) fn agents(&self) -> &[AgentId] {
        &self.agents
    }

    /// Where `agent` is.
    pub(super) fn slot(&self, agent: AgentId) -> Option<usize> {
        self.agents.binary_search(&agent).ok()
    }

    /// Every capability that some agent has.
    pub(super) const fn union(&self) -> Capabilities {
        self.union
    }
}
