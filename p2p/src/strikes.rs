//! Counts what peers do wrong and says when it is enough.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::PeerId;

use crate::clock::Instant;

/// Strikes within [`STRIKE_WINDOW`] that get a peer refused.
pub const MAX_STRIKES: u32 = 3;
/// Strikes older than this are forgotten.
pub const STRIKE_WINDOW: Duration = Duration::from_secs(60);
/// How long after a stream broke off within a frame the connection must live on for it to count.
const TRUNCATION_GRACE: Duration = Duration::from_secs(1);
/// Peers remembered at most; beyond, the one whose window ends first is forgotten.
const MAX_PEERS: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Record {
    strikes: u32,
    since: Instant,
}

/// The book of strikes, refusals and truncations under review.
#[derive(Debug)]
pub(crate) struct Strikes {
    refusal: Duration,
    records: BTreeMap<PeerId, Record>,
    refused_until: BTreeMap<PeerId, Instant>,
    under_review: BTreeMap<PeerId, Instant>,
}

impl Strikes {
    pub(crate) fn new(refusal: Duration) -> Self {
        Self { refusal, records: BTreeMap::new(), refused_until: BTreeMap::new(), under_review: BTreeMap::new() }
    }

    /// Counts a strike; returns how many there are now, and whether that is enough.
    pub(crate) fn strike(&mut self, now: Instant, peer: PeerId) -> (u32, bool) {
        self.records.retain(|_, r| now.saturating_duration_since(r.since) < STRIKE_WINDOW);
        if self.records.len() >= MAX_PEERS
            && let Some(oldest) = self.records.iter().min_by_key(|(_, r)| r.since).map(|(p, _)| *p)
        {
            self.records.remove(&oldest);
        }
        let record = self.records.entry(peer).or_insert(Record { strikes: 0, since: now });
        record.strikes = record.strikes.saturating_add(1);
        (record.strikes, record.strikes >= MAX_STRIKES)
    }

    /// Refuses a peer from now on, for the configured time. A fresh start follows.
    pub(crate) fn refuse(&mut self, now: Instant, peer: PeerId) {
        self.records.remove(&peer);
        self.under_review.remove(&peer);
        self.refused_until.insert(peer, now + self.refusal);
    }

    /// Refuses a peer that did not say who it is. Silence is rarely ill will: most often a machine has too much to do. So it may come
    /// back after `pause`, unless that was the last strike it had.
    pub(crate) fn refuse_silent(&mut self, now: Instant, peer: PeerId, pause: Duration) {
        let (_, enough) = self.strike(now, peer);
        if enough {
            return self.refuse(now, peer);
        }
        self.under_review.remove(&peer);
        self.refused_until.insert(peer, now + pause);
    }

    /// A stream broke off within a frame: look again after a grace whether the connection lives on.
    pub(crate) fn review(&mut self, now: Instant, peer: PeerId) {
        if self.under_review.len() < MAX_PEERS {
            self.under_review.entry(peer).or_insert(now + TRUNCATION_GRACE);
        }
    }

    /// The connection went too: no fault in it.
    pub(crate) fn disconnected(&mut self, peer: &PeerId) {
        self.under_review.remove(peer);
    }

    /// Peers whose refusal is over.
    pub(crate) fn pardoned(&mut self, now: Instant) -> Vec<PeerId> {
        take_due(&mut self.refused_until, now)
    }

    /// Peers still connected when their grace is over.
    pub(crate) fn truncated(&mut self, now: Instant) -> Vec<PeerId> {
        take_due(&mut self.under_review, now)
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.refused_until.values().chain(self.under_review.values()).min().copied()
    }
}

fn take_due(deadlines: &mut BTreeMap<PeerId, Instant>, now: Instant) -> Vec<PeerId> {
    let due: Vec<_> = deadlines.iter().filter(|(_, at)| **at <= now).map(|(peer, _)| *peer).collect();
    for peer in &due {
        deadlines.remove(peer);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn three_strikes_within_the_window_are_enough_and_old_ones_are_forgotten() {
        let (t, peer) = (clock::now(), PeerId::random());
        let mut strikes = Strikes::new(Duration::from_secs(60));
        assert_eq!(strikes.strike(t, peer), (1, false));
        assert_eq!(strikes.strike(t, peer), (2, false));
        assert_eq!(strikes.strike(t + STRIKE_WINDOW, peer), (1, false));
        assert_eq!(strikes.strike(t + STRIKE_WINDOW, peer), (2, false));
        assert_eq!(strikes.strike(t + STRIKE_WINDOW, peer), (3, true));
    }

    #[test]
    fn who_is_silent_may_come_back_soon_but_not_again_and_again() {
        let (t, peer, pause) = (clock::now(), PeerId::random(), Duration::from_secs(5));
        let mut strikes = Strikes::new(Duration::from_secs(60));
        let refused = [0, 10, 20].map(|second| {
            let at = t + Duration::from_secs(second);
            strikes.refuse_silent(at, peer, pause);
            let until = strikes.next_wakeup().unwrap();
            assert_eq!(strikes.pardoned(until), vec![peer]);
            (until - at).as_secs()
        });
        assert_eq!(refused, [5, 5, 60]);
        assert_eq!(strikes.strike(t + Duration::from_secs(21), peer), (1, false), "a refusal is served in full");
    }

    #[test]
    fn a_refusal_ends_by_itself() {
        let (t, peer) = (clock::now(), PeerId::random());
        let mut strikes = Strikes::new(Duration::from_secs(60));
        strikes.refuse(t, peer);
        assert_eq!(strikes.next_wakeup(), Some(t + Duration::from_secs(60)));
        assert!(strikes.pardoned(t + Duration::from_secs(59)).is_empty());
        assert_eq!(strikes.pardoned(t + Duration::from_secs(60)), vec![peer]);
        assert_eq!(strikes.next_wakeup(), None);
    }

    #[test]
    fn a_truncation_counts_only_if_the_connection_lives_on() {
        let (t, stayed, left) = (clock::now(), PeerId::random(), PeerId::random());
        let mut strikes = Strikes::new(Duration::from_secs(60));
        strikes.review(t, stayed);
        strikes.review(t, left);
        strikes.disconnected(&left);
        assert_eq!(strikes.truncated(t + TRUNCATION_GRACE), vec![stayed]);
    }
}
