//! Freezes and thaws: signed by operators, effective when received, recorded on the ledger.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::operators::Operators;
use crate::ops::Operation;
use crate::outcome::{DueEvent, Effect};
use crate::records::{AgentRecord, ClusterRecord, Due, FreezeRecord, SectorRecord};
use crate::rejection::Rejection;
use crate::signing::ChainContext;
use crate::state::keyspace;
use crate::transaction::{MAX_SIGNATURES, SignedTransaction};
use crate::types::{ChainId, Scope, TimeMs, TxId};

/// Bytes of a reason, at most.
pub const MAX_REASON_BYTES: usize = 256;
/// The longest a freeze lasts: 72 h.
pub const MAX_FREEZE_MS: u64 = 72 * 3_600 * 1_000;
/// How long a freeze lasts unless its order says otherwise: 24 h.
pub const DEFAULT_FREEZE_MS: u64 = 24 * 3_600 * 1_000;

/// Stops a part of the mesh until a time.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Freeze {
    /// What stops.
    pub scope: Scope,
    /// Why, 1 to [`MAX_REASON_BYTES`].
    pub reason: String,
    /// Ends by itself; at most [`MAX_FREEZE_MS`] after the block it is recorded in.
    pub until: TimeMs,
}

/// Lifts the freeze of exactly this scope.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Thaw {
    /// As it was frozen.
    pub scope: Scope,
    /// Why, 1 to [`MAX_REASON_BYTES`].
    pub reason: String,
}

/// A freeze or thaw that a node obeys on receipt, before it is in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeOrder {
    /// Names the order: the same here and on the ledger.
    pub id: TxId,
    /// What it reaches.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// Until when it freezes; nothing for a thaw.
    pub until: Option<TimeMs>,
}

/// Why an order is not obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Another chain.
    #[error("the order is for chain {found} (or another genesis), this is {expected}")]
    WrongChain {
        /// Named by it.
        found: ChainId,
        /// Ours.
        expected: ChainId,
    },
    /// Some other operation.
    #[error("a {0} is no freeze and no thaw")]
    OtherOperation(&'static str),
    /// Late.
    #[error("the order was valid until {valid_until}, it is {now}")]
    Expired {
        /// Its end.
        valid_until: TimeMs,
        /// The reader's time.
        now: TimeMs,
    },
    /// Too long.
    #[error("the freeze lasts until {until}, at most {latest} is allowed")]
    TooLong {
        /// Its end.
        until: TimeMs,
        /// The latest end allowed.
        latest: TimeMs,
    },
    /// No reason, or too long a one.
    #[error("the reason has {bytes} bytes, 1 to {MAX_REASON_BYTES} are taken")]
    Reason {
        /// Its size.
        bytes: usize,
    },
    /// Too many signatures to look at.
    #[error("the order carries {found} signatures, at most {MAX_SIGNATURES} are taken")]
    TooManySignatures {
        /// How many.
        found: usize,
    },
    /// Too few operators.
    #[error("{valid} valid operator signatures, {threshold} are needed")]
    BelowThreshold {
        /// Distinct operators whose signature holds.
        valid: usize,
        /// How many must sign.
        threshold: usize,
    },
}

/// Checks a freeze or thaw by itself, without the ledger's state: chain, time, bounds and operator signatures.
///
/// # Errors
/// The first reason not to obey it.
pub fn verify_order(
    order: &SignedTransaction,
    operators: &Operators,
    context: &ChainContext,
    now: TimeMs,
) -> Result<FreezeOrder, OrderError> {
    let tx = &order.tx;
    if tx.context() != *context {
        return Err(OrderError::WrongChain { found: tx.chain, expected: context.chain });
    }
    let (scope, reason, until) = match &tx.op {
        Operation::Freeze(freeze) => (freeze.scope, &freeze.reason, Some(freeze.until)),
        Operation::Thaw(thaw) => (thaw.scope, &thaw.reason, None),
        other => return Err(OrderError::OtherOperation(other.name())),
    };
    if now > tx.valid_until {
        return Err(OrderError::Expired { valid_until: tx.valid_until, now });
    }
    if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
        return Err(OrderError::Reason { bytes: reason.len() });
    }
    let latest = now.plus_ms(MAX_FREEZE_MS);
    if let Some(until) = until.filter(|until| *until > latest) {
        return Err(OrderError::TooLong { until, latest });
    }
    if order.signatures.len() > MAX_SIGNATURES {
        return Err(OrderError::TooManySignatures { found: order.signatures.len() });
    }
    let (valid, threshold) = (operators.count_valid(order), usize::from(operators.threshold));
    if valid < threshold {
        return Err(OrderError::BelowThreshold { valid, threshold });
    }
    Ok(FreezeOrder { id: tx.id(), scope, reason: reason.clone(), until })
}

