//! Addresses by peer, bounded.

use std::collections::BTreeMap;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Addresses kept of one peer; the oldest goes.
const MAX_ADDRESSES_PER_PEER: usize = 8;
/// Peers kept.
const MAX_PEERS: usize = 2048;

/// The address book.
#[derive(Debug, Default)]
pub(crate) struct Book(BTreeMap<PeerId, Vec<Multiaddr>>);

impl Book {
    /// Adds an address; false when the book is full.
    pub(crate) fn add(&mut self, peer: PeerId, address: Multiaddr) -> bool {
        if self.0.len() >= MAX_PEERS && !self.0.contains_key(&peer) {
            return false;
        }
        let known = self.0.entry(peer).or_default();
        if !known.contains(&address) {
            if known.len() >= MAX_ADDRESSES_PER_PEER {
                known.remove(0);
            }
            known.push(address);
        }
        true
    }

    pub(crate) fn of(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.0.get(peer).cloned().unwrap_or_default()
    }
}

/// Parts an address into where and who.
pub(crate) fn split_peer(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.pop() {
        Some(Protocol::P2p(peer)) => (address, Some(peer)),
        Some(other) => {
            address.push(other);
            (address, None)
        }
        None => (address, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_keeps_the_newest_addresses() {
        let (mut book, peer) = (Book::default(), PeerId::random());
        let address = |n: usize| -> Multiaddr { format!("/memory/{}", n + 1).parse().unwrap() };
        for n in 0..=MAX_ADDRESSES_PER_PEER {
            assert!(book.add(peer, address(n)));
            assert!(book.add(peer, address(n)));
        }
        let known = book.of(&peer);
        assert_eq!(known.len(), MAX_ADDRESSES_PER_PEER);
        assert!(!known.contains(&address(0)) && known.contains(&address(MAX_ADDRESSES_PER_PEER)));
    }

    #[test]
    fn an_address_is_parted_into_where_and_who() {
        let peer = PeerId::random();
        let (plain, full): (Multiaddr, Multiaddr) =
            ("/ip4/127.0.0.1/tcp/1".parse().unwrap(), format!("/ip4/127.0.0.1/tcp/1/p2p/{peer}").parse().unwrap());
        assert_eq!(split_peer(full), (plain.clone(), Some(peer)));
        assert_eq!(split_peer(plain.clone()), (plain, None));
    }
}
