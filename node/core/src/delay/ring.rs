//! The last 64 figures of one kind, with quantiles.

use std::collections::VecDeque;

/// Figures kept.
pub const RING_LEN: usize = 64;

/// A bounded window of finite figures; what is not finite is refused and counted.
#[derive(Clone, Debug, Default)]
pub struct QuantileRing {
    ring: VecDeque<f64>,
    /// The same in rising order: moving some of 64 figures by one place costs less than finding a quantile among them.
    sorted: Vec<f64>,
    refused: u64,
}

impl QuantileRing {
    /// An empty window.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a figure, pushing out the oldest of a full window; false when it was not finite.
    pub fn push(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        if self.ring.len() >= RING_LEN {
            self.drop_oldest();
        }
        self.ring.push_back(value);
        let place = self.place_of(value);
        self.sorted.insert(place, value);
        true
    }

    /// Forgets the oldest figure.
    pub fn drop_oldest(&mut self) {
        let Some(oldest) = self.ring.pop_front() else { return };
        let place = self.place_of(oldest);
        if place < self.sorted.len() {
            self.sorted.remove(place);
        }
    }

    /// How many figures are smaller.
    fn place_of(&self, value: f64) -> usize {
        self.sorted.partition_point(|other| other.total_cmp(&value).is_lt())
    }

    /// Figures held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// True when nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Figures refused as not finite.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The window, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        self.ring.iter().copied()
    }

    /// The window in rising order.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }
}

/// Quantile `p` of rising figures, interpolated; `None` when there are none.
#[must_use]
pub(crate) fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    quantile_of(sorted.len(), |index| sorted.get(index).copied(), p)
}

/// The same of `len` rising figures that are worked out when they are asked for.
#[must_use]
pub(crate) fn quantile_of(len: usize, figure: impl Fn(usize) -> Option<f64>, p: f64) -> Option<f64> {
    let last = len.checked_sub(1)?;
    let position = p.clamp(0.0, 1.0) * last as f64;
    let below = position.floor();
    let low = figure(below as usize)?;
    let high = figure((below as usize).saturating_add(1)).unwrap_or(low);
    Some(low + (high - low) * (position - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_window_stays_in_rising_order() {
        let mut ring = QuantileRing::new();
        let mut bits = 7_u64;
        for turn in 0..1_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Many repeat, some are negative or tiny.
            let value = [(bits >> 60) as f64, -((bits >> 58) as f64), f64::MIN_POSITIVE, -0.0][turn % 4];
            assert!(ring.push(value) && !ring.push(f64::NAN));
            let mut sorted: Vec<f64> = ring.iter().collect();
            sorted.sort_unstable_by(f64::total_cmp);
            let in_bits = |figures: &[f64]| figures.iter().map(|figure| figure.to_bits()).collect::<Vec<_>>();
            assert_eq!(in_bits(ring.sorted()), in_bits(&sorted));
        }
        assert_eq!((ring.len(), ring.refused()), (RING_LEN, 1_000));
    }
}
