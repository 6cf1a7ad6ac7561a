//! Clock rate from low-delay exchanges by regression, accepted only when its own error bar is small (2.2).

/// A point of the regression: mesh time in seconds relative to some origin, offset in microseconds, and how far
/// above the minimum its round trip was (its noise), microseconds.
pub type SkewPoint = (f64, f64, f64);

/// Fewest low-delay points a fit may rest on.
const MIN_POINTS: usize = 8;
/// Shortest span of a fit, seconds. The paper asks for ten minutes; the error bar below is what protects us earlier.
const MIN_SPAN_S: f64 = 20.0;
/// Largest standard error of an accepted slope, ppm (= us/s).
const MAX_ERROR_PPM: f64 = 5.0;
/// A quartz clock further off than this is broken, and so would be the fit.
const MAX_SKEW_PPM: f64 = 200.0;
/// Noise that even a minimal round trip has (timer ticks, scheduling), microseconds.
const NOISE_FLOOR_US: f64 = 150.0;

/// An accepted rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkewFit {
    /// Child's rate minus mesh rate, ppm (microseconds per second).
    pub ppm: f64,
    /// Standard error of `ppm`.
    pub error_ppm: f64,
}

/// Weighted least squares with one pass that drops outliers; `None` while the points do not carry a rate.
#[must_use]
pub fn fit_skew(points: &[SkewPoint]) -> Option<SkewFit> {
    let first = weighted_fit(points)?;
    let limit = 3.0 * first.residual_us.max(NOISE_FLOOR_US);
    let kept: Vec<SkewPoint> =
        points.iter().copied().filter(|(x, y, _)| (y - first.intercept_us - first.slope * x).abs() <= limit).collect();
    let fit = weighted_fit(&kept)?;
    let usable = fit.error <= MAX_ERROR_PPM && fit.slope.abs() <= MAX_SKEW_PPM;
    usable.then_some(SkewFit { ppm: fit.slope, error_ppm: fit.error })
}

struct Line {
    slope: f64,
    intercept_us: f64,
    residual_us: f64,
    error: f64,
}

fn weighted_fit(points: &[SkewPoint]) -> Option<Line> {
    if points.len() < MIN_POINTS || points.iter().any(|(x, y, n)| !(x.is_finite() && y.is_finite() && n.is_finite())) {
        return None;
    }
    let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |(l, h), (x, _, _)| (l.min(*x), h.max(*x)));
    if high - low < MIN_SPAN_S {
        return None;
    }
    let weight = |noise_us: f64| 1.0 / (NOISE_FLOOR_US + noise_us.max(0.0)).powi(2);
    let total: f64 = points.iter().map(|(_, _, n)| weight(*n)).sum();
    let mean_x = points.iter().map(|(x, _, n)| weight(*n) * x).sum::<f64>() / total;
    let mean_y = points.iter().map(|(_, y, n)| weight(*n) * y).sum::<f64>() / total;
    let spread: f64 = points.iter().map(|(x, _, n)| weight(*n) * (x - mean_x).powi(2)).sum();
    let shared: f64 = points.iter().map(|(x, y, n)| weight(*n) * (x - mean_x) * (y - mean_y)).sum();
    if spread <= 0.0 {
        return None;
    }
    let slope = shared / spread;
    let intercept_us = mean_y - slope * mean_x;
    let misfit: f64 = points.iter().map(|(x, y, n)| weight(*n) * (y - intercept_us - slope * x).powi(2)).sum();
    let degrees = (points.len() as f64 - 2.0).max(1.0);
    // The misfit may be small by luck; the assumed noise (unit weighted variance) is the floor.
    let variance = (misfit / degrees).max(1.0);
    let residual_us = (misfit / total).max(0.0).sqrt();
    Some(Line { slope, intercept_us, residual_us, error: (variance / spread).sqrt() })
}
