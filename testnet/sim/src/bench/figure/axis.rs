//! From figures to places.

/// One axis: a monotone scale laid over a stretch of the drawing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    scale: fn(f64) -> f64,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// `low` lies at `from`, `high` at `to`.
    pub(super) fn new(scale: fn(f64) -> f64, (low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { scale, low: scale(low), high: scale(high), from, to }
    }

    /// Where a figure lies; outside ones lie at the edge.
    pub(super) fn at(&self, figure: f64) -> f64 {
        let part = ((self.scale)(figure) - self.low) / (self.high - self.low);
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }
}

/// As it is.
pub(super) fn linear(figure: f64) -> f64 {
    figure
}

/// Milliseconds: linear near zero, logarithmic from about one on, the same both ways.
pub(super) fn around_zero(ms: f64) -> f64 {
    ms.signum() * ms.abs().ln_1p()
}

/// Probabilities: every nine as wide as the one before.
pub(super) fn nines(p: f64) -> f64 {
    -(1.0 - p.min(0.999_999)).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_rise_keep_their_ends_and_bend_around_zero() {
        let axis = Axis::new(around_zero, (-250.0, 250.0), (0.0, 500.0));
        assert_eq!([-1e9, -250.0, 0.0, 250.0, 1e9].map(|ms| axis.at(ms).round()), [0.0, 0.0, 250.0, 500.0, 500.0]);
        let places: Vec<f64> = (-250..=250).map(|ms| axis.at(f64::from(ms))).collect();
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(axis.at(10.0) - axis.at(0.0) > 100.0);
        let axis = Axis::new(nines, (0.5, 0.999), (100.0, 0.0));
        assert!(axis.at(0.9) - axis.at(0.99) - (axis.at(0.99) - axis.at(0.999)) < 1e-6);
    }
}
