//! Tables for people, JSON for programs.

use std::io::{ErrorKind, Write as _};

use anyhow::Result;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// Prints one line; a closed pipe (`| head`) ends the process quietly.
pub(crate) fn line(text: impl std::fmt::Display) {
    if let Err(error) = writeln!(std::io::stdout(), "{text}")
        && error.kind() == ErrorKind::BrokenPipe
    {
        std::process::exit(0);
    }
}

/// Prints `value` as JSON on one line.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    line(serde_json::to_string(value)?);
    Ok(())
}

/// A table with these headings and nothing drawn around it; columns named in `right` hold numbers.
pub(crate) fn table(headings: &[&str], right: &[usize], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(headings.iter().copied());
    table.add_rows(rows);
    for index in right {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Parts of a million, as a share of 100.
pub(crate) fn percent(ppm: impl Into<u64>) -> String {
    let ppm = ppm.into();
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

/// An error and its causes as one sentence; a cause that only repeats what was said is left out.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let said = cause.to_string();
        if !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
    }
    text
}

/// What is shown where nothing is known.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
