//! The findings as tables, for a terminal and for the book.

use std::collections::BTreeSet;

use super::goals::{Bound, Goal, Unit};
use super::median::median;
use super::report::{ArrivalReport, Medians, Row};
use crate::cascade::Latency;
use crate::config::Scenario;

/// A table; what stands right of the first `names` columns are numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Columns.
    pub headings: Vec<String>,
    /// Rows, each as long as the headings.
    pub rows: Vec<Vec<String>>,
    /// Columns of words at the left.
    pub names: usize,
}

/// All tables of a report.
#[must_use]
pub fn tables(report: &ArrivalReport) -> Vec<Table> {
    let of_scenario = |scenario| arrival(report, scenario);
    let mut tables: Vec<Table> = report.scenarios().into_iter().map(of_scenario).collect();
    tables.push(knowledge(report));
    tables.push(classes(report));
    tables.extend(calibration(report));
    tables.extend(cascades(report));
    tables.push(goals(&report.goals));
    tables
}

fn table<const N: usize>(title: String, headings: [&str; N], names: usize, rows: Vec<Vec<String>>) -> Table {
    Table { title, headings: headings.map(str::to_owned).to_vec(), rows, names }
}

fn arrival(report: &ArrivalReport, scenario: Scenario) -> Table {
    let rows = report.rows.iter().filter(|row| row.scenario == scenario).map(arrival_row).collect();
    let headings = [
        "strategy",
        "±2 ms",
        "±5 ms",
        "±10 ms",
        "±50 ms",
        "±250 ms",
        "median",
        "95 % in",
        "held",
        "standbys",
        "armed by T",
    ];
    table(format!("{scenario}: share of everybody enrolled, in %"), headings, 1, rows)
}

fn arrival_row(row: &Row) -> Vec<String> {
    let m: &Medians = &row.median;
    let or_dash = |us: Option<f64>| us.map_or_else(|| "-".to_owned(), millis);
    vec![
        row.strategy.to_string(),
        percent(m.within_2ms),
        percent(m.within_5ms),
        percent(m.within_10ms),
        percent(m.within_50ms),
        percent(m.within_250ms),
        or_dash(m.median_abs_us),
        or_dash(m.width95_us),
        format!("{:.0} ms", m.mean_hold_ms),
        percent_up(m.duplicates),
        percent(m.armed_by_t),
    ]
}

fn knowledge(report: &ArrivalReport) -> Table {
    let row = |row: &Row| {
        let m = &row.median;
        let shares = [m.proved, m.estimated, m.possible, m.within_10ms, m.acked].map(percent);
        [row.scenario.to_string(), row.strategy.to_string()].into_iter().chain(shares).collect()
    };
    table(
        "Within ±10 ms by what the mesh itself can know, beside the truth, in % of everybody enrolled".to_owned(),
        ["scenario", "strategy", "proved", "estimated", "possible", "true", "acked"],
        2,
        report.rows.iter().map(row).collect(),
    )
}

fn classes(report: &ArrivalReport) -> Table {
    let names: BTreeSet<&String> =
        report.rows.iter().flat_map(|row| &row.runs).flat_map(|run| run.report.classes.keys()).collect();
    let row = |row: &Row| {
        let of_class = |class: &String| {
            let counts = row.runs.iter().filter_map(|run| run.report.classes.get(class));
            let shares = counts.filter(|c| c.enrolled > 0).map(|c| c.within_10ms as f64 / c.enrolled as f64);
            median(shares).map_or_else(|| "-".to_owned(), percent)
        };
        let shares = names.iter().map(|class| of_class(class));
        [row.scenario.to_string(), row.strategy.to_string()].into_iter().chain(shares).collect()
    };
    let headings = ["scenario", "strategy"].into_iter().chain(names.iter().map(|name| name.as_str()));
    Table {
        title: "Within ±10 ms by class, in %".to_owned(),
        headings: headings.map(str::to_owned).collect(),
        rows: report.rows.iter().map(row).collect(),
        names: 2,
    }
}

fn calibration(report: &ArrivalReport) -> Option<Table> {
    let row = |point: &super::CalibrationPoint| {
        let kept = point.kept.map_or_else(|| "-".to_owned(), |kept| format!("{:.3}", kept * 100.0));
        let off = point.off_points().map_or_else(|| "-".to_owned(), |off| format!("{off:+.3}"));
        let promised: u64 = point.runs.iter().map(|run| run.promised).sum();
        vec![point.scenario.clone(), format!("{}", tidy(point.wanted * 100.0)), kept, off, promised.to_string()]
    };
    let rows: Vec<Vec<String>> = report.calibration.iter().map(row).collect();
    (!rows.is_empty()).then(|| {
        table(
            "Calibration: work done in the time given it for p, in % of the slots for which that was promised"
                .to_owned(),
            ["scenario", "wanted", "kept", "off by (points)", "promises"],
            1,
            rows,
        )
    })
}

