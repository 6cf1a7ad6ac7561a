//! Whom to dial and when: bootstrap addresses and reserved peers, for ever, with jittered backoff.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};

use crate::backoff::Backoff;
use crate::clock::Instant;

/// Peers and addresses kept at most.
pub const MAX_TARGETS: usize = 256;

/// Somebody or somewhere to be connected to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A peer, at the addresses the book has for it.
    Peer(PeerId),
    /// An address whose peer is not known beforehand.
    Address(Multiaddr),
}

#[derive(Debug)]
struct Plan {
    backoff: Backoff,
    state: State,
    /// Set by [`Redial::reserve`], as opposed to bootstrap.
    reserved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    DueAt(Instant),
    /// Look again then if no outcome was heard of.
    Dialling(Instant),
    Connected(PeerId),
}

/// The plan of all targets.
#[derive(Debug)]
pub(crate) struct Redial {
    plans: BTreeMap<Target, Plan>,
    first: Duration,
    max: Duration,
    patience: Duration,
    seed: u64,
}

impl Redial {
    /// `patience` is how long a dial may go without an outcome.
    pub(crate) fn new(first: Duration, max: Duration, patience: Duration, seed: u64) -> Self {
        Self { plans: BTreeMap::new(), first, max, patience, seed }
    }

    /// Adds a target, due at once; false when there are too many.
    pub(crate) fn add(&mut self, now: Instant, target: Target, connected: Option<PeerId>, reserved: bool) -> bool {
        if self.plans.len() >= MAX_TARGETS && !self.plans.contains_key(&target) {
            return false;
        }
        self.seed = self.seed.wrapping_add(1);
        let plan = self.plans.entry(target).or_insert_with(|| Plan {
            backoff: Backoff::new(self.first, self.max, self.seed),
            state: connected.map_or(State::DueAt(now), State::Connected),
            reserved: false,
        });
        plan.reserved |= reserved;
        true
    }

    pub(crate) fn remove(&mut self, peer: &PeerId) {
        self.plans.remove(&Target::Peer(*peer));
    }

    pub(crate) fn is_reserved(&self, peer: &PeerId) -> bool {
        self.plans.get(&Target::Peer(*peer)).is_some_and(|plan| plan.reserved)
    }

    /// Targets to dial now; they count as being dialled from here on.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Target> {
        let mut due = Vec::new();
        for (target, plan) in &mut self.plans {
            if let State::DueAt(at) | State::Dialling(at) = plan.state
                && at <= now
            {
                plan.state = State::Dialling(now + self.patience);
                due.push(target.clone());
            }
        }
        due
    }

    /// A peer is connected; `dialled` is the address target that led there, if one did.
    pub(crate) fn connected(&mut self, peer: PeerId, dialled: Option<&Multiaddr>) {
        let of_address = dialled.map(|address| Target::Address(address.clone()));
        for target in [Some(Target::Peer(peer)), of_address].into_iter().flatten() {
            if let Some(plan) = self.plans.get_mut(&target) {
                plan.state = State::Connected(peer);
                plan.backoff.reset();
            }
        }
    }

    /// A peer is gone: its targets are due after a first, short delay.
    pub(crate) fn disconnected(&mut self, now: Instant, peer: &PeerId) {
        for plan in self.plans.values_mut().filter(|p| p.state == State::Connected(*peer)) {
            plan.state = State::DueAt(now + plan.backoff.next_delay());
        }
    }

    /// A dial failed.
    pub(crate) fn failed(&mut self, now: Instant, target: &Target) {
        if let Some(plan) = self.plans.get_mut(target)
            && !matches!(plan.state, State::Connected(_))
        {
            plan.state = State::DueAt(now + plan.backoff.next_delay());
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        let times = self.plans.values().filter_map(|plan| match plan.state {
            State::DueAt(at) | State::Dialling(at) => Some(at),
            State::Connected(_) => None,
        });
        times.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn redial() -> Redial {
        Redial::new(Duration::from_millis(100), Duration::from_secs(5), Duration::from_secs(10), 1)
    }

    #[test]
    fn a_target_is_tried_for_ever_with_bounded_delays() {
        let (mut now, peer) = (clock::now(), PeerId::random());
        let mut redial = redial();
        redial.add(now, Target::Peer(peer), None, true);
        for _ in 0..200 {
            assert_eq!(redial.due(now), vec![Target::Peer(peer)]);
            assert!(redial.due(now).is_empty(), "one dial at a time");
            redial.failed(now, &Target::Peer(peer));
            let next = redial.next_wakeup().unwrap();
            assert!(next > now && next - now <= Duration::from_millis(7500));
            now = next;
        }
    }

    #[test]
    fn a_connected_target_rests_until_its_peer_is_gone() {
        let (now, peer) = (clock::now(), PeerId::random());
        let address: Multiaddr = "/memory/1".parse().unwrap();
        let mut redial = redial();
        redial.add(now, Target::Address(address.clone()), None, false);
        redial.due(now);
        redial.connected(peer, Some(&address));
        assert_eq!(redial.next_wakeup(), None);
        redial.failed(now, &Target::Address(address.clone()));
        assert_eq!(redial.next_wakeup(), None, "a second dial's failure changes nothing");
        redial.disconnected(now, &peer);
        assert_eq!(redial.due(redial.next_wakeup().unwrap()), vec![Target::Address(address)]);
    }

    #[test]
    fn a_dial_without_outcome_is_tried_again() {
        let (now, peer) = (clock::now(), PeerId::random());
        let mut redial = redial();
        redial.add(now, Target::Peer(peer), None, true);
        redial.due(now);
        assert_eq!(redial.due(now + Duration::from_secs(10)), vec![Target::Peer(peer)]);
    }
}
