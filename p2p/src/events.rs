//! What the application hears from the swarm task.

use bytes::Bytes;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc;

use crate::directory::Direction;
use crate::gossip::Token;

/// Events that may wait for the application.
pub const EVENT_QUEUE: usize = 4096;
/// Of these, the places gossip may not take: what tells who is connected is more precious.
pub(crate) const EVENT_RESERVE: usize = 512;

/// Why a peer was disconnected and is refused for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It belongs to another chain.
    ForeignChain {
        /// What it said it speaks, shortened.
        theirs: String,
    },
    /// It did not say which chain it is on.
    Unidentified,
    /// It sent what is no frame, or frames out of place, too often.
    Strikes {
        /// How often within the window.
        count: u32,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer of our chain is connected and can be talked to.
    PeerUp {
        /// The peer.
        peer: PeerId,
        /// Who dialled.
        direction: Direction,
        /// Its address.
        address: Multiaddr,
    },
    /// The last connection to such a peer is gone.
    PeerDown {
        /// The peer.
        peer: PeerId,
    },
    /// A peer was disconnected for cause.
    PeerRefused {
        /// The peer.
        peer: PeerId,
        /// The cause.
        reason: Refusal,
    },
    /// A gossip message waits for a verdict ([`crate::Control::validate`]); it is not relayed before.
    Gossip {
        /// The topic's bare name, as it was subscribed to.
        topic: String,
        /// Who relayed it to us; gossip is anonymous, who made it shows in the data.
        from: PeerId,
        /// The message.
        data: Bytes,
        /// For the verdict.
        token: Token,
    },
    /// The node listens on this address.
    Listening {
        /// The address, without the peer.
        address: Multiaddr,
    },
    /// The node listens on this address no more.
    ListenClosed {
        /// The address.
        address: Multiaddr,
    },
}

/// The event stream. An application that lags behind loses events (counted); [`crate::Control::peers`] has the truth.
#[derive(Debug)]
pub struct Events(pub(crate) mpsc::Receiver<Event>);

impl Events {
    /// The next event; `None` once the node was shut down.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// The next event if it is there.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.0.try_recv().ok()
    }
}