fn cascades(report: &ArrivalReport) -> Option<Table> {
    let cascades = report.cascades.as_ref()?;
    let row = |what: &str, latency: Latency| {
        let quantiles = [latency.p50_us, latency.p95_us, latency.p99_us, latency.p999_us];
        let cells = quantiles.map(|us| us.map_or_else(|| "never".to_owned(), |us| millis(us as f64)));
        std::iter::once(what.to_owned()).chain(cells).collect()
    };
    Some(table(
        "Cascades sent at once that need no work".to_owned(),
        ["from the orchestrator's sending to", "p50", "p95", "p99", "p99.9"],
        1,
        vec![
            row("an agent's receipt", cascades.delivery),
            row("its word back at the orchestrator, no waiting for others", cascades.round_trip),
            row("the orchestrator's first summary (over events)", cascades.folded),
        ],
    ))
}

fn goals(goals: &[Goal]) -> Table {
    let row = |goal: &Goal| {
        let met = match (goal.met, goal.aim) {
            (None, _) => "not measured",
            (Some(true), _) => "met",
            (Some(false), false) => "NOT MET",
            (Some(false), true) => "not yet (aim)",
        };
        let scenario = if goal.scenario.is_empty() { "all" } else { &goal.scenario };
        let figure = goal.figure.map_or_else(|| "-".to_owned(), |figure| goal.text(figure));
        let (sign, bound) = match goal.bound {
            Bound::AtLeast(bound) => ("≥", bound),
            Bound::AtMost(bound) => ("≤", bound),
        };
        vec![scenario.to_owned(), goal.what.clone(), figure, format!("{sign} {}", goal.text(bound)), met.to_owned()]
    };
    let title = "Goals (of hold_hedge; medians of the runs)".to_owned();
    table(title, ["scenario", "what", "figure", "goal", ""], 2, goals.iter().map(row).collect())
}

impl Goal {
    /// A figure as this goal is read, rounded to the side on which it looks worse.
    fn text(&self, figure: f64) -> String {
        let rounded = |figure: f64, decimals: i32| match self.bound {
            Bound::AtLeast(_) => down(figure, decimals),
            Bound::AtMost(_) => up(figure, decimals),
        };
        match self.unit {
            Unit::Share => format!("{:.3} %", rounded(figure * 100.0, 3)),
            Unit::Ms if figure >= 10.0 => format!("{:.0} ms", rounded(figure, 0)),
            Unit::Ms => format!("{:.2} ms", rounded(figure, 2)),
            Unit::Points => format!("{:.3}", rounded(figure, 3)),
            Unit::Count => format!("{figure:.0}"),
        }
    }
}

/// Rounded down to so many decimals, but for the last bits of its arithmetic.
fn down(figure: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    // Adding zero turns -0 into 0.
    (figure * scale + 1e-6).floor() / scale + 0.0
}

/// Rounded up, likewise.
fn up(figure: f64, decimals: i32) -> f64 {
    0.0 - down(-figure, decimals)
}

/// A share in hundredths of a per cent, rounded down: here these are what is fought for.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2}", down(share * 100.0, 2))
}

/// A cost, rounded up.
fn percent_up(share: f64) -> String {
    format!("{:.2}", up(share * 100.0, 2))
}

/// Microseconds as milliseconds, with two decimals below ten, never flattering.
pub(super) fn millis(us: f64) -> String {
    let ms = us / 1_000.0;
    if ms < 10.0 { format!("{:.2} ms", up(ms, 2)) } else { format!("{:.0} ms", up(ms, 0)) }
}

/// A short number without the noise of its last bits.
pub(super) fn tidy(figure: f64) -> f64 {
    (figure * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_never_flatter() {
        assert_eq!([percent(0.999_99), percent(0.9987), percent(1.0)], ["99.99", "99.87", "100.00"]);
        assert_eq!([percent_up(0.032_101), percent_up(0.0)], ["3.22", "0.00"]);
        assert_eq!([millis(641.0), millis(640.0), millis(10_001.0)], ["0.65 ms", "0.64 ms", "11 ms"]);
        assert_eq!([tidy(0.999 * 100.0), tidy(50.0)], [99.9, 50.0]);
    }
}
