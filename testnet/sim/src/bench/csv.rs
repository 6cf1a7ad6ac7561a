//! One line for every scenario, run, strategy and class.

use super::report::{ArrivalReport, Row, Run};
use crate::tally::Counts;

const HEADING: &str = "scenario,run,seed,strategy,target_p,class,enrolled,within_2ms,within_5ms,within_10ms,within_50ms,\
                       within_250ms,released,armed_by_t,promised,kept";

/// The counts of all runs.
pub(super) fn csv(report: &ArrivalReport) -> String {
    let lines = report.rows.iter().flat_map(|row| {
        row.runs.iter().zip(1..).flat_map(move |(run, number)| {
            run.report.classes.iter().map(move |(class, counts)| line(row, run, number, class, counts))
        })
    });
    std::iter::once(HEADING.to_owned()).chain(lines).map(|line| line + "\n").collect()
}

fn line(row: &Row, run: &Run, number: u32, class: &str, counts: &Counts) -> String {
    let c = counts;
    let figures = [
        c.enrolled,
        c.within_2ms,
        c.within_5ms,
        c.within_10ms,
        c.within_50ms,
        c.within_250ms,
        c.released,
        c.armed_by_t,
        c.promised,
        c.kept,
    ];
    let figures = figures.map(|figure| figure.to_string()).join(",");
    format!("{},{number},{},{},{},{class},{figures}", row.scenario, run.seed, row.strategy, row.target_p)
}
