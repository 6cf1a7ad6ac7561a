//! What the swarm task makes of network events.

use libp2p::gossipsub::{self, MessageId};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify};

use crate::behaviour::BehaviourEvent;
use crate::book::split_peer;
use crate::clock;
use crate::directory::Direction;
use crate::events::{EVENT_RESERVE, Event, Refusal};
use crate::gossip::Verdict;
use crate::table::{Closed, Connection};
use crate::task::Task;

/// Addresses taken from one peer's word about itself.
const MAX_TOLD_ADDRESSES: usize = 8;
/// Connected peers, for each wanted one, from which on discovery is told of no more.
const DISCOVERY_PEERS_PER_WANTED: usize = 2;
/// Of a foreign peer's word, how much is shown.
const MAX_SHOWN_CHARS: usize = 80;

impl Task {
    pub(crate) fn on_connection(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
                let (address, _) = split_peer(endpoint.get_remote_address().clone());
                self.on_established(peer_id, connection_id, direction, address);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                let cause = cause.as_ref().map(tracing::field::display);
                tracing::debug!(peer = %peer_id, cause, "connection closed");
                self.on_closed(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                let purpose = self.dials.remove(&connection_id).unwrap_or_default();
                self.dial_failed(peer_id, purpose, &error);
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                tracing::debug!(%error, address = %send_back_addr, "inbound connection failed");
                self.count().inbound_failures.one();
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.publish_listening();
                self.tell(Event::Listening { address });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.publish_listening();
                self.tell(Event::ListenClosed { address });
            }
            SwarmEvent::ListenerClosed { reason: Err(error), .. } | SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "listener failed");
            }
            _ => {}
        }
    }

    fn publish_listening(&self) {
        self.hub.directory.set_listening(self.swarm.listeners().cloned().collect());
    }

    fn on_established(&mut self, peer: PeerId, id: ConnectionId, direction: Direction, address: Multiaddr) {
        let purpose = self.dials.remove(&id).unwrap_or_default();
        if direction == Direction::Outbound {
            self.book.add(peer, address.clone());
        }
        let connection = Connection { id, direction, address, since: clock::now(), ping_failures: 0 };
        if let Some(duplicate) = self.table.established(peer, connection) {
            self.count().duplicates_closed.one();
            self.swarm.close_connection(duplicate);
        }
        self.redial.connected(peer, purpose.target.as_ref());
        if let Some(outcome) = purpose.outcome {
            let _ = outcome.send(Ok(()));
        }
        self.refresh(&peer);
    }

    fn on_closed(&mut self, peer: PeerId, id: ConnectionId) {
        let closed = self.table.closed(&peer, id);
        match closed {
            Closed::Unknown => return,
            Closed::OthersRemain => return self.refresh(&peer),
            Closed::LastVerified => {
                self.hub.directory.set_down(peer);
                self.tell(Event::PeerDown { peer });
            }
            Closed::LastUnverified => self.hub.directory.dial_failed(peer),
        }
        self.strikes.disconnected(&peer);
        self.redial.disconnected(clock::now(), &peer);
    }

    /// Brings the shared view of a peer up to date.
    pub(crate) fn refresh(&self, peer: &PeerId) {
        if let Some(info) = self.table.info(peer, self.redial.is_reserved(peer)) {
            self.hub.directory.update(*peer, |shown| *shown = info);
        }
    }

    pub(crate) fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_identified(peer_id, info);
            }
            BehaviourEvent::Ping(ping) => {
                if self.table.pinged(&ping.peer, ping.connection, ping.result.ok()) {
                    self.count().ping_timeouts.one();
                    self.swarm.close_connection(ping.connection);
                }
                self.refresh(&ping.peer);
            }
            BehaviourEvent::Gossip(gossipsub::Event::Message { propagation_source, message_id, message }) => {
                self.on_gossip(propagation_source, &message_id, message);
            }
            BehaviourEvent::Gossip(gossipsub::Event::SlowPeer { peer_id, .. }) => {
                tracing::debug!(peer = %peer_id, "gossip to a slow peer was dropped");
            }
            _ => {}
        }
    }

    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        if info.protocol_version != self.protocol_version {
            self.count().foreign_chain.one();
            let theirs = info.protocol_version.chars().take(MAX_SHOWN_CHARS).collect();
            self.refuse(clock::now(), peer, Refusal::ForeignChain { theirs });
            return;
        }
        // Discovery looks around at each peer it is told of: enough is enough.
        let has_room = self.table.verified_count() < self.wanted_peers.saturating_mul(DISCOVERY_PEERS_PER_WANTED);
        let serves_discovery = has_room && info.protocols.contains(&self.kad_protocol);
        for address in info.listen_addrs.into_iter().take(MAX_TOLD_ADDRESSES) {
            let (address, _) = split_peer(address);
            self.book.add(peer, address.clone());
            if serves_discovery {
                self.swarm.behaviour_mut().kad.add_address(&peer, address);
            }
        }
        if self.table.verify(&peer)
            && let Some(info) = self.table.info(&peer, self.redial.is_reserved(&peer))
        {
            let (direction, address) = (info.direction, info.address.clone());
            self.hub.directory.set_up(info);
            self.tell(Event::PeerUp { peer, direction, address });
        }
    }

    fn on_gossip(&mut self, from: PeerId, id: &MessageId, message: gossipsub::Message) {
        let room = self.events.capacity() > EVENT_RESERVE;
        let name = self.topics.name(&message.topic).map(str::to_owned);
        let token = name.as_ref().filter(|_| room).and_then(|_| self.verdicts.add(clock::now(), id.clone(), from));
        let (Some(topic), Some(token)) = (name, token) else {
            self.count().gossip_dropped.one();
            self.report_verdict(id, &from, Verdict::Ignore);
            return;
        };
        self.count().gossip_received.one();
        self.tell(Event::Gossip { topic, from, data: message.data.into(), token });
    }

    pub(crate) fn report_verdict(&mut self, id: &MessageId, from: &PeerId, verdict: Verdict) {
        let known = self.swarm.behaviour_mut().gossip.report_message_validation_result(id, from, verdict.into());
        if !known {
            self.count().verdicts_late.one();
        }
    }
}
