//! Climate emergencies.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::types::{AccountId, TimeMs};

/// What is signalled about a region, and what follows from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EmergencyRecord {
    /// The last signal of each oracle or guardian.
    pub signals: BTreeMap<AccountId, EmergencySignal>,
    /// In force until then; nothing when it never was or was lifted.
    pub until: Option<TimeMs>,
    /// What kind, by the signal that completed it.
    pub kind: String,
}

/// One signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EmergencySignal {
    /// Until when it should last; nothing to lift it.
    pub until: Option<TimeMs>,
    /// When it was given.
    pub at: TimeMs,
}

impl EmergencyRecord {
    /// Whether it is in force.
    #[must_use]
    pub fn is_in_force(&self, now: TimeMs) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}
