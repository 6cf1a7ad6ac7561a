//! Who can be reached, shared between the swarm task (which writes) and everybody else (who reads or waits).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use tokio::sync::watch;

use crate::counters::locked;

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer dialled us.
    Inbound,
    /// We dialled the peer.
    Outbound,
}

/// A connected peer of our chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The peer.
    pub peer: PeerId,
    /// Who dialled the connection in use.
    pub direction: Direction,
    /// The remote address of that connection.
    pub address: Multiaddr,
    /// The last ping's round trip.
    pub rtt: Option<Duration>,
    /// Whether it is kept connected on purpose.
    pub reserved: bool,
    /// Connections to it; 2 only while a duplicate is being closed.
    pub connections: usize,
}

/// Whether streams to a peer can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Not connected, or not verified yet; dials that failed so far.
    Down { failures: u64 },
    /// Connected and of our chain.
    Up,
    /// The node was shut down.
    Closed,
}

/// The shared view of all peers.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    reach: Mutex<HashMap<PeerId, watch::Sender<Reach>>>,
    infos: Mutex<BTreeMap<PeerId, PeerInfo>>,
    listening: Mutex<Vec<Multiaddr>>,
    closed: std::sync::atomic::AtomicBool,
}

impl Directory {
    /// A view of whether `peer` can be reached; give it back with [`Self::release`].
    pub(crate) fn watch(&self, peer: PeerId) -> watch::Receiver<Reach> {
        let first = if self.is_closed() { Reach::Closed } else { Reach::Down { failures: 0 } };
        locked(&self.reach).entry(peer).or_insert_with(|| watch::Sender::new(first)).subscribe()
    }

    /// Forgets a peer nobody watches, unless it is connected.
    pub(crate) fn release(&self, peer: PeerId, view: watch::Receiver<Reach>) {
        let mut reach = locked(&self.reach);
        drop(view);
        if reach.get(&peer).is_some_and(|s| s.receiver_count() == 0 && *s.borrow() != Reach::Up) {
            reach.remove(&peer);
        }
    }

    pub(crate) fn set_up(&self, info: PeerInfo) {
        let peer = info.peer;
        locked(&self.infos).insert(peer, info);
        self.set_reach(peer, |_| Reach::Up);
    }

    pub(crate) fn set_down(&self, peer: PeerId) {
        locked(&self.infos).remove(&peer);
        self.set_reach(peer, |before| match before {
            Reach::Up => Reach::Down { failures: 0 },
            other => other,
        });
        let mut reach = locked(&self.reach);
        if reach.get(&peer).is_some_and(|s| s.receiver_count() == 0) {
            reach.remove(&peer);
        }
    }

    /// Tells those who wait for a connection that a dial failed.
    pub(crate) fn dial_failed(&self, peer: PeerId) {
        if let Some(sender) = locked(&self.reach).get(&peer) {
            sender.send_modify(|reach| {
                if let Reach::Down { failures } = reach {
                    *failures = failures.saturating_add(1);
                }
            });
        }
    }

    fn set_reach(&self, peer: PeerId, change: impl FnOnce(Reach) -> Reach) {
        let mut reach = locked(&self.reach);
        let sender = reach.entry(peer).or_insert_with(|| watch::Sender::new(Reach::Down { failures: 0 }));
        sender.send_if_modified(|reach| {
            let before = *reach;
            *reach = change(before);
            *reach != before
        });
    }

    pub(crate) fn update(&self, peer: PeerId, change: impl FnOnce(&mut PeerInfo)) {
        if let Some(info) = locked(&self.infos).get_mut(&peer) {
            change(info);
        }
    }

    pub(crate) fn infos(&self) -> Vec<PeerInfo> {
        locked(&self.infos).values().cloned().collect()
    }

    pub(crate) fn is_up(&self, peer: &PeerId) -> bool {
        locked(&self.infos).contains_key(peer)
    }

    pub(crate) fn set_listening(&self, addresses: Vec<Multiaddr>) {
        *locked(&self.listening) = addresses;
    }

    pub(crate) fn listening(&self) -> Vec<Multiaddr> {
        locked(&self.listening).clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Wakes everybody who waits for a peer, for good.
    pub(crate) fn close(&self) {
        self.closed.store(true, std::sync::atomic::Ordering::Release);
        locked(&self.infos).clear();
        for sender in locked(&self.reach).values() {
            sender.send_replace(Reach::Closed);
        }
    }
}
