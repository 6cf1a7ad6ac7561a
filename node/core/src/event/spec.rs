//! An event: what is to happen at which instant, to whom, signed by its origin.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec;
use mesh30k_ledger::keys::{self, PublicKey, SecretKey, Signature};
use mesh30k_ledger::signing::{ChainContext, Domain, signing_hash};
use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, Hash, Scope};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::id::EventId;
use super::session::Session;
use crate::time::MeshTimeUs;
use crate::wire::context_digest;

/// Longest payload of an event; larger things travel as blobs and are named here by hash.
pub const MAX_PAYLOAD_LEN: usize = 64 * 1024;
/// Largest weight (thousandths): 1000 times the base work.
pub const MAX_WEIGHT_MILLI: u32 = 1_000_000;
/// Furthest an event may lie in the future when it is accepted, microseconds (a day).
pub const MAX_AHEAD_US: i64 = 24 * 3_600 * 1_000_000;

/// Most agents an event may name one by one; larger sets are given by scope, classes and capabilities.
pub const MAX_NAMED_AGENTS: usize = 4_096;

/// How arrival at T is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub enum Strategy {
    /// Prepare early, release at T by the agent's own clock.
    Hold,
    /// Send at T minus the median and let it land.
    Throw,
}

/// What kind of act an event is: for filtering and audit, it grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub enum Verb {
    /// Look.
    Observe,
    /// Make sense.
    Orient,
    /// Choose.
    Decide,
    /// Do.
    Act,
    /// Write down.
    Record,
    /// Align.
    Sync,
}

/// How far down the tree an event goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub enum Reach {
    /// To the agents.
    #[default]
    Agents,
    /// To the cluster leads, who answer for the agents they can prepare.
    Clusters,
    /// To the sector coordinators, who answer for the clusters they hear of.
    Sectors,
}

/// A set of agent classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ClassSet(pub u8);

impl ClassSet {
    /// Every class but humans: the default of a cascade.
    pub const MACHINES: Self = Self(0b01_1111);
    /// Every class.
    pub const ALL: Self = Self(0b11_1111);

    /// The set of the given classes.
    #[must_use]
    pub fn of(classes: &[AgentClass]) -> Self {
        Self(classes.iter().fold(0, |bits, class| bits | bit(*class)))
    }

    /// Whether `class` is in it.
    #[must_use]
    pub fn contains(self, class: AgentClass) -> bool {
        self.0 & bit(class) != 0
    }
}

fn bit(class: AgentClass) -> u8 {
    1_u8.checked_shl(u32::try_from(class_index(class)).unwrap_or(0)).unwrap_or(0)
}

/// All classes, in the order of [`class_index`].
pub const CLASSES: [AgentClass; 6] =
    [AgentClass::A, AgentClass::B, AgentClass::C, AgentClass::D, AgentClass::E, AgentClass::F];

/// Position of a class in every table by class.
#[must_use]
pub const fn class_index(class: AgentClass) -> usize {
    match class {
        AgentClass::A => 0,
        AgentClass::B => 1,
        AgentClass::C => 2,
        AgentClass::D => 3,
        AgentClass::E => 4,
        AgentClass::F => 5,
    }
}

/// One coordination, as its origin signs it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// Who made it: the operator key that signs.
    pub origin: PublicKey,
    /// T, the instant of release.
    pub target: MeshTimeUs,
    /// Hold or throw.
    pub strategy: Strategy,
    /// Whether a release has effects outside the answer. If so, an agent that is not ARMED at T never releases by itself.
    pub effects: bool,
    /// What kind of act.
    pub kind: Verb,
    /// Weight w of the work, thousandths.
    pub weight_milli: u32,
    /// What the agents are given.
    pub payload: Vec<u8>,
    /// Which classes take part.
    pub classes: ClassSet,
    /// Capability bits every participant must have.
    pub capabilities: u64,
    /// 0 (background) to 3 (urgent).
    pub priority: u8,
    /// When the origin wants its summary.
    pub deadline: MeshTimeUs,
    /// How long after T a late correction is still of interest, milliseconds.
    pub ttl_ms: u32,
    /// Which part of the mesh.
    pub scope: Scope,
    /// Only these agents of that part, in rising order; empty for all of them.
    pub agents: Vec<AgentId>,
    /// How far down it goes.
    pub reach: Reach,
}

