//! Freezes and thaws: signed by operators, effective when received, recorded on the ledger.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::operators::Operators;
use crate::ops::Operation;
use crate::signing::ChainContext;
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
