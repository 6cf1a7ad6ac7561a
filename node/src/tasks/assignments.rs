//! Which agent does which part: all parts of an escrow are placed at once, so that they spread over agents and hosts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mesh30k_core::placement::Choice;
use mesh30k_ledger::types::{AgentId, EscrowId, NodeId};

/// Escrows whose placement is remembered, the oldest forgotten first.
const ESCROWS_MAX: usize = 64;

/// Who is asked to do a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assignee {
    pub(super) agent: AgentId,
    pub(super) host: NodeId,
}

#[derive(Debug, Default)]
struct Assignment {
    by_part: Vec<Assignee>,
    failed: BTreeSet<AgentId>,
}

/// The placements of the last escrows.
#[derive(Debug, Default)]
pub(super) struct Assignments {
    escrows: BTreeMap<EscrowId, Assignment>,
    order: VecDeque<EscrowId>,
}

impl Assignments {
    /// Who is to do a part, if the escrow is placed and its first choice has not failed.
    pub(super) fn get(&self, escrow: &EscrowId, part: u32) -> Option<Assignee> {
        let assignment = self.escrows.get(escrow)?;
        let places = assignment.by_part.len();
        // Fewer agents than parts: they take turns.
        let at = usize::try_from(part).ok()?.checked_rem(places)?;
        assignment.by_part.get(at).copied().filter(|assignee| !assignment.failed.contains(&assignee.agent))
    }

    /// Agents that failed at a part of the escrow.
    pub(super) fn failed(&self, escrow: &EscrowId) -> BTreeSet<AgentId> {
        self.escrows.get(escrow).map(|assignment| assignment.failed.clone()).unwrap_or_default()
    }

    /// Remembers a placement of all parts.
    pub(super) fn place(&mut self, escrow: EscrowId, choices: &[Choice]) {
        let by_part = choices.iter().map(|choice| Assignee { agent: choice.agent, host: choice.host }).collect();
        self.entry(escrow).by_part = by_part;
    }

    /// Remembers that an agent did not do its part.
    pub(super) fn fail(&mut self, escrow: EscrowId, agent: AgentId) {
        self.entry(escrow).failed.insert(agent);
    }

    fn entry(&mut self, escrow: EscrowId) -> &mut Assignment {
        if !self.escrows.contains_key(&escrow) {
            self.order.push_back(escrow);
            if self.order.len() > ESCROWS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.escrows.remove(&oldest);
            }
        }
        self.escrows.entry(escrow).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::types::Hash;

    fn choice(agent: u64) -> Choice {
        Choice { agent: AgentId(agent), host: NodeId(agent % 3), finish_us: 1, price_uftns: 1, carbon_g_per_kwh: 1 }
    }

    const ESCROW: Hash = Hash([1; 32]);

    #[test]
    fn parts_go_to_different_agents_while_there_are_enough_and_take_turns_after() {
        let mut assignments = Assignments::default();
        assert_eq!(assignments.get(&ESCROW, 0), None);
        assignments.place(ESCROW, &[choice(1), choice(2), choice(3)]);
        let agents: BTreeSet<_> = (0..3).map(|part| assignments.get(&ESCROW, part).unwrap().agent).collect();
        assert_eq!(agents.len(), 3);
        assert_eq!(assignments.get(&ESCROW, 3), assignments.get(&ESCROW, 0));
    }

    #[test]
    fn who_failed_is_not_asked_again() {
        let mut assignments = Assignments::default();
        assignments.place(ESCROW, &[choice(1), choice(2)]);
        assignments.fail(ESCROW, AgentId(1));
        assert_eq!(assignments.get(&ESCROW, 0), None);
        assert!(assignments.get(&ESCROW, 1).is_some());
        assert_eq!(assignments.failed(&ESCROW), BTreeSet::from([AgentId(1)]));
    }

    #[test]
    fn old_escrows_are_forgotten() {
        let mut assignments = Assignments::default();
        for at in 0..=u8::try_from(ESCROWS_MAX).unwrap() {
            assignments.place(Hash([at; 32]), &[choice(1)]);
        }
        assert_eq!(assignments.escrows.len(), ESCROWS_MAX);
        assert!(assignments.get(&Hash([0; 32]), 0).is_none());
    }
}
