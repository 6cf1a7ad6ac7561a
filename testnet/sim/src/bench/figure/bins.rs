//! A histogram's buckets as stretches of the axis, and their outline.

use mesh30k_core::delay::{ERROR_EDGES_US, ErrorHistogram};

use super::axis::Axis;

/// Slots that released between two instants, milliseconds after T.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bin {
    pub(super) from_ms: f64,
    pub(super) to_ms: f64,
    pub(super) count: u64,
}

/// The buckets that end within `reach_ms` of T, the earliest first, none left out.
pub(super) fn bins(errors: &ErrorHistogram, reach_ms: f64) -> Vec<Bin> {
    let mut bins = Vec::new();
    let mut low_us = 0;
    for high_us in ERROR_EDGES_US.into_iter().filter(|edge| *edge as f64 <= reach_ms * 1_000.0) {
        for sign in [-1, 1] {
            let counted = errors.buckets().filter(|(edge, _)| *edge == Some(sign * high_us));
            let count = counted.map(|(_, count)| u64::from(count)).sum();
            let (near, far) = ((sign * low_us) as f64 / 1_000.0, (sign * high_us) as f64 / 1_000.0);
            bins.push(Bin { from_ms: near.min(far), to_ms: near.max(far), count });
        }
        low_us = high_us;
    }
    bins.sort_by(|a, b| a.from_ms.total_cmp(&b.from_ms));
    bins
}

/// Share of the whole per unit of the drawing's width: so the area of an outline is the share itself.
fn density(bin: &Bin, enrolled: u64, axis: &Axis) -> f64 {
    let width = (axis.at(bin.to_ms) - axis.at(bin.from_ms)).max(1e-9);
    bin.count as f64 / enrolled.max(1) as f64 / width
}

/// The highest density.
pub(super) fn peak(bins: &[Bin], enrolled: u64, axis: &Axis) -> f64 {
    bins.iter().map(|bin| density(bin, enrolled, axis)).fold(0.0, f64::max)
}

/// The outline over `ground`, as high as `height` where the density is `top`.
pub(super) fn outline(
    bins: &[Bin],
    enrolled: u64,
    axis: &Axis,
    ground: f64,
    (height, top): (f64, f64),
) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for bin in bins {
        let y = ground - height * density(bin, enrolled, axis) / top.max(1e-12);
        points.extend([(axis.at(bin.from_ms), y), (axis.at(bin.to_ms), y)]);
    }
    let ends = (points.first().map(|p| p.0), points.last().map(|p| p.0));
    if let (Some(first), Some(last)) = ends {
        points.insert(0, (first, ground));
        points.push((last, ground));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::super::axis::linear;
    use super::*;

    #[test]
    fn the_area_is_the_share_and_nobody_is_lost() {
        let mut errors = ErrorHistogram::new();
        (-9_000..9_000).step_by(10).for_each(|us| errors.record(us));
        errors.record(200_000);
        let bins = bins(&errors, 10.0);
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), 1_800);
        assert!(bins.windows(2).all(|pair| pair[0].to_ms == pair[1].from_ms));
        let axis = Axis::new(linear, (-10.0, 10.0), (0.0, 200.0));
        let top = peak(&bins, 3_602, &axis);
        let points = outline(&bins, 3_602, &axis, 0.0, (1.0, top));
        let area: f64 = points.windows(2).map(|p| (p[1].0 - p[0].0) * -(p[0].1 + p[1].1) / 2.0 * top).sum();
        assert!((area - 1_800.0 / 3_602.0).abs() < 1e-9, "{area}");
    }
}
