//! Which agents a sector's view holds: what only joining and leaving change.

use super::{Capabilities, Record};
use mesh30k_ledger::types::AgentId;
use std::sync::Arc;

/// Bits of a capability set.
const CAPABILITY_BITS: usize = u64::BITS as usize;

/// The agents of a view, each at its *slot*, and who has which capability. Shared by all views between two changes of
/// membership, so a report costs nothing here.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// In rising order; an agent's place is its slot.
    agents: Vec<AgentId>,
    /// For each capability bit the slots of those who have it, in rising order.
    holders: Vec<Vec<u32>>,
    union: Capabilities,
}

impl Membership {
    /// The membership of records in rising order of their agents.
    pub(super) fn of(records: &[Arc<Record>]) -> Self {
        let mut holders = vec![Vec::new(); CAPABILITY_BITS];
        for (slot, record) in (0_u32..).zip(records) {
            for (_, of_bit) in (0..).zip(&mut holders).filter(|(bit, _)| has(record.capabilities, *bit)) {
                of_bit.push(slot);
            }
        }
        holders.iter_mut().for_each(Vec::shrink_to_fit);
        let union = records.iter().fold(Capabilities(0), |union, record| union.union(record.capabilities));
        Self { agents: records.iter().map(|record| record.agent).collect(), holders, union }
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

    /// The holders of the rarest of the wanted capabilities: whoever has all of them is among these. Nothing when none
    /// is wanted.
    pub(super) fn fewest_holders(&self, wanted: Capabilities) -> Option<&[u32]> {
        let wanted = (0..).zip(&self.holders).filter(|(bit, _)| has(wanted, *bit));
        wanted.map(|(_, holders)| holders.as_slice()).min_by_key(|holders| holders.len())
    }
}

fn has(capabilities: Capabilities, bit: u32) -> bool {
    capabilities.0.checked_shr(bit).unwrap_or(0) & 1 == 1
}
