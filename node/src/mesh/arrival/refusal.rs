//! Why messages and events are refused.

use mesh30k_core::event::{EventError as SpecError, EventId, GatherError, PlanError};
use mesh30k_core::lead::LeaseError;
use mesh30k_core::wire::{MessageId, WireError};
use mesh30k_ledger::codec::CodecError;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{AgentId, ClusterId, NodeId, Scope, SectorId};

/// Why a message from another node was dropped. Nothing is answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The envelope.
    #[error("envelope refused: {0}")]
    Wire(#[from] WireError),
    /// The body.
    #[error("body is not canonical: {0}")]
    Body(#[from] CodecError),
    /// The peer speaks only other versions.
    #[error("the peer knows only protocol versions {versions:?}")]
    OldPeer {
        /// Which.
        versions: Vec<u16>,
    },
    /// Seen before.
    #[error("message {id} was seen before")]
    Duplicate {
        /// Which.
        id: MessageId,
    },
    /// The sender is not on the ledger.
    #[error("node {node} is not on the ledger here")]
    Stranger {
        /// Which.
        node: NodeId,
    },
    /// An event that may not be acted on.
    #[error("event {event} refused: {source}")]
    Event {
        /// Which.
        event: EventId,
        /// Why.
        source: SpecError,
    },
    /// An event whose time is over.
    #[error("event {event} expired {late_us} us ago")]
    EventExpired {
        /// Which.
        event: EventId,
        /// How long ago.
        late_us: i64,
    },
    /// For a part of the tree this node does not answer for.
    #[error("this node does not answer for {scope}")]
    NotHere {
        /// Which.
        scope: Scope,
    },
    /// The sender is not who answers for that part of the tree.
    #[error("node {node} is not the coordinator of sector {sector}")]
    NotCoordinator {
        /// The sender.
        node: NodeId,
        /// Of what.
        sector: SectorId,
    },
    /// The sender does not hold the cluster's lease.
    #[error("node {node} may not act for cluster {cluster}: {source}")]
    NotLead {
        /// The sender.
        node: NodeId,
        /// For what.
        cluster: ClusterId,
        /// Why.
        source: LeaseError,
    },
    /// A summary of a lead without its right, or of a cluster's or coordinator's claim that makes no sense.
    #[error("a message about {scope} came without the right to send it")]
    NoRight {
        /// About what.
        scope: Scope,
    },
    /// A summary signed by another key than the ledger has for the sender.
    #[error("summary by node {node} is signed by {key}, which is not its key")]
    WrongSigner {
        /// The sender.
        node: NodeId,
        /// The key.
        key: PublicKey,
    },
    /// A host speaks for another one.
    #[error("node {node} speaks as host {host}")]
    NotHost {
        /// The sender.
        node: NodeId,
        /// As whom.
        host: NodeId,
    },
    /// A lead addresses an agent that is not in its cluster.
    #[error("agent {agent} is not in cluster {cluster}")]
    ForeignAgent {
        /// Which agent.
        agent: AgentId,
        /// The lead's cluster.
        cluster: ClusterId,
    },
    /// More answers than agents that released.
    #[error("{said} answers to event {event} by {released} agents")]
    Answers {
        /// Which event.
        event: EventId,
        /// Answers claimed.
        said: u64,
        /// Releases they came with.
        released: u64,
    },
    /// A bounded table has no room.
    #[error("{what} is full at {limit}")]
    Full {
        /// Which table.
        what: &'static str,
        /// Its bound.
        limit: usize,
    },
}

impl Refusal {
    /// A short constant name, for counters.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Wire(WireError::WrongChain { .. }) => "wrong_chain",
            Self::Wire(WireError::Expired { .. }) => "expired",
            Self::Wire(WireError::BadSignature { .. } | WireError::Unsigned { .. }) => "signature",
            Self::Wire(WireError::UnknownVersion { .. }) | Self::OldPeer { .. } => "version",
            Self::Wire(_) | Self::Body(_) => "malformed",
            Self::Duplicate { .. } => "duplicate",
            Self::Stranger { .. } => "stranger",
            Self::Event { .. } => "event",
            Self::EventExpired { .. } => "event_expired",
            Self::NotHere { .. } => "not_here",
            Self::NotCoordinator { .. } => "not_coordinator",
            Self::NotLead { .. } => "not_lead",
            Self::NoRight { .. } => "no_right",
            Self::WrongSigner { .. } => "wrong_signer",
            Self::NotHost { .. } => "not_host",
            Self::ForeignAgent { .. } => "foreign_agent",
            Self::Answers { .. } => "answers",
            Self::Full { .. } => "full",
        }
    }
}