/// Why an event is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EventError {
    /// A field outside its bounds.
    #[error("event {field} is {value}, the limit is {limit}")]
    Limit {
        /// Field.
        field: &'static str,
        /// What it holds.
        value: u64,
        /// What it may hold.
        limit: u64,
    },
    /// The payload is too large.
    #[error("event payload has {bytes} bytes, the limit is {limit}; put larger things into a blob and name it by hash")]
    PayloadTooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// No class selected.
    #[error("event selects no agent class")]
    NoClasses,
    /// The summary is wanted before the release.
    #[error("event deadline {deadline} is before its target {target}")]
    DeadlineBeforeTarget {
        /// Wanted summary.
        deadline: MeshTimeUs,
        /// Release.
        target: MeshTimeUs,
    },
    /// Named agents are not in rising order, or one is named twice.
    #[error("event agents must be named in rising order, agent {0} is not")]
    AgentsOutOfOrder(AgentId),
    /// Signed for another chain.
    #[error("event is for chain {found}, this is chain {expected}")]
    ForeignChain {
        /// Digest of the event's chain.
        found: Hash,
        /// Digest of this one.
        expected: Hash,
    },
    /// The session that signed it ends before T.
    #[error("event session ended at {expires}, before the event's target {target}; open a new session")]
    SessionExpired {
        /// The session's last instant.
        expires: MeshTimeUs,
        /// Release.
        target: MeshTimeUs,
    },
    /// The session is not its operator's, or not for the key that signed the event.
    #[error("event session of operator {0} is not signed by that operator for the event's origin")]
    ForgedSession(PublicKey),
    /// Signed by a key that may not start events.
    #[error("event origin {0} is no operator of this network")]
    NotAnOperator(PublicKey),
    /// The signature does not match.
    #[error("event signature is not by its origin")]
    Signature,
}

impl Event {
    /// Checks the bounds of every field.
    ///
    /// # Errors
    /// The first field that breaks its bound.
    pub fn check(&self) -> Result<(), EventError> {
        if self.payload.len() > MAX_PAYLOAD_LEN {
            let (bytes, limit) = (self.payload.len() as u64, MAX_PAYLOAD_LEN as u64);
            return Err(EventError::PayloadTooLarge { bytes, limit });
        }
        let limits = [
            ("weight", u64::from(self.weight_milli), u64::from(MAX_WEIGHT_MILLI)),
            ("priority", u64::from(self.priority), 3),
            ("classes", u64::from(self.classes.0), u64::from(ClassSet::ALL.0)),
            ("ttl_ms", u64::from(self.ttl_ms), 3_600_000),
            ("number of named agents", self.agents.len() as u64, MAX_NAMED_AGENTS as u64),
        ];
        for (field, value, limit) in limits {
            if value > limit {
                return Err(EventError::Limit { field, value, limit });
            }
        }
        if self.classes.0 == 0 {
            return Err(EventError::NoClasses);
        }
        let pairs = self.agents.iter().zip(self.agents.iter().skip(1));
        if let Some((_, agent)) = pairs.into_iter().find(|(before, after)| before >= after) {
            return Err(EventError::AgentsOutOfOrder(*agent));
        }
        if self.deadline < self.target {
            return Err(EventError::DeadlineBeforeTarget { deadline: self.deadline, target: self.target });
        }
        Ok(())
    }

    /// Whether an agent of this kind and place takes part.
    #[must_use]
    pub fn selects(&self, agent: AgentId, class: AgentClass, capabilities: u64, cluster: ClusterId) -> bool {
        self.scope.covers(agent, cluster)
            && self.classes.contains(class)
            && capabilities & self.capabilities == self.capabilities
            && (self.agents.is_empty() || self.agents.binary_search(&agent).is_ok())
    }

    /// When nothing more is corrected.
    #[must_use]
    pub fn expires(&self) -> MeshTimeUs {
        self.target.plus_us(i64::from(self.ttl_ms).saturating_mul(1_000)).max(self.deadline)
    }

    /// Signs it; `origin` is set to the key's public half.
    #[must_use]
    pub fn sign(self, context: &ChainContext, key: &SecretKey) -> SignedEvent {
        self.sign_in(context, key, None)
    }

    /// Signs it with the key of an operator's session.
    #[must_use]
    pub fn sign_by_session(self, context: &ChainContext, key: &SecretKey, session: Session) -> SignedEvent {
        self.sign_in(context, key, Some(Box::new(session)))
    }

    fn sign_in(mut self, context: &ChainContext, key: &SecretKey, session: Option<Box<Session>>) -> SignedEvent {
        self.origin = key.public();
        let signature = key.sign(signing_hash(Domain::Event, context, &codec::encode(&self)).as_bytes());
        SignedEvent { chain: context_digest(context), session, event: self, signature }
    }
}

/// An event with its origin's signature; checked at every hop that acts on it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SignedEvent {
    /// Digest of the chain it is signed for: only so that a foreign one is called by its name.
    pub chain: Hash,
    /// By which right its origin acts; none for an operator key itself.
    pub session: Option<Box<Session>>,
    /// The event.
    pub event: Event,
    /// Its origin's signature over the canonical bytes in [`Domain::Event`].
    pub signature: Signature,
}

impl SignedEvent {
    /// Bounds, then chain and right, then signatures: the cheap refusals first.
    ///
    /// # Errors
    /// Why the event may not be acted on.
    pub fn verify(&self, context: &ChainContext, operators: &[PublicKey]) -> Result<(), EventError> {
        self.event.check()?;
        let expected = context_digest(context);
        if self.chain != expected {
            return Err(EventError::ForeignChain { found: self.chain, expected });
        }
        let operator = self.session.as_ref().map_or(self.event.origin, |session| session.operator);
        if !operators.contains(&operator) {
            return Err(EventError::NotAnOperator(operator));
        }
        if let Some(session) = &self.session {
            session.check(context, &self.event)?;
        }
        let hash = signing_hash(Domain::Event, context, &codec::encode(&self.event));
        if keys::verify(&self.event.origin, hash.as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(EventError::Signature)
        }
    }
}
