//! Freezes in force.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{Scope, TimeMs, TxId};

/// A freeze in force.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct FreezeRecord {
    /// What stands still.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// Since when, in block time.
    pub since: TimeMs,
    /// Until when.
    pub until: TimeMs,
    /// The order.
    pub order: TxId,
}
