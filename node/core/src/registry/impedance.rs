//! Impedance and its score, by the formula of the specification (10-mesh, "Impedance registry").

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::AgentClass;
use serde::{Deserialize, Serialize};

/// The best score is 0, the worst this.
pub const SCORE_MAX: u16 = 1_000;
/// Impedance with a score of 500 for machines: half a second, in microseconds.
pub const MACHINE_HALF_US: u64 = 500_000;
/// Impedance with a score of 500 for people (class F): ten minutes, in microseconds.
pub const HUMAN_HALF_US: u64 = 600_000_000;
/// A machine with a score above this (2 s) is degraded for machine work.
pub const DEGRADED_ABOVE_SCORE: u16 = 800;
/// Drift above this share, in ppm, makes an agent unstable.
pub const UNSTABLE_ABOVE_PPM: u32 = 500_000;

/// Measured delays of an agent and the work before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
pub struct Impedance {
    /// Median one-way network delay.
    pub one_way_p50_us: u64,
    /// 95th percentile of the one-way network delay.
    pub one_way_p95_us: u64,
    /// Median processing time.
    pub processing_p50_us: u64,
    /// 95th percentile of the processing time.
    pub processing_p95_us: u64,
    /// Pieces of work waiting at the agent.
    pub queue_depth: u32,
}

impl Impedance {
    /// `Z = one-way p50 + processing p50 x (1 + 0.1 x queue) + spread`, in microseconds; saturates.
    ///
    /// The spread of the sum is taken as the sum of the spreads: its exact value only when both delays are large together,
    /// an upper bound otherwise, and all that can be said from the marginal quantiles.
    #[must_use]
    pub const fn z_us(&self) -> u64 {
        let queued_us = self.processing_p50_us.saturating_mul(self.queue_depth as u64) / 10;
        let spread_us = self
            .one_way_p95_us
            .saturating_sub(self.one_way_p50_us)
            .saturating_add(self.processing_p95_us.saturating_sub(self.processing_p50_us));
        self.one_way_p50_us.saturating_add(self.processing_p50_us).saturating_add(queued_us).saturating_add(spread_us)
    }
}

/// `round(1000 x Z / (Z + half))`: 0 is instant, 500 is `half`. People are scored on their own scale.
#[must_use]
pub fn score(z_us: u64, class: AgentClass) -> u16 {
    let half_us = if class == AgentClass::F { HUMAN_HALF_US } else { MACHINE_HALF_US };
    let z = u128::from(z_us);
    let sum = z.saturating_add(u128::from(half_us));
    let rounded = z.saturating_mul(u128::from(SCORE_MAX)).saturating_add(sum / 2).checked_div(sum).unwrap_or(0);
    u16::try_from(rounded).unwrap_or(SCORE_MAX)
}
