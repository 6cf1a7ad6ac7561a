//! Calibration: wanted probability against the share that was kept, every nine as wide as the one before.

use super::axis::{Axis, nines};
use super::svg::{Anchor, Svg};
use crate::bench::calibration::CalibrationPoint;

const LOW: f64 = 0.4;
const HIGH: f64 = 0.999_6;
const TICKS: [(f64, &str); 4] = [(0.5, ".5"), (0.9, ".9"), (0.99, ".99"), (0.999, ".999")];
/// The goal: so far off the wanted share at most.
const TOLERANCE: f64 = 0.002;

/// Draws the panel into a box; scenarios in the order of the points.
pub(super) fn draw(svg: &mut Svg, points: &[CalibrationPoint], (x, y): (f64, f64), (width, height): (f64, f64)) {
    let across = Axis::new(nines, (LOW, HIGH), (x, x + width));
    let up = Axis::new(nines, (LOW, HIGH), (y + height, y));
    svg.text("ink bold", (x, y - 12.0), 13.0, Anchor::Start, "Promised and kept");
    let steps: Vec<f64> = (0..=60).map(|step| 1.0 - 0.6 * 10_f64.powf(-f64::from(step) * 0.053)).collect();
    let edge = |off: f64| steps.iter().map(move |p| (across.at(*p), up.at((p + off).min(1.0))));
    let band: Vec<(f64, f64)> = edge(TOLERANCE).chain(edge(-TOLERANCE).rev()).collect();
    svg.path("band", &band, true);
    svg.path("ideal", &[(across.at(LOW), up.at(LOW)), (across.at(HIGH), up.at(HIGH))], false);
    svg.line("rule", (x, y + height), (x + width, y + height));
    svg.line("rule", (x, y), (x, y + height));
    for (p, label) in TICKS {
        svg.line("tick", (across.at(p), y + height), (across.at(p), y + height + 5.0));
        svg.text("soft", (across.at(p), y + height + 19.0), 12.0, Anchor::Middle, label);
        svg.line("tick", (x - 5.0, up.at(p)), (x, up.at(p)));
        svg.text("soft", (x - 8.0, up.at(p) + 4.0), 12.0, Anchor::End, label);
    }
    let mut scenarios: Vec<&str> = points.iter().map(|point| point.scenario.as_str()).collect();
    scenarios.dedup();
    // Rings first and larger, so that a dot in one shows both.
    for (index, scenario) in scenarios.iter().enumerate().rev() {
        let (class, radius) = if index == 0 { ("dot", 3.2) } else { ("ring", 5.4) };
        for point in points.iter().filter(|point| point.scenario == *scenario) {
            if let Some(kept) = point.kept {
                svg.circle(class, (across.at(point.wanted), up.at(kept)), radius);
            }
        }
        let line = y + 14.0 + 19.0 * index as f64;
        svg.circle(class, (x + 14.0, line - 4.0), radius);
        svg.text("soft", (x + 25.0, line), 12.0, Anchor::Start, scenario);
    }
    svg.text("soft", (x + width, y + height + 37.0), 12.0, Anchor::End, "wanted p (band: ±0.2 points)");
}