/// Why an event was not started, or not planned.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// By itself, whoever is to act on it.
    #[error(transparent)]
    Event(SpecError),
    /// Everything about it is over.
    #[error("event expired {late_ms} ms ago")]
    Expired {
        /// How long ago.
        late_ms: i64,
    },
    /// T has passed.
    #[error("event target is {past_ms} ms in the past")]
    InPast {
        /// By how much.
        past_ms: i64,
    },
    /// T is too far away to be held.
    #[error("event target is {ahead_ms} ms ahead, at most {limit_ms} ms are accepted")]
    TooFarAhead {
        /// Distance.
        ahead_ms: i64,
        /// The limit.
        limit_ms: i64,
    },
    /// T is nearer than the mesh needs.
    #[error(
        "insufficient lead: needs {needs_ms} ms, has {has_ms} ms; earliest T is {earliest_us}, predicted hit rate at the asked T is {predicted_hit_ppm} ppm"
    )]
    InsufficientLead {
        /// Lead needed.
        needs_ms: i64,
        /// Lead there is.
        has_ms: i64,
        /// Earliest T that can be kept, mesh time in microseconds.
        earliest_us: i64,
        /// Predicted share armed by the asked T.
        predicted_hit_ppm: u32,
    },
    /// It means nobody.
    #[error("event selects no agent, at least 1 is needed; scope, classes, capabilities and names must leave one")]
    EmptySet,
    /// It names agents that are not on the ledger.
    #[error("event names {unknown} agents that are not on the ledger, the first is agent {first}; 0 are allowed")]
    UnknownAgents {
        /// The first of them.
        first: AgentId,
        /// How many.
        unknown: u64,
    },
    /// This node orchestrates as many events as it can keep.
    #[error("{under_way} events are under way from this node, the limit is {limit}; wait for one to end")]
    TooMany {
        /// How many.
        under_way: usize,
        /// The limit.
        limit: usize,
    },
    /// A gather is asked for out of its bounds.
    #[error("gather {0}")]
    Gather(#[from] GatherError),
    /// It was started before.
    #[error("event {0} was started before")]
    Duplicate(EventId),
    /// Everybody it means is frozen.
    #[error("all {agents} agents the event selects are frozen")]
    Frozen {
        /// How many.
        agents: u64,
    },
    /// The tree below does not stand yet.
    #[error("the mesh is not ready: {reason}")]
    NotReady {
        /// What is missing.
        reason: String,
    },
    /// A word that stands for nothing.
    #[error("{field} is {found:?}; it may be {expected}")]
    Word {
        /// Which field.
        field: &'static str,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// The arrival thread has more to do than it can, or is gone.
    #[error("the node is too busy to take the event; try again")]
    Busy,
    /// The ledger can't be read.
    #[error("the ledger can't be read")]
    State(#[from] StateError),
}

impl EventError {
    /// A short constant name, for counters.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Event(error) => spec_name(error),
            Self::Expired { .. } => "start_expired",
            Self::InPast { .. } => "start_in_past",
            Self::TooFarAhead { .. } => "start_too_far_ahead",
            Self::InsufficientLead { .. } => "start_insufficient_lead",
            Self::EmptySet => "start_empty_set",
            Self::UnknownAgents { .. } => "start_unknown_agents",
            Self::TooMany { .. } => "start_too_many",
            Self::Duplicate(_) => "start_duplicate",
            Self::Frozen { .. } => "start_frozen",
            Self::NotReady { .. } => "start_not_ready",
            Self::Word { .. } | Self::Gather(_) => "start_words",
            Self::Busy => "start_busy",
            Self::State(_) => "start_state",
        }
    }
}

const fn spec_name(error: &SpecError) -> &'static str {
    match error {
        SpecError::Signature => "start_signature",
        SpecError::NotAnOperator(_) => "start_not_an_operator",
        SpecError::PayloadTooLarge { .. } => "start_payload",
        SpecError::Limit { .. } => "start_limit",
        SpecError::NoClasses => "start_empty_set",
        SpecError::DeadlineBeforeTarget { .. } => "start_deadline",
        SpecError::AgentsOutOfOrder(_) => "start_agents_out_of_order",
        SpecError::ForeignChain { .. } => "start_foreign_chain",
        SpecError::SessionExpired { .. } => "start_session_expired",
        SpecError::ForgedSession(_) => "start_forged_session",
    }
}

impl From<SpecError> for EventError {
    fn from(error: SpecError) -> Self {
        match error {
            // No class means no agent.
            SpecError::NoClasses => Self::EmptySet,
            error => Self::Event(error),
        }
    }
}

impl From<PlanError> for EventError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::InsufficientLead { needs_ms, has_ms, earliest, predicted_hit } => Self::InsufficientLead {
                needs_ms,
                has_ms,
                earliest_us: earliest.0,
                predicted_hit_ppm: ppm(predicted_hit),
            },
            PlanError::Nobody => {
                Self::NotReady { reason: "no coordinator has reported what its sector needs yet".to_owned() }
            }
        }
    }
}

/// A share of one in parts per million.
pub(super) fn ppm(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * 1e6).round() as u32
}
