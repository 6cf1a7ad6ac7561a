//! The best strategy within ten milliseconds of T, on a linear scale.

use super::axis::{Axis, linear};
use super::bins::{bins, outline, peak};
use super::style::words;
use super::svg::{Anchor, Svg};
use crate::bench::report::Row;
use crate::bench::tables::millis;

const REACH_MS: f64 = 10.0;

/// Draws the panel into a box.
pub(super) fn draw(svg: &mut Svg, row: &Row, (x, y): (f64, f64), (width, height): (f64, f64)) {
    let axis = Axis::new(linear, (-REACH_MS, REACH_MS), (x, x + width));
    let ground = y + height;
    svg.text("ink bold", (x, y - 12.0), 13.0, Anchor::Start, &format!("{}, ±10 ms", words(row.strategy).0));
    svg.rect("band", (x, y), (width, height), 0.0);
    let (bins, enrolled) = (bins(&row.errors(), REACH_MS), row.enrolled());
    let top = peak(&bins, enrolled, &axis);
    svg.path(row.strategy.name(), &outline(&bins, enrolled, &axis, ground, (height - 8.0, top)), true);
    svg.line("zero", (axis.at(0.0), y), (axis.at(0.0), ground));
    svg.line("rule", (x, ground), (x + width, ground));
    for ms in [-10, -5, 0, 5, 10] {
        let at = axis.at(f64::from(ms));
        svg.line("tick", (at, ground), (at, ground + 5.0));
        let label = if ms > 0 { format!("+{ms}") } else { format!("{ms}").replace('-', "−") };
        svg.text("soft", (at, ground + 19.0), 12.0, Anchor::Middle, &label);
    }
    let figures = [("median", row.median.median_abs_us), ("95 % in", row.median.width95_us)];
    for (index, (what, us)) in figures.into_iter().enumerate() {
        let line = y + 20.0 + 38.0 * index as f64;
        let figure = us.map_or_else(|| "-".to_owned(), millis);
        svg.text("soft", (x + 7.0, line), 11.0, Anchor::Start, what);
        svg.text("ink bold", (x + 7.0, line + 16.0), 13.0, Anchor::Start, &figure);
    }
}
