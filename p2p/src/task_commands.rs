//! What the swarm task makes of commands.

use bytes::Bytes;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use crate::book::split_peer;
use crate::clock;
use crate::command::Command;
use crate::error::{CommandError, PublishError};
use crate::gossip::{self, MAX_GOSSIP_BYTES, Token, Verdict};
use crate::redial::Target;
use crate::task::{DialOutcome, Purpose, Task};
use crate::transport;

impl Task {
    /// A caller that no longer waits for an outcome is no fault, hence the ignored sends.
    pub(crate) fn on_command(&mut self, command: Command) {
        match command {
            Command::Connect(peer) => self.dial_peer(peer),
            Command::Dial { address, outcome } => self.dial_address(address, outcome),
            Command::AddAddress { peer, address } => {
                self.book.add(peer, split_peer(address).0);
            }
            Command::Disconnect(peer) => {
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            Command::Reserve { peer, addresses } => self.reserve(peer, addresses),
            Command::Unreserve(peer) => {
                self.redial.remove(&peer);
                self.refresh(&peer);
            }
            Command::Listen { address, outcome } => {
                let listening = transport::listen(&mut self.swarm, address.clone());
                let _ = outcome.send(listening.map_err(|source| CommandError::Listen { address, source }));
            }
            Command::Subscribe { topic, outcome } => {
                let _ = outcome.send(self.subscribe(topic));
            }
            Command::Unsubscribe { topic } => {
                if let Some(topic) = self.topics.topic(&topic) {
                    self.swarm.behaviour_mut().gossip.unsubscribe(&topic);
                }
            }
            Command::Publish { topic, data, outcome } => {
                let published = self.publish(topic, &data);
                if let Err(error) = &published {
                    self.count().publish_failures.one();
                    tracing::debug!(error = %error, "gossip was not published");
                }
                if let Some(outcome) = outcome {
                    let _ = outcome.send(published);
                }
            }
            Command::Validate { token, verdict } => self.validate(token, verdict),
        }
    }

    fn dial_address(&mut self, address: Multiaddr, outcome: DialOutcome) {
        let options = match split_peer(address) {
            (address, Some(peer)) => {
                self.book.add(peer, address.clone());
                DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(vec![address])
                    .build()
            }
            (address, None) => DialOpts::unknown_peer_id().address(address).build(),
        };
        self.dial(options, Purpose { target: None, outcome: Some(outcome) });
    }

    fn reserve(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        if peer == *self.swarm.local_peer_id() {
            return;
        }
        for address in addresses {
            self.book.add(peer, split_peer(address).0);
        }
        let connected = self.table.is_connected(&peer).then_some(peer);
        if !self.redial.add(clock::now(), Target::Peer(peer), connected, true) {
            tracing::warn!(%peer, "too many reserved peers: this one is left out");
        }
        self.refresh(&peer);
    }

    fn subscribe(&mut self, name: String) -> Result<(), CommandError> {
        let Some(topic) = self.topics.topic(&name) else { return Err(CommandError::Topic { topic: name }) };
        let behaviour = &mut self.swarm.behaviour_mut().gossip;
        if behaviour.topics().count() >= gossip::MAX_TOPICS || behaviour.subscribe(&topic).is_err() {
            return Err(CommandError::Topic { topic: name });
        }
        if let Err(error) = behaviour.set_topic_params(topic, gossip::topic_score()) {
            tracing::warn!(%error, "topic is not scored");
        }
        Ok(())
    }

    fn publish(&mut self, name: String, data: &Bytes) -> Result<(), PublishError> {
        if data.len() > MAX_GOSSIP_BYTES {
            return Err(PublishError::TooLarge { bytes: data.len(), max: MAX_GOSSIP_BYTES });
        }
        let Some(topic) = self.topics.topic(&name) else { return Err(CommandError::Topic { topic: name }.into()) };
        let published = self.swarm.behaviour_mut().gossip.publish(topic, data.to_vec());
        published.map(|_| ()).map_err(PublishError::Gossip)
    }

    fn validate(&mut self, token: Token, verdict: Verdict) {
        let Some(pending) = self.verdicts.take(token) else {
            self.count().verdicts_late.one();
            return;
        };
        if verdict == Verdict::Reject {
            self.count().gossip_rejected.one();
        }
        self.report_verdict(&pending.message, &pending.from, verdict);
    }
}
