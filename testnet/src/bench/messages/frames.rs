//! Frames as they are on lane "event": an envelope around the canonical bytes of what a host's agents say.

use anyhow::{Result, bail};
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_core::event::{AgentAnswer, AnswerBody, EventId, HostReply};
use mesh30k_core::time::{LocalTimeUs, MeshTimeUs};
use mesh30k_core::wire::{
    Envelope, Frame, Hlc, HlcClock, MAX_BODY_BYTES, MessageIdSource, Priority, Seen, SeenIds, context_digest,
};
use mesh30k_ledger::codec;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentId, ChainId, ClusterId, Hash, NodeId, SectorId};

/// Agents of a cluster; one host's answers to one lead come in batches of up to so many.
pub const CLUSTER_AGENTS: u64 = 30;
/// Ids remembered against repetition, as in the node.
const SEEN_MAX: usize = 16_384;
/// A message is void after this, as in the node.
const TTL_US: i64 = 10_000_000;

/// Seals and opens frames as a node does.
pub struct Desk {
    chain: Hash,
    ids: MessageIdSource,
    hlc: HlcClock,
    seen: SeenIds,
}

impl Desk {
    /// The desk of one node.
    ///
    /// # Errors
    /// Never in practice: the name of the chain is well formed.
    pub fn new(node: NodeId) -> Result<Self> {
        let context = ChainContext { chain: ChainId::new("bench")?, genesis: Hash([7; 32]) };
        let ids = MessageIdSource::new(node, 0);
        Ok(Self { chain: context_digest(&context), ids, hlc: HlcClock::new(), seen: SeenIds::new(SEEN_MAX) })
    }

    /// The frame of a message.
    ///
    /// # Errors
    /// It is too large.
    pub fn seal(&mut self, now: MeshTimeUs, message: &impl BorshSerialize) -> Result<Vec<u8>> {
        let id = self.ids.next_id(u64::try_from(now.0 / 1_000).unwrap_or(0));
        let stamp: Hlc = self.hlc.tick(now);
        let body = codec::encode(message);
        Ok(Envelope::new(self.chain, id, stamp, now.plus_us(TTL_US), Priority::Normal, body).encode()?)
    }

    /// The message of a frame: version, form, chain, expiry, body, repetition are checked, in this order.
    ///
    /// # Errors
    /// What a node would refuse.
    pub fn open<T: BorshSerialize + BorshDeserialize>(&mut self, now: MeshTimeUs, frame: &[u8]) -> Result<T> {
        let Frame::Message(envelope) = Frame::decode(frame)? else { bail!("a frame of another version") };
        envelope.check(self.chain, now)?;
        let message = codec::decode(&envelope.body, MAX_BODY_BYTES)?;
        if self.seen.insert(envelope.id, envelope.expires, now) != Seen::New {
            bail!("a frame that came twice");
        }
        // A stamp from the future is not adopted; the message itself may be fine.
        let _ = self.hlc.observe(now, envelope.hlc);
        Ok(message)
    }
}

/// The cluster of a number.
#[must_use]
pub const fn cluster_id(number: u64) -> ClusterId {
    ClusterId { sector: SectorId(0), index: number as u32 }
}

/// Answers of a cluster's agents, in batches of `batch`.
pub fn replies(
    cluster: u64,
    host: NodeId,
    batch: usize,
    body: impl Fn(AgentId) -> AnswerBody,
) -> impl Iterator<Item = HostReply> {
    let answers: Vec<AgentAnswer> = (cluster * CLUSTER_AGENTS..(cluster + 1) * CLUSTER_AGENTS)
        .map(|agent| AgentAnswer { agent: AgentId(agent), slot: AgentId(agent), body: body(AgentId(agent)) })
        .collect();
    let batches: Vec<Vec<AgentAnswer>> = answers.chunks(batch.max(1)).map(<[AgentAnswer]>::to_vec).collect();
    batches.into_iter().map(move |answers| HostReply { cluster: cluster_id(cluster), host, answers })
}

/// A host's batch of ARMED answers, for the measurement of links.
#[must_use]
pub fn answer_batch(host: NodeId, batch: usize) -> HostReply {
    let (event, at) = (EventId::new(MeshTimeUs(1), &[3; 32]), LocalTimeUs(1));
    let body = AnswerBody::Armed { event, received: at, started: at, armed: at };
    let answers =
        (0..batch as u64).map(|agent| AgentAnswer { agent: AgentId(agent), slot: AgentId(agent), body }).collect();
    HostReply { cluster: cluster_id(0), host, answers }
}
