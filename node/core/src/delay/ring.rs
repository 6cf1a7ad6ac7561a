//! The last 64 figures of one kind, with quantiles.

use std::collections::VecDeque;

/// Figures kept.
pub const RING_LEN: usize = 64;

/// A bounded window of finite figures; what is not finite is refused and counted.
#[derive(Clone, Debug, Default)]
pub struct QuantileRing {
    ring: VecDeque<f64>,
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
            self.ring.pop_front();
        }
        self.ring.push_back(value);
        true
    }

    /// Keeps only the newest `n` (after a change-point, 2.8).
    pub fn keep_newest(&mut self, n: usize) {
        while self.ring.len() > n {
            self.ring.pop_front();
        }
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
    pub fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.ring.iter().copied().collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }
}

/// Median and 0.9 quantile of at most [`RING_LEN`] figures in any order, as [`quantile`] has them, without sorting them
/// all; `None` when there are none.
#[must_use]
pub(crate) fn median_and_ninetieth(figures: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut buffer = [0.0; RING_LEN];
    let mut count = 0;
    for (slot, figure) in buffer.iter_mut().zip(figures) {
        *slot = figure;
        count = usize::saturating_add(count, 1);
    }
    let values = buffer.get_mut(..count)?;
    let ninetieth = selected(values, 0.9)?;
    Some((selected(values, 0.5)?, ninetieth))
}

fn selected(values: &mut [f64], p: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let position = p * last as f64;
    let below = position.floor();
    let (_, low, above) = values.select_nth_unstable_by(below as usize, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    Some(low + (high - low) * (position - below))
}

/// Quantile `p` of rising figures, interpolated; `None` when there are none.
#[must_use]
pub(crate) fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = p.clamp(0.0, 1.0) * last as f64;
    let below = position.floor();
    let low = *sorted.get(below as usize)?;
    let high = sorted.get((below as usize).saturating_add(1)).copied().unwrap_or(low);
    Some(low + (high - low) * (position - below))
}
