//! The last 64 delays of a path and their quantiles. Each is one clock minus the other, so that a better offset improves old ones too.

use std::collections::VecDeque;

use super::ring::{RING_LEN, quantile, quantile_of};
use crate::clock::ClockEstimate;
use crate::time::MeshTimeUs;

/// Figures outside this are refused: no delay of the internet and no work of an event.
pub(super) const ABSURD_US: f64 = 600_000_000.0;

/// When a message was sent (mesh), and when it was received (child's clock) minus that.
type Sample = (MeshTimeUs, f64);

/// The window.
#[derive(Clone, Debug, Default)]
pub(super) struct PathRing {
    /// Oldest first.
    samples: VecDeque<Sample>,
    /// Places of the samples, the first `risen` of them in rising order of the delays under a clock of rate `skew_ppm`: an offset
    /// moves all alike, and under the next rate the order is nearly the same.
    rising: Vec<u8>,
    risen: usize,
    skew_ppm: f64,
}

/// What the delays are under a clock estimate.
fn delay_us((sent, raw): Sample, clock: &ClockEstimate) -> f64 {
    raw - clock.offset_at_us(sent)
}

impl PathRing {
    pub(super) fn push(&mut self, sent: MeshTimeUs, raw: f64) {
        if self.samples.len() >= RING_LEN {
            self.drop_oldest();
        }
        self.rising.extend(u8::try_from(self.samples.len()));
        self.samples.push_back((sent, raw));
    }

    pub(super) fn keep_newest(&mut self, count: usize) {
        while self.samples.len() > count {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        self.samples.pop_front();
        if let Some(at) = self.rising.iter().position(|place| *place == 0) {
            self.rising.remove(at);
            self.risen = self.risen.saturating_sub(usize::from(at < self.risen));
        }
        self.rising.iter_mut().for_each(|place| *place = place.saturating_sub(1));
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// The newest sample's instant, and its delay under `clock`.
    pub(super) fn newest(&self, clock: &ClockEstimate) -> Option<(MeshTimeUs, f64)> {
        self.samples.back().map(|sample| (sample.0, delay_us(*sample, clock)))
    }

    /// Median of the newest `count` under `clock`.
    pub(super) fn newest_median_us(&self, count: usize, clock: &ClockEstimate) -> Option<f64> {
        let mut delays = [0.0; RING_LEN];
        let newest = self.samples.iter().rev().take(count).map(|sample| delay_us(*sample, clock));
        let mut held = 0_usize;
        for (slot, us) in delays.iter_mut().zip(newest.filter(|us| us.abs() < ABSURD_US)) {
            *slot = us;
            held = held.saturating_add(1);
        }
        let newest = delays.get_mut(..held)?;
        newest.sort_unstable_by(f64::total_cmp);
        quantile(newest, 0.5)
    }

    /// Median and 0.9 quantile under `clock`.
    pub(super) fn median_and_ninetieth_us(&mut self, clock: &ClockEstimate) -> Option<(f64, f64)> {
        let (samples, rising) = (&self.samples, &mut self.rising);
        let delay_at =
            |place: u8| samples.get(usize::from(place)).map_or(f64::INFINITY, |sample| delay_us(*sample, clock));
        if self.skew_ppm.to_bits() != clock.skew_ppm.to_bits() {
            put_right(rising, delay_at);
        } else {
            (self.risen..rising.len()).for_each(|new| take_place(rising, new, delay_at));
        }
        (self.risen, self.skew_ppm) = (rising.len(), clock.skew_ppm);
        let from = rising.partition_point(|place| delay_at(*place) <= -ABSURD_US);
        let to = rising.partition_point(|place| delay_at(*place) < ABSURD_US);
        let sound = rising.get(from..to)?;
        let delay_of = |index: usize| sound.get(index).map(|place| delay_at(*place));
        Some((quantile_of(sound.len(), delay_of, 0.5)?, quantile_of(sound.len(), delay_of, 0.9)?))
    }
}

/// Sorts by insertion: one step for whoever is in place.
fn put_right(rising: &mut [u8], delay_at: impl Fn(u8) -> f64) {
    let mut delays = [0.0; RING_LEN];
    for (slot, place) in delays.iter_mut().zip(rising.iter()) {
        *slot = delay_at(*place);
    }
    for end in 1..rising.len().min(RING_LEN) {
        let mut at = end;
        while let Some(&[before, after]) = at.checked_sub(1).and_then(|before| delays.get(before..=at))
            && before.total_cmp(&after).is_gt()
        {
            delays.swap(at.saturating_sub(1), at);
            rising.swap(at.saturating_sub(1), at);
            at = at.saturating_sub(1);
        }
    }
}

/// Moves the one at `new` to its place among those before it.
fn take_place(rising: &mut [u8], new: usize, delay_at: impl Fn(u8) -> f64) {
    let Some((newest, before)) = rising.get(..=new).and_then(<[u8]>::split_last) else { return };
    let us = delay_at(*newest);
    let at = before.partition_point(|place| delay_at(*place).total_cmp(&us).is_le());
    if let Some(moved) = rising.get_mut(at..=new) {
        moved.rotate_right(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(offset_us: f64, skew_ppm: f64) -> ClockEstimate {
        ClockEstimate {
            offset_us,
            skew_ppm,
            at: MeshTimeUs(0),
            sigma_us: 1.0,
            bound_us: 1.0,
            delay_min_us: 1.0,
            samples: 8,
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_delays_whatever_the_clock_was_before() {
        let mut ring = PathRing::default();
        let mut bits = 7_u64;
        for turn in 0..1_000_i64 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let raw = if turn % 50 == 7 { 1e12 } else { (bits >> 44) as f64 };
            ring.push(MeshTimeUs(turn * 5_000_000), raw);
            if turn % 97 == 96 {
                ring.keep_newest(8);
            }
            // The rate stands for a while, as a fitted one does; and now and then nobody asks.
            if turn % 5 == 4 {
                continue;
            }
            let clock = clock((bits >> 50) as f64, ((turn / 4) * 7_919 % 400) as f64 - 200.0);
            let delays = ring.samples.iter().map(|sample| delay_us(*sample, &clock));
            let mut delays: Vec<f64> = delays.filter(|us| us.abs() < ABSURD_US).collect();
            delays.sort_unstable_by(f64::total_cmp);
            let wanted = quantile(&delays, 0.5).zip(quantile(&delays, 0.9));
            assert_eq!(ring.median_and_ninetieth_us(&clock), wanted, "turn {turn}");
        }
        assert_eq!(ring.rising.len(), ring.len());
    }
}
