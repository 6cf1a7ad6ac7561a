//! What travels on lane "event", and how it is sealed and opened. Kinds are only ever appended.

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use mesh30k_core::event::{DownMessage, EventId, HostMessage, HostReply, Probe, StageReport, UpMessage};
use mesh30k_core::lead::Tenure;
use mesh30k_core::wire::{
    Envelope, Frame, HlcClock, MAX_BODY_BYTES, MessageIdSource, Priority, Seen, SeenIds, WireError, context_digest,
};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::signing::{ChainContext, Domain};
use mesh30k_ledger::types::{AgentId, ClusterId, Hash, NodeId, Scope, SectorId};

use super::refusal::Refusal;
use super::view::Now;

/// A message is void after this; events and what follows from them carry their own, later end.
const MESSAGE_TTL_US: i64 = 10_000_000;
/// Ids of messages remembered against repetition: some seconds of the busiest lead's traffic.
const SEEN_MAX: usize = 16_384;

/// How many agents gave one answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct AnswerCount {
    /// What they said.
    pub(super) answer: String,
    /// How many.
    pub(super) count: u32,
}

/// Answers of agents of one host, to one event.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Said {
    pub(super) event: EventId,
    pub(super) groups: Vec<SaidGroup>,
}

/// One answer, and in whose slots it was given: of a slot's two answers only the first counts.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct SaidGroup {
    pub(super) answer: String,
    pub(super) slots: Vec<AgentId>,
}

/// What a lead has found out about one agent, told to its host for the heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Estimate {
    pub(super) agent: AgentId,
    /// Median of delay and work together, microseconds.
    pub(super) median_us: u32,
    /// From the median to the 90th percentile, microseconds.
    pub(super) spread_us: u32,
}

/// A message on lane "event".
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) enum Message {
    /// To the coordinator of a sector or the lead of a cluster.
    Down { child: Scope, message: DownMessage },
    /// From a lead (with its right; what its cluster needs goes into `Stages`) or a coordinator (without one). Summaries are signed in the envelope.
    Up { tenure: Option<Tenure>, message: UpMessage, answers: Vec<AnswerCount> },
    /// From a lead to a host.
    Host { cluster: ClusterId, tenure: Tenure, message: HostMessage },
    /// From a host to a lead; unsigned, for the link is authenticated and the answers end here.
    Reply { reply: HostReply, said: Vec<Said> },
    /// Between leads and hosts: what one node has for another at the same time.
    Bundle { items: Vec<Bundled> },
    /// To a coordinator: please report this sector's needs to me for a while; now as well, if I have no report yet.
    Watch { sector: SectorId, is_news: bool },
    /// To a coordinator: what the clusters need that a node leads there. A message for each would be most of what an idle mesh
    /// sends.
    Stages { reports: Vec<LedStage> },
}

/// What leads and hosts tell each other often, and need not tell alone.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) enum Bundled {
    /// From a lead to a host: a clock exchange with some of its agents.
    Probe { tenure: Tenure, probe: Probe },
    /// From a host to a lead: as [`Message::Reply`], where nothing was asked.
    Answers(HostReply),
    /// From a lead to a host: how its agents are seen from there.
    Estimates { cluster: ClusterId, tenure: Tenure, estimates: Vec<Estimate> },
}

/// What a cluster needs, and its lead's right to say so.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct LedStage {
    pub(super) tenure: Tenure,
    pub(super) report: Box<StageReport>,
}

impl Message {
    fn is_fold(&self) -> bool {
        matches!(self, Self::Up { message: UpMessage::Fold(_), .. })
    }

    /// What it is in queues: what a deadline hangs on goes first.
    fn priority(&self) -> Priority {
        match self {
            Self::Down { .. } | Self::Host { message: HostMessage::Prepare(_) | HostMessage::Stage(_), .. } => {
                Priority::High
            }
            Self::Host { message: HostMessage::Cancel { .. } | HostMessage::Rights(_), .. } => Priority::Critical,
            Self::Watch { .. } => Priority::Background,
            Self::Up { .. } | Self::Stages { .. } | Self::Reply { .. } | Self::Bundle { .. } | Self::Host { .. } => {
                Priority::Normal
            }
        }
    }

    fn expires_us(&self, now: &Now) -> i64 {
        let void = now.mesh.plus_us(MESSAGE_TTL_US).0;
        match self {
            Self::Down { message: DownMessage::Prepare(prepare), .. } => void.max(prepare.event.event.expires().0),
            Self::Host { message: HostMessage::Stage(signed), .. } => void.max(signed.event.expires().0),
            _ => void,
        }
    }
}

/// A message that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) message: Message,
    /// Who signed the envelope, where it had to be signed.
    pub(super) signer: Option<PublicKey>,
}

/// Puts messages into envelopes and takes them out.
pub(super) struct Sealer {
    context: ChainContext,
    chain: Hash,
    key: SecretKey,
    hlc: HlcClock,
    ids: MessageIdSource,
    seen: SeenIds,
}

impl Sealer {
    /// For node `me` with its host key; `counter` is random, so that a restart repeats no id.
    pub(super) fn new(context: ChainContext, me: NodeId, key: SecretKey, counter: u32) -> Self {
        Self {
            context,
            chain: context_digest(&context),
            key,
            hlc: HlcClock::new(),
            ids: MessageIdSource::new(me, counter),
            seen: SeenIds::new(SEEN_MAX),
        }
    }

    /// The bytes of a message.
    pub(super) fn seal(&mut self, now: &Now, message: &Message) -> Result<Bytes, WireError> {
        let id = self.ids.next_id(u64::try_from(now.mesh.0 / 1_000).unwrap_or(0));
        let expires = mesh30k_core::time::TimeUs(message.expires_us(now));
        let stamp = self.hlc.tick(now.mesh);
        let envelope = Envelope::new(self.chain, id, stamp, expires, message.priority(), encode(message));
        let envelope =
            if message.is_fold() { envelope.sign(Domain::FoldedAck, &self.context, &self.key) } else { envelope };
        Ok(Bytes::from(envelope.encode()?))
    }

    /// Opens bytes: size, version, form, chain, expiry, repetition, and the signature of what must be signed.
    pub(super) fn open(&mut self, now: &Now, bytes: &[u8]) -> Result<Opened, Refusal> {
        let envelope = match Frame::decode(bytes)? {
            Frame::Message(envelope) => envelope,
            Frame::VersionsKnown(versions) => return Err(Refusal::OldPeer { versions }),
        };
        envelope.check(self.chain, now.mesh)?;
        let message: Message = decode(&envelope.body, MAX_BODY_BYTES)?;
        let signer = if message.is_fold() { Some(envelope.signer(Domain::FoldedAck, &self.context)?) } else { None };
        match self.seen.insert(envelope.id, envelope.expires, now.mesh) {
            Seen::New => {}
            Seen::Duplicate | Seen::Expired => return Err(Refusal::Duplicate { id: envelope.id }),
        }
        // A stamp from the future is not adopted; the message itself may be fine.
        let _ = self.hlc.observe(now.mesh, envelope.hlc);
        Ok(Opened { message, signer })
    }
}
