//! Counts over everybody enrolled; silence is a miss.

use std::collections::BTreeMap;

use mesh30k_core::delay::ErrorHistogram;
use mesh30k_ledger::types::AgentClass;
use serde::{Deserialize, Serialize};

use crate::truth::SlotResult;

/// Windows that are counted, microseconds.
pub(crate) const WINDOWS_US: [i64; 5] = [2_000, 5_000, 10_000, 50_000, 250_000];
/// An error that stands for silence.
const NEVER: i32 = i32::MAX;

/// Slots of one class or wave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Everybody enrolled at dispatch.
    pub enrolled: u64,
    /// Released within 2 ms of T by true time.
    pub within_2ms: u64,
    /// Within 5 ms.
    pub within_5ms: u64,
    /// Within 10 ms.
    pub within_10ms: u64,
    /// Within 50 ms.
    pub within_50ms: u64,
    /// Within 250 ms.
    pub within_250ms: u64,
    /// Released at all.
    pub released: u64,
    /// Primaries armed at or before the true T.
    pub armed_by_t: u64,
    /// Held slots whose agent was alive and not thought to be down, and whose lead gave its work the time in which it is done
    /// with the wanted probability.
    pub promised: u64,
    /// Of those, the ones whose work was done in that time, truly: what calibration is about.
    pub kept: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, slot: &SlotResult) {
        let within = |omega: i64| u64::from(slot.error_us.is_some_and(|e| e.abs() <= omega));
        self.enrolled += 1;
        let fields = [
            &mut self.within_2ms,
            &mut self.within_5ms,
            &mut self.within_10ms,
            &mut self.within_50ms,
            &mut self.within_250ms,
        ];
        for (count, omega) in fields.into_iter().zip(WINDOWS_US) {
            *count += within(omega);
        }
        self.released += u64::from(slot.error_us.is_some());
        self.armed_by_t += u64::from(slot.armed_by_target);
        self.promised += u64::from(slot.promise_kept.is_some());
        self.kept += u64::from(slot.promise_kept == Some(true));
    }

    /// Adds the slots of others.
    pub fn merge(&mut self, other: &Self) {
        let fields = [
            (&mut self.enrolled, other.enrolled),
            (&mut self.within_2ms, other.within_2ms),
            (&mut self.within_5ms, other.within_5ms),
            (&mut self.within_10ms, other.within_10ms),
            (&mut self.within_50ms, other.within_50ms),
            (&mut self.within_250ms, other.within_250ms),
            (&mut self.released, other.released),
            (&mut self.armed_by_t, other.armed_by_t),
            (&mut self.promised, other.promised),
            (&mut self.kept, other.kept),
        ];
        fields.into_iter().for_each(|(own, more)| *own += more);
    }
}

/// Everything counted of one strategy.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) classes: BTreeMap<AgentClass, Counts>,
    pub(crate) histogram: ErrorHistogram,
    errors_us: Vec<i32>,
    hold_us: i64,
    held: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, slot: &SlotResult) {
        self.counts.add(slot);
        self.classes.entry(slot.class).or_default().add(slot);
        slot.error_us.into_iter().for_each(|error_us| self.histogram.record(error_us));
        self.errors_us
            .push(slot.error_us.map_or(NEVER, |e| e.clamp(-i64::from(NEVER - 1), i64::from(NEVER - 1)) as i32));
        if let Some(hold_us) = slot.hold_us {
            self.hold_us += hold_us;
            self.held += 1;
        }
    }

    /// Mean time between being armed and T of those that were early.
    pub(crate) fn mean_hold_ms(&self) -> f64 {
        if self.held == 0 { 0.0 } else { self.hold_us as f64 / self.held as f64 / 1_000.0 }
    }

    /// Median of |error| over everybody enrolled; none when more than half were silent.
    pub(crate) fn median_abs_us(&self) -> Option<i64> {
        let mut magnitudes: Vec<i32> = self.errors_us.iter().map(|e| e.saturating_abs()).collect();
        let middle = magnitudes.len().checked_sub(1)? / 2;
        let (_, median, _) = magnitudes.select_nth_unstable(middle);
        (*median != NEVER).then_some(i64::from(*median))
    }

    /// Shortest interval that holds 95 of 100 enrolled; none when fewer released.
    pub(crate) fn width95_us(&self) -> Option<i64> {
        let mut released: Vec<i32> = self.errors_us.iter().copied().filter(|e| *e != NEVER).collect();
        released.sort_unstable();
        let held = (self.errors_us.len() * 95).div_ceil(100);
        let spans = released.windows(held.max(1));
        spans.map(|span| i64::from(span[span.len() - 1]) - i64::from(span[0])).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_as_the_worst_of_all() {
        let mut tally = Tally::default();
        for error in 0..94 {
            tally.add(&SlotResult {
                class: AgentClass::A,
                error_us: Some(error),
                armed_by_target: true,
                promise_kept: (error < 50).then_some(error < 40),
                hold_us: None,
            });
        }
        let silent = SlotResult {
            class: AgentClass::B,
            error_us: None,
            armed_by_target: false,
            promise_kept: None,
            hold_us: None,
        };
        (0..6).for_each(|_| tally.add(&silent));
        assert_eq!((tally.counts.enrolled, tally.counts.within_2ms, tally.counts.armed_by_t), (100, 94, 94));
        assert_eq!((tally.counts.promised, tally.counts.kept), (50, 40));
        assert_eq!((tally.histogram.total(), tally.histogram.within(2_000)), (94, 94));
        assert_eq!(tally.median_abs_us(), Some(49));
        assert_eq!(tally.width95_us(), None);
        tally.add(&SlotResult { error_us: Some(-1_000_000), class: AgentClass::A, ..silent });
        (0..19).for_each(|e| tally.add(&SlotResult { error_us: Some(e), ..silent }));
        assert_eq!(tally.width95_us(), Some(1_000_093));
        assert_eq!(tally.classes[&AgentClass::B].enrolled, 6 + 19);
        let mut sum = Counts::default();
        tally.classes.values().for_each(|class| sum.merge(class));
        assert_eq!(sum, tally.counts);
    }
}
