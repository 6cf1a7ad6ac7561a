//! Capabilities: who has them, what they are used for, what a unit of work costs that needs them.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{TimeMs, Uftns};

/// A capability on the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CapabilityRecord {
    /// Agents that have it.
    pub agents: u64,
    /// Of one unit of work, in millionths of a uFTNS.
    pub price: u64,
    /// The price at the beginning of the period: within it, the price stays within half of that.
    pub anchor: u64,
    /// The period `anchor` is of, counted from 1970.
    pub period: u64,
    /// When the running step ends and the price moves.
    pub step_ends: TimeMs,
    /// Units paid in the running step.
    pub used: u64,
}

/// What a requester has used in the running and the last period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// The running one, counted from 1970.
    pub period: u64,
    /// Units in it.
    pub units: u64,
    /// Units in the one before.
    pub before: u64,
    /// What discounts for its region took off in the running one.
    pub discounted: Uftns,
}

impl VolumeRecord {
    /// The same in a later period.
    #[must_use]
    pub(crate) const fn in_period(self, period: u64) -> Self {
        match period.saturating_sub(self.period) {
            0 => self,
            1 => Self { period, units: 0, before: self.units, discounted: Uftns::ZERO },
            _ => Self { period, units: 0, before: 0, discounted: Uftns::ZERO },
        }
    }
}
