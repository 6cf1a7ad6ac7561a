//! Who is locked out for a proven offence.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{Hash, TimeMs};

/// An account that was proven an offence. It keeps what it owns; what it may earn and hold is held back until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct JailRecord {
    /// When the last offence was proven.
    pub since: TimeMs,
    /// No proposer's fees, no emission and no office before then.
    pub until: TimeMs,
    /// Offences proven so far.
    pub offences: u32,
    /// The transaction that proved the last.
    pub because: Hash,
}

impl JailRecord {
    /// Whether it is locked out.
    #[must_use]
    pub fn is_in_force(&self, now: TimeMs) -> bool {
        now < self.until
    }
}
