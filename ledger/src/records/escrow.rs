//! Escrows.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::charges::ChargeTerms;
use crate::ops::Capabilities;
use crate::rejection::Rejection;
use crate::types::{AccountId, Hash, TimeMs, Uftns};

/// Money locked for a task.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Escrow {
    /// Who pays and accepts.
    pub opener: AccountId,
    /// The task.
    pub task: Hash,
    /// Its module.
    pub module: Hash,
    /// What its agents must be able to do.
    pub capability: Capabilities,
    /// Its parts.
    pub parts: u32,
    /// The most a worker is paid for one part.
    pub amount_per_part: Uftns,
    /// Held for carbon and premium of one part.
    pub reserve_per_part: Uftns,
    /// What these are counted with.
    pub terms: ChargeTerms,
    /// What is still locked.
    pub locked: Uftns,
    /// Which parts were released: bit `part % 8` of byte `part / 8`.
    pub released: Vec<u8>,
    /// How many were.
    pub released_parts: u32,
    /// When the rest goes back.
    pub release_deadline: TimeMs,
    /// How long everything had been frozen when it was opened; its clock stands still meanwhile.
    pub frozen_ms_at_open: u64,
    /// Where it stands.
    pub status: EscrowStatus,
}

/// Where an escrow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscrowStatus {
    /// Parts remain.
    Open,
    /// Every part was released.
    Settled,
    /// Its deadline came; the rest went back.
    Refunded,
}

impl Escrow {
    /// Whether a part was released.
    #[must_use]
    pub fn is_released(&self, part: u32) -> bool {
        let byte = usize::try_from(part >> 3).ok().and_then(|at| self.released.get(at));
        byte.is_some_and(|byte| byte & (1 << (part & 7)) != 0)
    }

    /// Refuses to pay for a part with a footprint whose charge the reserve does not hold.
    ///
    /// # Errors
    /// [`Rejection::ReserveShort`], with the reserve that would be needed.
    pub fn must_cover(&self, carbon_ug: u64) -> Result<(), Rejection> {
        self.terms.must_cover(self.amount_per_part, self.reserve_per_part, carbon_ug)
    }

    pub(crate) fn mark_released(&mut self, part: u32) {
        if let Some(byte) = usize::try_from(part >> 3).ok().and_then(|at| self.released.get_mut(at)) {
            *byte |= 1 << (part & 7);
            self.released_parts = self.released_parts.saturating_add(1);
        }
    }

    /// When the rest goes back, given how long everything has been frozen so far.
    #[must_use]
    pub const fn effective_deadline(&self, frozen_ms: u64) -> TimeMs {
        self.release_deadline.plus_ms(frozen_ms.saturating_sub(self.frozen_ms_at_open))
    }
}
