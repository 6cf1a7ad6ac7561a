//! The way of the mesh's messages: envelopes on lane "beat" and on gossip topics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh30k_core::time::TimeUs;
use mesh30k_core::wire::{
    Envelope, Frame, Hlc, HlcClock, MAX_BODY_BYTES, MessageId, MessageIdSource, Priority, WireError, context_digest,
};
use mesh30k_ledger::codec::{CodecError, decode, encode};
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::signing::{ChainContext, Domain};
use mesh30k_ledger::types::{Hash, NodeId};
use mesh30k_p2p::{Control, MAX_GOSSIP_BYTES, NotifyError, RequestError};
use tokio::sync::mpsc;

use super::clock::MeshClock;
use crate::lanes;
use crate::roster::SharedRoster;
use crate::sectors::{BeatAnswer, BeatMessage, BeatNotice, BeatQuestion, SectorGossip};
use crate::telemetry::Metrics;

/// Notices of this node to itself that wait, at most.
const LOCAL_INBOX: usize = 1_024;
/// A notice is void after this.
const NOTICE_TTL_US: i64 = 10_000_000;
/// Questions and answers live as long as their stream waits; an expiry would keep a node whose clock is wrong from ever
/// asking for the time.
pub(super) const UNTIL_ANSWERED_US: i64 = i64::MAX;
/// A gossiped word is void after this.
const GOSSIP_TTL_US: i64 = 30_000_000;

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The node is not on this node's ledger.
    #[error("node {node} is not on the ledger here")]
    Unknown {
        /// Which.
        node: NodeId,
    },
    /// The network says no.
    #[error("node {node} can't be asked")]
    Network {
        /// Which.
        node: NodeId,
        /// Why.
        #[source]
        source: RequestError,
    },
    /// It answered something else.
    #[error("node {node} answered what is no answer")]
    Malformed {
        /// Which.
        node: NodeId,
        /// What is wrong with it.
        #[source]
        source: OpenError,
    },
    /// It says why it does not answer.
    #[error("node {node} does not answer: {reason}")]
    Refused {
        /// Which.
        node: NodeId,
        /// Its sentence.
        reason: String,
    },
}

