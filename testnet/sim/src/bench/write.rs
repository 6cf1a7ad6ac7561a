//! The files of a bench.

use std::fs;
use std::path::{Path, PathBuf};

use super::BenchError;
use super::csv::csv;
use super::figure::figure;
use super::markdown::markdown;
use super::report::ArrivalReport;
use super::store::file_error;

/// Writes `arrival.json` (everything), `arrival.csv` (counts), `arrival.md` (the tables) and a figure for every scenario:
/// `arrival.svg` for the first, `arrival-NAME.svg` for the others. Returns what was written.
///
/// # Errors
/// [`BenchError::File`] when the folder cannot be written.
pub fn write_all(report: &ArrivalReport, folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let mut files = vec![
        ("arrival.json".to_owned(), serde_json::to_string(report)?),
        ("arrival.csv".to_owned(), csv(report)),
        ("arrival.md".to_owned(), markdown(report)),
    ];
    for (index, scenario) in report.scenarios().into_iter().enumerate() {
        let name = if index == 0 { "arrival.svg".to_owned() } else { format!("arrival-{scenario}.svg") };
        files.push((name, figure(report, scenario)));
    }
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| file_error(&path, source))?;
        written.push(path);
    }
    Ok(written)
}
