//! What was to be reached, beside what was.

use serde::Serialize;

use super::report::{ArrivalReport, Medians};
use crate::config::Scenario;
use crate::strategies::StrategyKind;

/// How a figure is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share of a whole, between 0 and 1.
    Share,
    /// Milliseconds.
    Ms,
    /// Points of a hundred.
    Points,
    /// How many.
    Count,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// One goal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// Where; empty for all of them.
    pub scenario: String,
    /// Of what.
    pub what: String,
    /// What it has to be.
    pub bound: Bound,
    /// How figure and bound are read.
    pub unit: Unit,
    /// What it is, a median of the runs; null when it was not measured.
    pub figure: Option<f64>,
    /// Whether it is reached; null when it was not measured.
    pub met: Option<bool>,
    /// Beyond what has to be reached.
    pub aim: bool,
}

impl Goal {
    fn new(scenario: Option<Scenario>, what: &str, bound: Bound, unit: Unit, figure: Option<f64>) -> Self {
        // A figure that is the bound but for the last bits of its arithmetic is the bound.
        const SLACK: f64 = 1e-9;
        let met = figure.map(|figure| match bound {
            Bound::AtLeast(least) => figure >= least - SLACK,
            Bound::AtMost(most) => figure <= most + SLACK,
        });
        let scenario = scenario.map_or_else(String::new, |scenario| scenario.to_string());
        Self { scenario, what: what.to_owned(), bound, unit, figure, met, aim: false }
    }

    /// Measured, and beyond all measure where there is no figure.
    fn measured(self) -> Self {
        Self { met: Some(self.met.unwrap_or(false)), ..self }
    }

    fn aim(self) -> Self {
        Self { aim: true, ..self }
    }
}

/// All goals that the figures of a bench can be held against.
pub(super) fn goals(report: &ArrivalReport) -> Vec<Goal> {
    let mut goals = Vec::new();
    goals.extend(precision(report));
    goals.extend(calibration(report));
    goals.extend(under_fire(report));
    goals.extend(cascades(report));
    let breaches = report.breaches().len() as f64;
    goals.push(Goal::new(None, "breaches of the five rules", Bound::AtMost(0.0), Unit::Count, Some(breaches)));
    goals
}

/// The medians of the best strategy in a scenario.
fn ours(report: &ArrivalReport, scenario: Scenario) -> Option<Medians> {
    report.row(scenario, StrategyKind::HoldHedge).map(|row| row.median)
}

fn share(report: &ArrivalReport, scenario: Scenario, what: &str, least: f64, of: impl Fn(&Medians) -> f64) -> Goal {
    let figure = ours(report, scenario).map(|median| of(&median));
    Goal::new(Some(scenario), what, Bound::AtLeast(least), Unit::Share, figure)
}

fn precision(report: &ArrivalReport) -> Vec<Goal> {
    let (mixed, replayed) = (Scenario::Mixed, Scenario::Replayed);
    let ms = |what: &str, most: f64, of: &dyn Fn(&Medians) -> Option<f64>| {
        let median = ours(report, mixed);
        let figure = median.and_then(|median| of(&median)).map(|us| us / 1_000.0);
        let goal = Goal::new(Some(mixed), what, Bound::AtMost(most), Unit::Ms, figure);
        if median.is_some() { goal.measured() } else { goal }
    };
    vec![
        share(report, mixed, "within ±10 ms", 0.998, |m| m.within_10ms),
        share(report, mixed, "within ±5 ms", 0.994, |m| m.within_5ms),
        share(report, mixed, "within ±50 ms", 0.999_9, |m| m.within_50ms),
        ms("median error", 1.0, &|m| m.median_abs_us),
        ms("width that holds 95 %", 5.0, &|m| m.width95_us).aim(),
        share(report, mixed, "within ±10 ms", 0.999, |m| m.within_10ms).aim(),
        share(report, replayed, "within ±10 ms", 0.995, |m| m.within_10ms),
        share(report, replayed, "within ±5 ms", 0.985, |m| m.within_5ms),
        share(report, replayed, "within ±10 ms", 0.999, |m| m.within_10ms).aim(),
    ]
}

/// Within 0.2 points at p = 0.99 and 0.999 in both scenarios; a tenth at the latter is the aim.
fn calibration(report: &ArrivalReport) -> Vec<Goal> {
    let mut goals = Vec::new();
    for scenario in [Scenario::Mixed, Scenario::Replayed] {
        for (wanted, most, is_aim) in [(0.99, 0.2, false), (0.999, 0.2, false), (0.999, 0.1, true)] {
            let is_it = |p: &&super::CalibrationPoint| p.scenario == scenario.to_string() && p.wanted == wanted;
            let off = report.calibration.iter().find(is_it).and_then(|point| point.off_points());
            let what = format!("calibration at p = {wanted}, off by");
            let goal = Goal::new(Some(scenario), &what, Bound::AtMost(most), Unit::Points, off.map(f64::abs));
            goals.push(if is_aim { goal.aim() } else { goal });
        }
    }
    goals
}

/// Liars, a sudden slow-down, a coordinator that dies before T.
fn under_fire(report: &ArrivalReport) -> Vec<Goal> {
    let (slowdown, killed) = (Scenario::Slowdown, Scenario::CoordinatorKilled);
    let usual = ours(report, Scenario::Mixed);
    let lost = usual.zip(ours(report, killed)).map(|(usual, killed)| (usual.within_10ms - killed.within_10ms) * 100.0);
    let what = "±10 ms lost against mixed, same seeds";
    vec![
        share(report, Scenario::Liars, "within ±50 ms", 0.995, |m| m.within_50ms),
        share(report, slowdown, "next five events within ±50 ms", 0.99, |m| m.after_change_50ms),
        share(report, slowdown, "next five events within ±10 ms", 0.99, |m| m.after_change_10ms).aim(),
        Goal::new(Some(killed), what, Bound::AtMost(0.1), Unit::Points, lost),
        share(report, killed, "releases acked by the buddy", 0.999, |m| m.acked_of_released),
    ]
}

fn cascades(report: &ArrivalReport) -> Vec<Goal> {
    let Some(cascades) = &report.cascades else { return Vec::new() };
    let ms = |us: Option<i64>| us.map(|us| us as f64 / 1_000.0);
    let goal =
        |what: &str, most: f64, figure| Goal::new(None, what, Bound::AtMost(most), Unit::Ms, figure).measured().aim();
    vec![
        goal("cascade at once, delivery p95", 160.0, ms(cascades.delivery.p95_us)),
        goal("cascade at once, delivery p99.9", 400.0, ms(cascades.delivery.p999_us)),
        goal("cascade at once, empty, there and back p95", 320.0, ms(cascades.round_trip.p95_us)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_bound_and_not_beside_it() {
        let met = |bound, figure| Goal::new(None, "", bound, Unit::Share, figure).met;
        assert_eq!(met(Bound::AtLeast(0.998), Some(0.998)), Some(true));
        assert_eq!(met(Bound::AtLeast(0.998), Some(0.997_999)), Some(false));
        assert_eq!(met(Bound::AtMost(0.2), Some((0.992 - 0.99) * 100.0)), Some(true));
        assert_eq!(met(Bound::AtMost(1.0), Some(1.001)), Some(false));
        assert_eq!(met(Bound::AtMost(1.0), None), None);
        assert_eq!(Goal::new(None, "", Bound::AtMost(1.0), Unit::Ms, None).measured().met, Some(false));
    }
}
