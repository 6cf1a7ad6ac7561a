//! Agents that hold until their instant. Letting them go is one cut through an ordered map, whatever their number, so that a
//! hundred hosts on two cores can do it within the same millisecond; what follows from it is worked off afterwards.

use std::collections::{BTreeMap, VecDeque};

use super::due::SlotKey;

/// By due instant, equal ones in the order they were planned.
type Held = BTreeMap<(i64, u64), SlotKey>;

/// Who holds, and who was let go and is not accounted for yet. Times are true time, microseconds.
#[derive(Debug, Default)]
pub(super) struct Releases {
    held: Held,
    gone: VecDeque<(i64, Held)>,
    turn: u64,
}

impl Releases {
    /// `key` holds until `due_us`.
    pub(super) fn hold(&mut self, due_us: i64, key: SlotKey) {
        self.turn = self.turn.wrapping_add(1);
        self.held.insert((due_us, self.turn), key);
    }

    /// Lets go whoever is due at `now_us`.
    pub(super) fn let_go(&mut self, now_us: i64) {
        let later = self.held.split_off(&(now_us.saturating_add(1), 0));
        let due = std::mem::replace(&mut self.held, later);
        if !due.is_empty() {
            self.gone.push_back((now_us, due));
        }
    }

    /// When the next one was let go that is not accounted for, or is due.
    pub(super) fn next_us(&self) -> Option<i64> {
        self.gone.front().map(|(at_us, _)| *at_us).or_else(|| self.next_held_us())
    }

    /// When the next one is due that still holds.
    pub(super) fn next_held_us(&self) -> Option<i64> {
        self.held.first_key_value().map(|((due_us, _), _)| *due_us)
    }

    /// When the last one is due of those who are due at most `grain_us` after the next one.
    pub(super) fn next_held_together_us(&self, grain_us: i64) -> Option<i64> {
        let until_us = self.next_held_us()?.saturating_add(grain_us);
        self.held.range(..=(until_us, u64::MAX)).next_back().map(|((due_us, _), _)| *due_us)
    }

    /// The next one that was let go, or is at `now_us`, with the instant at which it was.
    pub(super) fn pop(&mut self, now_us: i64) -> Option<(i64, SlotKey)> {
        self.pop_gone().or_else(|| {
            let first = self.held.first_entry().filter(|first| first.key().0 <= now_us)?;
            Some((now_us, first.remove()))
        })
    }

    /// The next one that was let go already.
    pub(super) fn pop_gone(&mut self) -> Option<(i64, SlotKey)> {
        let (at_us, keys) = self.gone.front_mut()?;
        let gone = keys.pop_first().map(|(_, key)| (*at_us, key));
        if keys.is_empty() {
            self.gone.pop_front();
        }
        gone
    }

    /// How many hold or are not accounted for.
    pub(super) fn len(&self) -> usize {
        self.gone.iter().map(|(_, keys)| keys.len()).fold(self.held.len(), usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use mesh30k_ledger::types::AgentId;

    use super::*;
    use crate::event::EventId;

    fn key(agent: u64) -> SlotKey {
        SlotKey { event: EventId([0; 16]), agent: AgentId(agent), slot: AgentId(agent) }
    }

    #[test]
    fn who_was_let_go_keeps_its_instant_and_nobody_goes_twice() {
        let mut releases = Releases::default();
        [(50, 1), (10, 2), (30, 3), (30, 4)].into_iter().for_each(|(due_us, agent)| releases.hold(due_us, key(agent)));
        releases.let_go(9);
        assert_eq!((releases.next_us(), releases.len()), (Some(10), 4));
        let together = [0, 19, 20, 39, 40].map(|grain_us| releases.next_held_together_us(grain_us));
        assert_eq!(together, [10, 10, 30, 30, 50].map(Some));
        releases.let_go(31);
        assert_eq!((releases.next_us(), releases.next_held_us(), releases.len()), (Some(31), Some(50), 4));
        let gone: Vec<_> = std::iter::from_fn(|| releases.pop(60)).collect();
        assert_eq!(gone, [(31, key(2)), (31, key(3)), (31, key(4)), (60, key(1))]);
        assert_eq!((releases.next_us(), releases.next_held_together_us(9), releases.len()), (None, None, 0));
    }
}
