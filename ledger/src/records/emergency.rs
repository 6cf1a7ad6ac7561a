//! Climate emergencies.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::types::{AccountId, TimeMs};

/// What is signalled about a region, kind by kind: a flood and a fire have nothing to do with each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmergencyRecord(pub BTreeMap<String, EmergencyKind>);

/// What is signalled of one kind, and what follows from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EmergencyKind {
    /// The last signal of each oracle or guardian.
    pub signals: BTreeMap<AccountId, EmergencySignal>,
    /// In force until then; nothing when it never was or was lifted.
    pub until: Option<TimeMs>,
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
    /// The last end of those that are in force, of whatever kind.
    #[must_use]
    pub fn in_force_until(&self, now: TimeMs) -> Option<TimeMs> {
        self.0.values().filter_map(|kind| kind.in_force_until(now)).max()
    }

    /// Whether there is one in force, of whatever kind.
    #[must_use]
    pub fn is_in_force(&self, now: TimeMs) -> bool {
        self.in_force_until(now).is_some()
    }
}

impl EmergencyKind {
    /// Its end, while it is in force.
    #[must_use]
    pub fn in_force_until(&self, now: TimeMs) -> Option<TimeMs> {
        self.until.filter(|until| now < *until)
    }
}
