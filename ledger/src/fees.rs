//! What a unit of transaction weight costs: moves with how full blocks are, damped.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::parameters::{Parameter, Parameters};
use crate::types::Uftns;

const MILLIONTHS: u128 = 1_000_000;
/// The largest step: an eighth.
const DAMPING: u128 = 8;

/// The price of a unit of weight in millionths of a uFTNS (fine enough that an eighth of the smallest price is not lost).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct BaseFee(pub u64);

impl BaseFee {
    /// This many whole uFTNS.
    #[must_use]
    pub const fn whole(uftns: u64) -> Self {
        Self(uftns.saturating_mul(1_000_000))
    }

    /// What so much weight costs, rounded up.
    #[must_use]
    pub fn fee(self, weight: u64) -> Uftns {
        let millionths = u128::from(self.0).saturating_mul(u128::from(weight));
        Uftns(u64::try_from(millionths.div_ceil(MILLIONTHS)).unwrap_or(u64::MAX))
    }

    /// The price for the block after one of this weight: unchanged at the target, an eighth more at twice the target and above, an
    /// eighth less after an empty block (the rule of EIP-1559), between the bounds of the parameters.
    #[must_use]
    pub fn after(self, weight: u64, parameters: &Parameters) -> Self {
        Self(damped(self.0, weight, parameters.get(Parameter::TargetBlockWeight))).within(parameters)
    }

    /// Within the bounds of the parameters: never below the base fee, never above its ceiling (the base fee where that is higher).
    #[must_use]
    pub fn within(self, parameters: &Parameters) -> Self {
        let floor = Self::whole(parameters.get(Parameter::BaseFee));
        let ceiling = Self::whole(parameters.get(Parameter::BaseFeeMax)).max(floor);
        self.clamp(floor, ceiling)
    }
}

/// A rate after so much use: unchanged at the target, an eighth more at twice the target and above, an eighth less without use.
pub(crate) fn damped(rate: u64, used: u64, target: u64) -> u64 {
    let (rate, target) = (u128::from(rate), u128::from(target).max(1));
    let used = u128::from(used).min(target.saturating_mul(2));
    let step = |apart: u128| rate.saturating_mul(apart).checked_div(target.saturating_mul(DAMPING)).unwrap_or(0);
    let moved = match used.checked_sub(target) {
        Some(above) => rate.saturating_add(step(above)),
        None => rate.saturating_sub(step(target.saturating_sub(used))),
    };
    u64::try_from(moved).unwrap_or(u64::MAX)
}
