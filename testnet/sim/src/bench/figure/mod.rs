//! The picture: who released when, on one scale, with denominators and the command that made it.

mod axis;
mod bins;
mod promises;
mod ridges;
mod style;
mod svg;
mod zoom;

use self::svg::{Anchor, Svg};
use super::markdown::{runs, span};
use super::report::{ArrivalReport, Row};
use crate::config::Scenario;

const WIDTH: f64 = 1_000.0;
const SIDE_X: f64 = 792.0;
const SIDE_WIDTH: f64 = 172.0;
/// From the last row down to the small print: ticks and what they mean.
const FOOT: f64 = 66.0;
const LINE: f64 = 17.0;
const MARGIN: f64 = 18.0;
/// Longest line of the small print in characters.
const COLUMNS: usize = 130;

/// The figure of one scenario as SVG text.
#[must_use]
pub fn figure(report: &ArrivalReport, scenario: Scenario) -> String {
    let rows: Vec<&Row> = report.rows.iter().filter(|row| row.scenario == scenario).collect();
    let least: f64 = if rows.len() < 4 { 530.0 } else { 0.0 };
    let print = small_print(report, &rows);
    let height = ridges::ground(rows.len()).max(least) + FOOT + LINE * (print.len() - 1) as f64 + MARGIN;
    let title = format!("{} agents, one instant T", grouped(u64::from(report.agents)));
    let description = format!("Histogram of release errors by strategy in the scenario {scenario}.");
    let mut svg = Svg::new(WIDTH, height, style::STYLE, &title, &description);
    svg.rect("page", (0.5, 0.5), (WIDTH - 1.0, height - 1.0), 10.0);
    svg.text("ink bold", (36.0, 44.0), 24.0, Anchor::Start, &title);
    let what = format!(
        "By true time, simulated ({}): {}.",
        if scenario == Scenario::Replayed { "measured last hops" } else { "modelled paths" },
        means(scenario)
    );
    svg.text("soft", (36.0, 66.0), 13.0, Anchor::Start, &what);
    let ground = ridges::draw(&mut svg, &rows).max(least);
    if let Some(best) = rows.last() {
        zoom::draw(&mut svg, best, (SIDE_X, 104.0), (SIDE_WIDTH, 150.0));
    }
    if !report.calibration.is_empty() {
        promises::draw(&mut svg, &report.calibration, (SIDE_X, 336.0), (SIDE_WIDTH, ground - 336.0));
    }
    for (index, line) in print.iter().enumerate() {
        let class = if index > 0 { "soft code" } else { "soft" };
        svg.text(class, (36.0, ground + FOOT + LINE * index as f64), 12.0, Anchor::Start, line);
    }
    svg.finish()
}

fn small_print(report: &ArrivalReport, rows: &[&Row]) -> Vec<String> {
    let enrolled = rows.iter().map(|row| row.enrolled()).max().unwrap_or(0);
    let mut lines = vec![format!(
        "{} agents × {} waves, {} ({}): {} slots a strategy, the same waves for each. Everybody enrolled counts; the \
         dead and the silent are misses.",
        grouped(u64::from(report.agents)),
        report.waves,
        runs(report.seeds.len()),
        span(&report.seeds),
        grouped(enrolled),
    )];
    lines.extend(wrapped(&report.command));
    lines
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < COLUMNS - 20 => line.push_str(&format!(" {word}")),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const fn means(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Mixed | Scenario::Replayed => {
            "loss, congestion, cold starts, pauses, dead agents, stalled leads, clock steps"
        }
        Scenario::Liars => "a tenth of the leads are off by 200 ms",
        Scenario::Slowdown => "half of the agents become 1.5 times slower at once",
        Scenario::CoordinatorKilled => "a coordinator dies 150 ms before each T",
        Scenario::LeadStalled => "a twentieth of the leads stall for two seconds before each T",
    }
}

/// A whole number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