/// Why bytes were not taken as a message.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The envelope.
    #[error("envelope refused")]
    Wire(#[from] WireError),
    /// The body.
    #[error("body is not canonical")]
    Body(#[from] CodecError),
    /// The peer listed the versions it knows, or sent a kind that has no place here.
    #[error("the message has no place here")]
    Unexpected,
}

/// Where local notices wait for the dispatcher.
pub(super) type LocalInbox = mpsc::Receiver<(NodeId, BeatNotice)>;

struct Inner {
    me: NodeId,
    context: ChainContext,
    chain: Hash,
    key: SecretKey,
    control: Control,
    roster: SharedRoster,
    clock: MeshClock,
    stamps: Mutex<(HlcClock, MessageIdSource)>,
    local: mpsc::Sender<(NodeId, BeatNotice)>,
    metrics: Metrics,
}

/// Sends and seals, opens and checks. Clones are the same.
#[derive(Clone)]
pub struct Postbox(Arc<Inner>);

/// What a postbox is made of.
pub(super) struct PostParts {
    pub(super) me: NodeId,
    pub(super) context: ChainContext,
    pub(super) key: SecretKey,
    pub(super) control: Control,
    pub(super) roster: SharedRoster,
    pub(super) metrics: Metrics,
}

impl Postbox {
    /// A postbox, and what it delivers to this node itself.
    pub(super) fn new(parts: PostParts) -> (Self, LocalInbox) {
        let (local, inbox) = mpsc::channel(LOCAL_INBOX);
        let mut seed = [0_u8; 4];
        // Without randomness ids start at 0: they still rise with the time.
        let _ = getrandom::fill(&mut seed);
        let ids = MessageIdSource::new(parts.me, u32::from_le_bytes(seed));
        let inner = Inner {
            me: parts.me,
            context: parts.context,
            chain: context_digest(&parts.context),
            key: parts.key,
            control: parts.control,
            roster: parts.roster,
            clock: MeshClock::default(),
            stamps: Mutex::new((HlcClock::new(), ids)),
            local,
            metrics: parts.metrics,
        };
        (Self(Arc::new(inner)), inbox)
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.0.me
    }

    /// The chain.
    #[must_use]
    pub fn context(&self) -> &ChainContext {
        &self.0.context
    }

    /// The mesh clock.
    #[must_use]
    pub fn clock(&self) -> &MeshClock {
        &self.0.clock
    }

    /// Mesh time.
    #[must_use]
    pub fn now(&self) -> TimeUs {
        self.0.clock.now()
    }

    /// Who is where.
    #[must_use]
    pub fn roster(&self) -> &SharedRoster {
        &self.0.roster
    }

    /// The network.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.0.control
    }

    /// Counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The host's key, which signs batches and gossip.
    pub(super) fn key(&self) -> &SecretKey {
        &self.0.key
    }

    /// The key the ledger has for a host.
    #[must_use]
    pub fn host_key(&self, node: NodeId) -> Option<PublicKey> {
        self.0.roster.load().nodes.get(&node).map(|known| known.record.host_key)
    }

    /// Whether a notice to `node` has a chance now.
    #[must_use]
    pub fn reaches(&self, node: NodeId) -> bool {
        node == self.0.me || self.0.roster.load().peer_of(node).is_some_and(|peer| self.0.control.is_connected(&peer))
    }

    /// A hybrid logical stamp for a local event.
    #[must_use]
    pub fn stamp(&self) -> Hlc {
        self.stamps(|clock, _, now| clock.tick(now))
    }

    /// Sends a notice, to this node itself too. Never waits; what cannot be queued is dropped and counted.
    pub fn notify(&self, target: NodeId, notice: BeatNotice, priority: Priority) {
        if target == self.0.me {
            if self.0.local.try_send((target, notice)).is_err() {
                self.0.metrics.count_drops("beat-local", 1);
            }
            return;
        }
        let Some(peer) = self.0.roster.load().peer_of(target) else { return };
        let Some(bytes) = self.seal(&BeatMessage::Notice(notice), priority, NOTICE_TTL_US) else { return };
        match self.0.control.notify(peer, lanes::BEAT, bytes) {
            Ok(()) | Err(NotifyError::Closed) => {}
            Err(error) => {
                self.0.metrics.count_drops("beat", 1);
                tracing::debug!(%error, %target, "a notice was dropped");
            }
        }
    }

    /// Asks another node.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask(
        &self,
        node: NodeId,
        question: BeatQuestion,
        priority: Priority,
        timeout: Duration,
    ) -> Result<BeatAnswer, AskError> {
        let peer = self.0.roster.load().peer_of(node).ok_or(AskError::Unknown { node })?;
        let bytes = self.seal(&BeatMessage::Question(question), priority, UNTIL_ANSWERED_US).unwrap_or_default();
        let answer = self.0.control.request(peer, lanes::BEAT, bytes, timeout).await;
        let answer = answer.map_err(|source| AskError::Network { node, source })?;
        match self.open(&answer).map_err(|source| AskError::Malformed { node, source })? {
            BeatMessage::Answer(BeatAnswer::Refused(reason)) => Err(AskError::Refused { node, reason }),
            BeatMessage::Answer(answer) => Ok(answer),
            BeatMessage::Notice(_) | BeatMessage::Question(_) => {
                Err(AskError::Malformed { node, source: OpenError::Unexpected })
            }
        }
    }

    /// The bytes of a message over a link; nothing when it is larger than anybody would accept.
    pub(super) fn seal(&self, message: &BeatMessage, priority: Priority, ttl_us: i64) -> Option<Bytes> {
        let body = encode(message);
        if body.len() > MAX_BODY_BYTES {
            self.0.metrics.count_drops("beat-too-large", 1);
            return None;
        }
        self.envelope(body, priority, ttl_us).encode().ok().map(Bytes::from)
    }

    /// Reads a message that came over a link.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn open(&self, bytes: &[u8]) -> Result<BeatMessage, OpenError> {
        let envelope = self.checked(bytes)?;
        Ok(decode(&envelope.body, MAX_BODY_BYTES)?)
    }

    /// Signs a word of a coordinator and publishes it; one too large for gossip is left out, and whoever reads finds the
    /// gap.
    pub(crate) fn publish(&self, topic: &str, word: &SectorGossip) {
        let envelope = self.envelope(encode(word), Priority::Normal, GOSSIP_TTL_US);
        let signed = envelope.sign(Domain::Summary, &self.0.context, &self.0.key);
        match signed.encode() {
            Ok(bytes) if bytes.len() <= MAX_GOSSIP_BYTES => self.publish_bytes(topic, bytes),
            _ => self.0.metrics.count_drops("gossip-too-large", 1),
        }
    }

    /// Publishes bytes as they are. Never waits; what finds no room is dropped and counted.
    pub(crate) fn publish_bytes(&self, topic: &str, bytes: Vec<u8>) {
        if self.0.control.publish(topic, Bytes::from(bytes)).is_err() {
            self.0.metrics.count_drops("gossip", 1);
        }
    }

    /// Reads a gossiped word; it must be signed by the host key of the coordinator it names.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open_gossip(&self, bytes: &[u8]) -> Result<(SectorGossip, PublicKey), OpenError> {
        let envelope = self.checked(bytes)?;
        let signer = envelope.signer(Domain::Summary, &self.0.context)?;
        Ok((decode(&envelope.body, MAX_BODY_BYTES)?, signer))
    }

    fn checked(&self, bytes: &[u8]) -> Result<Envelope, OpenError> {
        match Frame::decode(bytes)? {
            Frame::Message(envelope) => {
                envelope.check(self.0.chain, self.now())?;
                // A stamp from the future is not adopted; the message itself may be fine.
                let _ = self.stamps(|clock, _, now| clock.observe(now, envelope.hlc));
                Ok(*envelope)
            }
            Frame::VersionsKnown(_) => Err(OpenError::Unexpected),
        }
    }

    fn envelope(&self, body: Vec<u8>, priority: Priority, ttl_us: i64) -> Envelope {
        let (id, stamp, now) = self.stamps(|clock, ids, now| {
            let ms = u64::try_from(now.0 / 1_000).unwrap_or(0);
            let id: MessageId = ids.next_id(ms);
            (id, clock.tick(now), now)
        });
        Envelope::new(self.0.chain, id, stamp, now.plus_us(ttl_us), priority, body)
    }

    fn stamps<T>(&self, use_them: impl FnOnce(&mut HlcClock, &mut MessageIdSource, TimeUs) -> T) -> T {
        let now = self.now();
        let mut stamps = self.0.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        let (clock, ids) = &mut *stamps;
        use_them(clock, ids, now)
    }
}
