//! Connections by peer, and the rule by which both ends close the same duplicate.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use crate::clock::Instant;
use crate::directory::{Direction, PeerInfo};

/// Pings of a connection that may fail in a row before it is closed.
const MAX_PING_FAILURES: u32 = 2;
/// Who looks later than this after the end of its patience slept itself, and what peers said meanwhile may lie unread.
const OWN_STALL: Duration = Duration::from_millis(250);

/// One established connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) direction: Direction,
    pub(crate) address: Multiaddr,
    pub(crate) since: Instant,
    pub(crate) ping_failures: u32,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    connections: Vec<Connection>,
    verified: bool,
    /// From when on its patience counts anew, after a stall of this node.
    anew: Option<Instant>,
    /// Given up on; its connections are being closed.
    overdue: bool,
    rtt: Option<Duration>,
}

/// All connected peers.
#[derive(Debug)]
pub(crate) struct Table {
    local: PeerId,
    /// Connections closer together than a dial can take are simultaneous dials.
    simultaneous: Duration,
    identify: Duration,
    peers: BTreeMap<PeerId, Entry>,
}

impl Table {
    pub(crate) fn new(local: PeerId, handshake: Duration, identify: Duration) -> Self {
        Self { local, simultaneous: handshake, identify, peers: BTreeMap::new() }
    }

    /// Records a connection; returns one to close if there are two now.
    ///
    /// Of simultaneous dials the one dialled by the smaller peer id stays, which both ends can tell. Later than a dial
    /// can take, the newer stays: whoever dials while there is a connection has lost the old one. Of two dialled by one
    /// side, that side alone decides.
    pub(crate) fn established(&mut self, peer: PeerId, new: Connection) -> Option<ConnectionId> {
        let smaller = if self.local < peer { Direction::Outbound } else { Direction::Inbound };
        let simultaneous = self.simultaneous;
        let entry = self.peers.entry(peer).or_default();
        let closed = entry.connections.first().and_then(|old| {
            if new.since.saturating_duration_since(old.since) > simultaneous {
                Some(old.id)
            } else if old.direction == new.direction {
                (new.direction == Direction::Outbound).then_some(new.id)
            } else if new.direction == smaller {
                Some(old.id)
            } else {
                Some(new.id)
            }
        });
        entry.connections.push(new);
        closed
    }

    /// Forgets a connection; returns whether it was the last of a verified peer.
    pub(crate) fn closed(&mut self, peer: &PeerId, id: ConnectionId) -> Closed {
        let Some(entry) = self.peers.get_mut(peer) else { return Closed::Unknown };
        entry.connections.retain(|c| c.id != id);
        if !entry.connections.is_empty() {
            return Closed::OthersRemain;
        }
        let verified = entry.verified;
        self.peers.remove(peer);
        if verified { Closed::LastVerified } else { Closed::LastUnverified }
    }

    /// The peer said it is of our chain; true the first time.
    pub(crate) fn verify(&mut self, peer: &PeerId) -> bool {
        self.peers.get_mut(peer).is_some_and(|entry| !std::mem::replace(&mut entry.verified, true))
    }

    pub(crate) fn is_connected(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    pub(crate) fn verified_count(&self) -> usize {
        self.peers.values().filter(|e| e.verified).count()
    }

    /// A ping's outcome; true when the connection is to be closed.
    pub(crate) fn pinged(&mut self, peer: &PeerId, id: ConnectionId, rtt: Option<Duration>) -> bool {
        let Some(entry) = self.peers.get_mut(peer) else { return false };
        if rtt.is_some() {
            entry.rtt = rtt;
        }
        let Some(connection) = entry.connections.iter_mut().find(|c| c.id == id) else { return false };
        connection.ping_failures = if rtt.is_some() { 0 } else { connection.ping_failures.saturating_add(1) };
        connection.ping_failures >= MAX_PING_FAILURES
    }

    /// What is known of a verified peer; the connection in use is the first.
    pub(crate) fn info(&self, peer: &PeerId, reserved: bool) -> Option<PeerInfo> {
        let entry = self.peers.get(peer).filter(|e| e.verified)?;
        let first = entry.connections.first()?;
        Some(PeerInfo {
            peer: *peer,
            direction: first.direction,
            address: first.address.clone(),
            rtt: entry.rtt,
            reserved,
            connections: entry.connections.len(),
        })
    }

    /// Connected peers that did not identify themselves in time; each is named once. After a stall of this node itself their time
    /// begins anew: a node that starts on a busy machine would give up on everybody at once.
    pub(crate) fn unidentified(&mut self, now: Instant) -> Vec<PeerId> {
        let mut late = Vec::new();
        for (peer, entry) in &mut self.peers {
            let Some(deadline) = entry.identify_by(self.identify).filter(|deadline| *deadline <= now) else { continue };
            if now.saturating_duration_since(deadline) > OWN_STALL {
                entry.anew = Some(now);
            } else {
                entry.overdue = true;
                late.push(*peer);
            }
        }
        late
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.peers.values().filter_map(|entry| entry.identify_by(self.identify)).min()
    }
}

impl Entry {
    /// Until when the peer has to identify itself, if it still has to.
    fn identify_by(&self, patience: Duration) -> Option<Instant> {
        let waiting = !self.verified && !self.overdue;
        let since = self.connections.first().filter(|_| waiting).map(|first| first.since)?;
        Some(self.anew.map_or(since, |anew| anew.max(since)) + patience)
    }
}

/// What a closed connection leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Another connection to the peer.
    OthersRemain,
    /// Nothing; the peer had been announced.
    LastVerified,
    /// Nothing; the peer had not been announced.
    LastUnverified,
    /// It was not known.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(5);

