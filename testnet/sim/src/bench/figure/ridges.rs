//! Every strategy within a quarter of a second of T, one above the other, on one scale.

use super::axis::{Axis, around_zero};
use super::bins::{bins, outline, peak};
use super::style::words;
use super::svg::{Anchor, Svg};
use crate::bench::report::Row;
use crate::bench::tables::percent;

const REACH_MS: f64 = 250.0;
const TICKS_MS: [i32; 9] = [-250, -50, -10, -2, 0, 2, 10, 50, 250];
const LEFT: f64 = 36.0;
const RIGHT: f64 = 600.0;
const FIGURES: f64 = 618.0;
const TOP: f64 = 104.0;
/// Of which the highest outline may take so much.
const ROW: f64 = 106.0;
const PEAK: f64 = 96.0;

/// Where the last of so many rows ends.
pub(super) fn ground(rows: usize) -> f64 {
    TOP + ROW * rows as f64
}

/// Draws the rows; returns where they end.
pub(super) fn draw(svg: &mut Svg, rows: &[&Row]) -> f64 {
    let axis = Axis::new(around_zero, (-REACH_MS, REACH_MS), (LEFT, RIGHT));
    let ground = ground(rows.len());
    svg.rect("band", (axis.at(-10.0), TOP), (axis.at(10.0) - axis.at(-10.0), ground - TOP), 0.0);
    let drawn: Vec<_> = rows.iter().map(|row| (row, bins(&row.errors(), REACH_MS))).collect();
    let top = drawn.iter().map(|(row, bins)| peak(bins, row.enrolled(), &axis)).fold(0.0, f64::max);
    for (index, (row, bins)) in drawn.iter().enumerate() {
        let base = TOP + ROW * (index + 1) as f64;
        let points = outline(bins, row.enrolled(), &axis, base, (PEAK, top));
        svg.path(row.strategy.name(), &points, true);
        svg.line("rule", (LEFT, base), (RIGHT, base));
        let (name, does) = words(row.strategy);
        svg.text("ink bold", (LEFT, base - ROW + 24.0), 15.0, Anchor::Start, name);
        svg.text("soft", (LEFT, base - ROW + 42.0), 12.0, Anchor::Start, does);
        let inside: u64 = bins.iter().map(|bin| bin.count).sum();
        let outside = 1.0 - inside as f64 / row.enrolled().max(1) as f64;
        let share = format!("{} %", percent(row.median.within_10ms));
        svg.text(&format!("{} bold", row.strategy), (FIGURES, base - 46.0), 25.0, Anchor::Start, &share);
        svg.text("soft", (FIGURES, base - 28.0), 12.0, Anchor::Start, "within ±10 ms of T");
        let outside = format!("silent or beyond: {:.2} %", outside.max(0.0) * 100.0);
        svg.text("soft", (FIGURES, base - 12.0), 11.0, Anchor::Start, &outside);
    }
    svg.line("zero", (axis.at(0.0), TOP - 4.0), (axis.at(0.0), ground));
    svg.text("ink bold", (axis.at(0.0), TOP - 9.0), 13.0, Anchor::Middle, "T");
    for ms in TICKS_MS {
        let x = axis.at(f64::from(ms));
        svg.line("tick", (x, ground), (x, ground + 5.0));
        let label = if ms > 0 { format!("+{ms}") } else { format!("{ms}").replace('-', "−") };
        svg.text("soft", (x, ground + 19.0), 12.0, Anchor::Middle, &label);
    }
    let what = "released so many ms after T (linear near T, logarithmic beyond ±1 ms; areas are shares)";
    svg.text("soft", (f64::midpoint(LEFT, RIGHT), ground + 37.0), 12.0, Anchor::Middle, what);
    ground
}
