//! The findings as a page of the book.

use super::report::ArrivalReport;
use super::tables::{Table, tables};

/// The tables with the command that makes them.
pub(super) fn markdown(report: &ArrivalReport) -> String {
    let mut page = format!(
        "    {}\n\n{} agents, {} events a run, {} ({}). Everybody enrolled at dispatch counts; the dead and \
         the silent are misses. Shares are rounded down, times and costs up.\n",
        report.command,
        report.agents,
        report.waves,
        runs(report.seeds.len()),
        span(&report.seeds),
    );
    for table in tables(report) {
        page.push('\n');
        page.push_str(&pipes(&table));
    }
    page
}

/// So many runs, and what of them is shown.
pub(super) fn runs(count: usize) -> String {
    if count == 1 { "one run".to_owned() } else { format!("median of {count} runs") }
}

/// First and last seed, in words.
pub(super) fn span(seeds: &[u64]) -> String {
    match (seeds.first(), seeds.last()) {
        (Some(first), Some(last)) if first != last => format!("seeds {first} to {last}"),
        (Some(first), _) => format!("seed {first}"),
        _ => String::new(),
    }
}

fn pipes(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule: String = (0..table.headings.len()).map(|at| if at < table.names { "---|" } else { "---:|" }).collect();
    let rows: String = table.rows.iter().map(|row| line(row)).collect();
    format!("**{}**\n\n{}|{rule}\n{rows}", table.title, line(&table.headings))
}