    fn connection(id: usize, direction: Direction, since: Instant) -> Connection {
        Connection {
            id: ConnectionId::new_unchecked(id),
            direction,
            address: Multiaddr::empty(),
            since,
            ping_failures: 0,
        }
    }

    proptest! {
        /// Two ends see the two connections of a simultaneous dial in any order; they must close the same one.
        #[test]
        fn both_ends_close_the_same_duplicate(order_a: bool, order_b: bool, gap_ms in 0_u64..4000) {
            let (a, b) = (PeerId::random(), PeerId::random());
            let (t, gap) = (clock::now(), Duration::from_millis(gap_ms));
            // Connection 1 was dialled by a, connection 2 by b.
            let survivors = [(a, b, order_a), (b, a, order_b)].map(|(local, remote, first_is_one)| {
                let mut table = Table::new(local, WINDOW, WINDOW);
                let side = |id| if (id == 1) == (local == a) { Direction::Outbound } else { Direction::Inbound };
                let (first, second) = if first_is_one { (1, 2) } else { (2, 1) };
                assert_eq!(table.established(remote, connection(first, side(first), t)), None);
                table.established(remote, connection(second, side(second), t + gap))
            });
            prop_assert!(survivors[0].is_some());
            prop_assert_eq!(survivors[0], survivors[1]);
        }
    }

    #[test]
    fn much_later_the_newer_connection_wins_whoever_dialled_it() {
        let (local, peer, t) = (PeerId::random(), PeerId::random(), clock::now());
        for direction in [Direction::Inbound, Direction::Outbound] {
            let mut table = Table::new(local, WINDOW, WINDOW);
            table.established(peer, connection(1, Direction::Outbound, t));
            let later = t + WINDOW + Duration::from_millis(1);
            let closed = table.established(peer, connection(2, direction, later));
            assert_eq!(closed, Some(ConnectionId::new_unchecked(1)));
        }
    }

    #[test]
    fn unanswered_pings_close_and_an_answer_forgives() {
        let (peer, t, id) = (PeerId::random(), clock::now(), ConnectionId::new_unchecked(1));
        let mut table = Table::new(PeerId::random(), WINDOW, WINDOW);
        table.established(peer, connection(1, Direction::Inbound, t));
        assert!(!table.pinged(&peer, id, None));
        assert!(!table.pinged(&peer, id, Some(Duration::from_millis(1))));
        assert!(!table.pinged(&peer, id, None));
        assert!(table.pinged(&peer, id, None));
    }

    #[test]
    fn a_peer_is_announced_once_and_only_after_it_identified_itself() {
        let (peer, t, id) = (PeerId::random(), clock::now(), ConnectionId::new_unchecked(1));
        let mut table = Table::new(PeerId::random(), WINDOW, WINDOW);
        table.established(peer, connection(1, Direction::Inbound, t));
        assert_eq!(table.info(&peer, false), None);
        assert_eq!(table.next_wakeup(), Some(t + WINDOW));
        assert_eq!(table.unidentified(t + WINDOW), vec![peer]);
        assert!(table.unidentified(t + WINDOW).is_empty() && table.next_wakeup().is_none());
        assert!(table.verify(&peer));
        assert!(!table.verify(&peer));
        assert!(table.unidentified(t + WINDOW).is_empty());
        assert_eq!(table.closed(&peer, id), Closed::LastVerified);
    }

    #[test]
    fn who_stalls_itself_gives_the_others_their_time_again() {
        let (peer, t) = (PeerId::random(), clock::now());
        let mut table = Table::new(PeerId::random(), WINDOW, WINDOW);
        table.established(peer, connection(1, Direction::Inbound, t));
        let woke = t + WINDOW + 2 * OWN_STALL;
        assert!(table.unidentified(woke).is_empty());
        assert_eq!(table.next_wakeup(), Some(woke + WINDOW));
        assert_eq!(table.unidentified(woke + WINDOW + OWN_STALL), vec![peer]);
    }
}
