//! What a node's machine cost to make.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// A node's machine, as its operator declares it: the embodied part M of the software carbon intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct HardwareRecord {
    /// What making it, shipping it and taking it apart emit, grams of CO2e.
    pub embodied_g: u64,
    /// How long it serves, hours.
    pub lifespan_h: u32,
    /// Tasks it does at once.
    pub slots: u32,
}

impl HardwareRecord {
    /// The embodied carbon of one part that ran for so long, micrograms, rounded up: M = TE x (TiR / EL) x (RR / ToR) of the SCI
    /// specification (Green Software Foundation, ISO/IEC 21031), where a part reserves one slot.
    #[must_use]
    pub fn embodied_ug(&self, wall_us: u64) -> u64 {
        let embodied_ug = u128::from(self.embodied_g).saturating_mul(1_000_000);
        let slots_us = u128::from(self.lifespan_h).saturating_mul(3_600_000_000).saturating_mul(u128::from(self.slots));
        let scaled = embodied_ug.saturating_mul(u128::from(wall_us)).div_ceil(slots_us.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}
