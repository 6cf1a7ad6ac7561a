//! Answers to questions, grouped and counted on their way up. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mesh30k_core::event::EventId;
use mesh30k_ledger::types::{AgentId, Scope};

use super::content::ANSWER_BYTES_MAX;
use super::wire::{AnswerCount, SaidGroup};

/// Events whose answers are kept, at most, per node and role.
const EVENTS_MAX: usize = 256;
/// Different answers to one event kept apart; more are counted together.
pub(super) const GROUPS_MAX: usize = 64;
/// Where the rest is counted.
const REST: &str = "(other answers)";

/// Counts by answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups(BTreeMap<String, u64>);

impl Groups {
    pub(super) fn add(&mut self, answer: &str, count: u64) {
        let known = self.0.contains_key(answer) || self.0.len() < GROUPS_MAX;
        let fits = answer.len() <= ANSWER_BYTES_MAX;
        let slot = self.0.entry(if known && fits { answer } else { REST }.to_owned()).or_default();
        *slot = slot.saturating_add(count);
    }

    fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(answer, count)| self.add(answer, *count));
    }

    pub(super) fn from_wire(groups: &[AnswerCount]) -> Self {
        let mut own = Self::default();
        groups.iter().take(GROUPS_MAX + 1).for_each(|group| own.add(&group.answer, u64::from(group.count)));
        own
    }

    pub(super) fn to_wire(&self) -> Vec<AnswerCount> {
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        self.0.iter().map(|(answer, n)| AnswerCount { answer: answer.clone(), count: count(*n) }).collect()
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Most given first.
    pub(super) fn ranked(&self) -> Vec<(String, u64)> {
        let mut rows: Vec<(String, u64)> = self.0.iter().map(|(answer, count)| (answer.clone(), *count)).collect();
        rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        rows
    }
}

/// What each child of each part of the tree this node answers for has said.
#[derive(Debug, Default)]
pub(super) struct AnswerBook {
    told: BTreeMap<(EventId, Scope), BTreeMap<Scope, Groups>>,
    /// Slots that answered, at the lead: the first answer counts.
    answered: BTreeMap<(EventId, Scope), BTreeSet<AgentId>>,
    order: VecDeque<(EventId, Scope)>,
}

impl AnswerBook {
    /// Answers of single agents below `own`: they add up, one for each slot that `is_member`.
    pub(super) fn add(&mut self, event: EventId, own: Scope, said: &[SaidGroup], is_member: impl Fn(AgentId) -> bool) {
        let answered = self.answered.entry((event, own)).or_default();
        let mut groups = Groups::default();
        for group in said.iter().take(GROUPS_MAX + 1) {
            let first = group.slots.iter().filter(|slot| is_member(**slot) && answered.insert(**slot)).count();
            if first > 0 {
                groups.add(&group.answer, first as u64);
            }
        }
        self.child(event, own, own).merge(&groups);
    }

    /// The summary of `child`, which replaces what it said before.
    pub(super) fn replace(&mut self, event: EventId, own: Scope, child: Scope, groups: Groups) {
        *self.child(event, own, child) = groups;
    }

    /// Everything said below `own`.
    pub(super) fn sum(&self, event: EventId, own: Scope) -> Groups {
        let mut sum = Groups::default();
        if let Some(children) = self.told.get(&(event, own)) {
            children.values().for_each(|groups| sum.merge(groups));
        }
        sum
    }

    fn child(&mut self, event: EventId, own: Scope, child: Scope) -> &mut Groups {
        let key = (event, own);
        if !self.told.contains_key(&key) {
            if self.order.len() >= EVENTS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.told.remove(&oldest);
                self.answered.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.told.entry(key).or_default().entry(child).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_core::time::TimeUs;
    use mesh30k_ledger::types::{ClusterId, SectorId};

    #[test]
    fn each_slot_counts_once_and_a_correction_replaces() {
        let event = EventId::new(TimeUs(1), &[1; 32]);
        let sector = Scope::Sector(SectorId(0));
        let cluster = |index| Scope::Cluster(ClusterId { sector: SectorId(0), index });
        let groups = |count| {
            let mut groups = Groups::default();
            groups.add("A", count);
            groups
        };
        let mut book = AnswerBook::default();
        let said = |slots: &[u64]| {
            let slots = slots.iter().copied().map(AgentId).collect();
            [SaidGroup { answer: "A".to_owned(), slots }]
        };
        book.add(event, cluster(0), &said(&[1, 2]), |_| true);
        book.add(event, cluster(0), &said(&[2, 3, 4, 5, 99]), |slot| slot.0 < 50);
        assert_eq!(book.sum(event, cluster(0)).ranked(), vec![("A".to_owned(), 5)]);
        book.replace(event, sector, cluster(0), groups(4));
        book.replace(event, sector, cluster(0), groups(5));
        book.replace(event, sector, cluster(1), groups(1));
        assert_eq!(book.sum(event, sector).total(), 6);
    }

    #[test]
    fn too_many_or_too_long_answers_are_counted_together_and_none_is_lost() {
        let mut groups = Groups::default();
        for n in 0..(GROUPS_MAX as u64 * 2) {
            groups.add(&format!("answer {n}"), 1);
        }
        groups.add(&"x".repeat(ANSWER_BYTES_MAX + 1), 7);
        assert_eq!(groups.total(), GROUPS_MAX as u64 * 2 + 7);
        assert!(groups.ranked().len() <= GROUPS_MAX + 1);
        assert_eq!(Groups::from_wire(&groups.to_wire()).total(), groups.total());
    }

    #[test]
    fn old_events_make_room() {
        let mut book = AnswerBook::default();
        let one = [SaidGroup { answer: "A".to_owned(), slots: vec![AgentId(1)] }];
        for n in 0..=EVENTS_MAX {
            let nonce = [u8::try_from(n % 251).unwrap(); 32];
            book.add(EventId::new(TimeUs(i64::try_from(n).unwrap() * 1_000), &nonce), Scope::Global, &one, |_| true);
        }
        assert_eq!(book.told.len(), EVENTS_MAX);
    }
}
