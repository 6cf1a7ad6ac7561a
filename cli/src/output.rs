//! Tables for people, JSON for programs.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use mesh30k_ledger::types::{Hash, TimeMs};
use mesh30k_node::content::hash_file;
use serde::Serialize;

use crate::exit::UsageError;

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

/// A time that lies ahead of the ledger's clock or behind it, in its two largest units: `in 4 min 10 s`, `2 h 5 min ago`.
pub(crate) fn from_now(now: TimeMs, then: TimeMs) -> String {
    let seconds = now.0.abs_diff(then.0) / 1_000;
    let span = match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, min, s) => format!("{min} min {s} s"),
        (0, h, min, _) => format!("{h} h {min} min"),
        (days, h, _, _) => format!("{days} d {h} h"),
    };
    if then > now { format!("in {span}") } else { format!("{span} ago") }
}

/// The hash a text names: 64 hexadecimal digits, or a file by its path.
pub(crate) fn hash_of(text: &str) -> Result<Hash> {
    if let Ok(hash) = text.parse() {
        return Ok(hash);
    }
    match hash_file(Path::new(text)) {
        Ok(hash) => Ok(hash),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(UsageError(format!("`{text}` is neither a hash of 64 hexadecimal digits nor a file")).into())
        }
        Err(error) => Err(error).with_context(|| format!("reading {text}")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_now() {
        let at = |seconds: u64| TimeMs(1_000_000_000 + seconds * 1_000);
        let told = |now, then| from_now(at(now), at(then));
        assert_eq!([told(0, 9), told(0, 250), told(0, 7_500)], ["in 9 s", "in 4 min 10 s", "in 2 h 5 min"]);
        assert_eq!([told(7_500, 0), told(200_000, 0), told(5, 5)], ["2 h 5 min ago", "2 d 7 h ago", "0 s ago"]);
    }

    #[test]
    fn a_hash_is_named_or_made_of_a_file() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("paper.txt");
        std::fs::write(&file, "rain").unwrap();
        let hash = Hash::of(b"rain");
        assert_eq!(hash_of(file.to_str().unwrap()).unwrap(), hash);
        assert_eq!(hash_of(&hash.to_string()).unwrap(), hash);
        assert!(hash_of("nothing").unwrap_err().is::<UsageError>());
    }
}
