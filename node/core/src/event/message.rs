//! What travels on the event tree: down to hosts, back to leads, up to parents.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::{AgentId, ClusterId, Hash, NodeId};

use super::fold::FoldedAck;
use super::id::EventId;
use super::spec::SignedEvent;
use super::stage::StageReport;
use crate::clock::HostClock;
use crate::time::{LocalTimeUs, MeshTimeUs};

/// Most entries of one batch; what is more goes into a second one.
pub const MAX_BATCH: usize = 1_024;

/// A host may keep an ARMED for so long, until others leave for the same lead. Leads reckon with it.
pub const ARMED_ROUND_US: i64 = 40_000;

/// From a parent to a child lead or coordinator.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[expect(clippy::large_enum_variant, reason = "one per child and event, nearly all of them prepares")]
pub enum DownMessage {
    /// Stage this event and hold it.
    Prepare(Prepare),
    /// Stop this event if it is before T.
    Cancel(EventId),
}

/// An event on its way down.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Prepare {
    /// What its origin signed.
    pub event: SignedEvent,
    /// When the sender wants the summary.
    pub fold_by: MeshTimeUs,
    /// When the sender sent it, mesh time: the receiver learns the stage delay from it.
    pub sent_at: MeshTimeUs,
}

/// From a child lead or coordinator to its parent.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum UpMessage {
    /// What came of an event.
    Fold(Box<FoldedAck>),
    /// How much lead this subtree needs.
    Stage(Box<StageReport>),
}

/// From a lead to a host of its agents.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum HostMessage {
    /// The signed event itself, once per host, ahead of the prepares that name it.
    Stage(SignedEvent),
    /// Prepare these agents.
    Prepare(HostPrepare),
    /// Stop an event for all agents of the cluster.
    Cancel {
        /// Which cluster's agents.
        cluster: ClusterId,
        /// Which event.
        event: EventId,
    },
    /// Answer with your clock.
    Probe(Probe),
    /// The right to release single slots changes hands.
    Rights(SlotRights),
}

/// A batch of prepares that leave in the same millisecond.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HostPrepare {
    /// Cluster of the lead, to which answers go.
    pub cluster: ClusterId,
    /// Which event.
    pub event: EventId,
    /// Send slot: when the lead sent the batch, mesh time.
    pub sent_at: MeshTimeUs,
    /// Whom, and when.
    pub entries: Vec<PrepareEntry>,
}

/// One agent of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PrepareEntry {
    /// Who.
    pub agent: AgentId,
    /// Whose slot: its own, or the one it stands by for.
    pub slot: AgentId,
    /// T on the agent's own clock.
    pub target: LocalTimeUs,
    /// When the work begins, on the agent's own clock; past for at once. The prepare itself may come long before.
    pub start: LocalTimeUs,
}

/// Rights to release slots of one event, given and taken (05-decisions, 22).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SlotRights {
    /// Cluster of the lead, to which answers go.
    pub cluster: ClusterId,
    /// Which event.
    pub event: EventId,
    /// To whom, and what.
    pub orders: Vec<RightOrder>,
}

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RightOrder {
    /// Who.
    pub agent: AgentId,
    /// In whose slot.
    pub slot: AgentId,
    /// Given or taken.
    pub right: SlotRight,
}

/// What happens to a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SlotRight {
    /// The standby may release: the primary said that it never will.
    Grant,
    /// Stop, and say so if you have not released and never will.
    GiveUp,
}

/// A clock exchange with several agents of one host.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Probe {
    /// Cluster of the lead, to which answers go.
    pub cluster: ClusterId,
    /// Number of the exchange at this lead.
    pub seq: u32,
    /// Also run the calibration work once and say how long it took.
    pub work: bool,
    /// Whom.
    pub agents: Vec<AgentId>,
}

/// From a host to the lead of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HostReply {
    /// Which cluster's agents.
    pub cluster: ClusterId,
    /// Which host.
    pub host: NodeId,
    /// What they say.
    pub answers: Vec<AgentAnswer>,
}

/// One agent's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AgentAnswer {
    /// Who.
    pub agent: AgentId,
    /// For whose slot: its own, or the one it stands by for; its own with a clock exchange.
    pub slot: AgentId,
    /// What.
    pub body: AnswerBody,
}

impl AgentAnswer {
    /// The same, kept for so long at the host; only a clock exchange says so.
    #[must_use]
    pub fn waited(mut self, us: i64) -> Self {
        if let AnswerBody::Probe { waited_us, .. } = &mut self.body {
            *waited_us = u32::try_from(us).unwrap_or(0);
        }
        self
    }
}

/// What an agent says; every instant is by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum AnswerBody {
    /// Half of a clock exchange.
    Probe {
        /// Number of the exchange.
        seq: u32,
        /// t2.
        received: LocalTimeUs,
        /// t3.
        answered: LocalTimeUs,
        /// How long the calibration work took, when asked for.
        work_us: Option<u32>,
        /// What the agent's own time service says, where it has one.
        host_clock: Option<HostClock>,
        /// How long the host kept the answer after it had come from the agent, so that several leave in one message.
        waited_us: u32,
    },
    /// The work is done and its result kept back.
    Armed {
        /// Which event.
        event: EventId,
        /// When the prepare came.
        received: LocalTimeUs,
        /// When the work was to begin: at the wanted start, or at once if that was past.
        started: LocalTimeUs,
        /// When the work was done.
        armed: LocalTimeUs,
    },
    /// The result was given.
    Released {
        /// Which event.
        event: EventId,
        /// When.
        released: LocalTimeUs,
        /// Armed only after T.
        late: bool,
    },
    /// The agent contradicts.
    Conflict {
        /// Which event.
        event: EventId,
        /// In what.
        kind: ConflictKind,
        /// Hash of what it has instead.
        detail: Hash,
    },
    /// The agent has not released this slot and never will.
    GaveUp {
        /// Which event.
        event: EventId,
    },
}

/// In what an agent contradicts.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum ConflictKind {
    /// Its context is another one.
    ContextDivergence,
    /// Its data say something else.
    DataContradiction,
    /// An effect before its cause.
    TemporalParadox,
    /// It cannot do this.
    CapabilityMismatch,
    /// A hash does not match.
    HashMismatch,
}