impl Freeze {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        check_order(working, call, &self.reason)?;
        check_scope(working, &self.scope)?;
        let (deadline, time, latest) = (self.until, working.now, working.now.plus_ms(MAX_FREEZE_MS));
        if deadline <= time {
            return Err(Rejection::DeadlinePassed { deadline, time }.into());
        }
        if deadline > latest {
            return Err(Rejection::DeadlineTooFar { deadline, latest }.into());
        }
        let key = keyspace::freeze(&self.scope);
        let before: Option<FreezeRecord> = working.read(&key)?;
        let since = before.map_or(time, |freeze| freeze.since);
        let record =
            FreezeRecord { scope: self.scope, reason: self.reason.clone(), since, until: self.until, order: call.id };
        working.write(key, &record);
        working.schedule(self.until, &Due::FreezeEnds(self.scope));
        if self.scope == Scope::Global {
            working.globals_mut().frozen_since = Some(since);
        }
        Ok(Effect::Frozen { scope: self.scope, until: self.until })
    }
}

impl Thaw {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        check_order(working, call, &self.reason)?;
        if working.get(&keyspace::freeze(&self.scope))?.is_none() {
            return Err(Rejection::NotFrozen(self.scope).into());
        }
        lift(working, &self.scope);
        Ok(Effect::Thawed { scope: self.scope })
    }
}

/// Ends a freeze whose time is over; one that was renewed meanwhile stays.
pub(crate) fn expire(working: &mut Working<'_>, scope: &Scope, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let freeze: Option<FreezeRecord> = working.read(&keyspace::freeze(scope))?;
    if freeze.is_some_and(|freeze| freeze.until <= working.now) {
        lift(working, scope);
        events.push(DueEvent::FreezeEnded { scope: *scope });
    }
    Ok(())
}

fn lift(working: &mut Working<'_>, scope: &Scope) {
    working.remove(keyspace::freeze(scope));
    if *scope == Scope::Global {
        let now = working.now;
        let globals = working.globals_mut();
        globals.frozen_ms = globals.frozen_ms_at(now);
        globals.frozen_since = None;
    }
}

fn check_order(working: &Working<'_>, call: &Call<'_>, reason: &str) -> Result<(), Rejection> {
    within("reason (bytes)", reason.len() as u64, 1, MAX_REASON_BYTES as u64)?;
    let operators = &working.chain.operators;
    // Every signature in the envelope was verified; what counts here is whose they are.
    let signed = call.signed.signatures.iter().filter(|keyed| operators.keys.contains(&keyed.key)).count() as u64;
    let threshold = u64::from(operators.threshold);
    if signed < threshold {
        return Err(Rejection::NotEnoughOperators { found: signed, threshold });
    }
    Ok(())
}

fn check_scope(working: &Working<'_>, scope: &Scope) -> Result<(), Stop> {
    let exists = match scope {
        Scope::Global => true,
        Scope::Sector(sector) => working.read::<SectorRecord>(&keyspace::sector(*sector))?.is_some(),
        Scope::Cluster(cluster) => working.read::<ClusterRecord>(&keyspace::cluster(*cluster))?.is_some(),
        Scope::Agent(agent) => working.read::<AgentRecord>(&keyspace::agent(*agent))?.is_some(),
    };
    if exists { Ok(()) } else { Err(Rejection::UnknownScope(*scope).into()) }
}
