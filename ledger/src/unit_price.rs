//! What a unit of work costs: by capability, moving with how much of it is used, damped and bounded; with factors for the hour
//! and for how much a requester uses.

use crate::fees::damped;
use crate::parameters::{Parameter, Parameters};
use crate::records::{CapabilityRecord, PERIOD_MS, VolumeRecord};
use crate::types::TimeMs;

const PPM: u64 = 1_000_000;
/// A price stays between the voted one divided and multiplied by this.
pub const PRICE_RANGE: u64 = 8;
const HOUR_MS: u64 = 3_600_000;

impl CapabilityRecord {
    /// One that nobody has yet, at the voted price.
    #[must_use]
    pub fn new(now: TimeMs, parameters: &Parameters) -> Self {
        let price = voted_price(parameters);
        let (period, step_ends) = (period_of(now), end_of_step(now, parameters));
        Self { agents: 0, price, anchor: price, period, step_ends, used: 0 }
    }

    /// The record as it stands at a time: every step that ended moved the price by at most an eighth towards where use meets its
    /// target, and within a period by at most half of what it began with.
    #[must_use]
    pub fn at(mut self, now: TimeMs, parameters: &Parameters) -> Self {
        let floor = voted_price(parameters).checked_div(PRICE_RANGE).unwrap_or(0);
        let ceiling = voted_price(parameters).saturating_mul(PRICE_RANGE);
        while self.step_ends <= now {
            let (least, most) = (self.anchor.div_ceil(2), self.anchor.saturating_add(self.anchor >> 1));
            let moved = damped(self.price, self.used, self.target(parameters)).clamp(least, most.max(least));
            let idle = self.used == 0;
            self.price = moved.clamp(floor, ceiling);
            self.used = 0;
            self.enter(self.step_ends);
            self.step_ends = end_of_step(self.step_ends, parameters);
            // Long idleness is told at once: a price at its floor stays, one at its least of the period waits for the next.
            if idle && self.price == floor && self.step_ends <= now {
                self.enter(now);
                self.step_ends = end_of_step(now, parameters);
            } else if idle && self.price == self.anchor.div_ceil(2) {
                let next = self.period.saturating_add(1).saturating_mul(PERIOD_MS);
                // The end of the step in which the next period begins, if that is over.
                let next = end_of_step(TimeMs(next.saturating_sub(1)), parameters);
                self.step_ends = self.step_ends.max(next.min(end_of_step(now, parameters)));
            }
        }
        self
    }

    fn enter(&mut self, at: TimeMs) {
        if period_of(at) != self.period {
            (self.period, self.anchor) = (period_of(at), self.price);
        }
    }

    /// Units of a step at which the price stays as it is.
    fn target(&self, parameters: &Parameters) -> u64 {
        let capacity = u128::from(self.agents).saturating_mul(u128::from(parameters.get(Parameter::AgentStepUnits)));
        let target = capacity.saturating_mul(u128::from(parameters.get(Parameter::PriceTargetPpm)));
        u64::try_from(target.checked_div(u128::from(PPM)).unwrap_or(0)).unwrap_or(u64::MAX).max(1)
    }
}

/// What a unit costs one requester at one time, in millionths of a uFTNS, rounded down: price x hour x volume.
#[must_use]
pub fn unit_price(price: u64, now: TimeMs, volume: &VolumeRecord, parameters: &Parameters) -> u64 {
    let hour = now.0.checked_div(HOUR_MS).unwrap_or(0).checked_rem(24).unwrap_or(0);
    let (from, to) = (parameters.get(Parameter::PeakFromHour), parameters.get(Parameter::PeakToHour));
    // Over midnight when it ends before it begins.
    let peak = if from <= to { from <= hour && hour < to } else { from <= hour || hour < to };
    let more_ppm = if peak { parameters.get(Parameter::PeakPpm) } else { 0 };
    let full = parameters.get(Parameter::VolumeUnits).max(1);
    let used = volume.units.saturating_add(volume.before).min(full);
    let less_ppm = scale(parameters.get(Parameter::VolumePpm), used, full);
    scale(scale(price, PPM.saturating_add(more_ppm), PPM), PPM.saturating_sub(less_ppm), PPM)
}

/// The number of the period a time lies in.
#[must_use]
pub fn period_of(time: TimeMs) -> u64 {
    time.0.checked_div(PERIOD_MS).unwrap_or(0)
}

fn end_of_step(now: TimeMs, parameters: &Parameters) -> TimeMs {
    let step_ms = parameters.get(Parameter::PriceStepMs);
    TimeMs(now.0.checked_div(step_ms).unwrap_or(0).saturating_add(1).saturating_mul(step_ms))
}

/// The price of a unit as it was voted, in millionths of a uFTNS.
#[must_use]
pub(crate) fn voted_price(parameters: &Parameters) -> u64 {
    parameters.get(Parameter::TaskUnitPrice).saturating_mul(PPM)
}

fn scale(value: u64, by: u64, of: u64) -> u64 {
    let scaled = u128::from(value).saturating_mul(u128::from(by)).checked_div(u128::from(of)).unwrap_or(0);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
