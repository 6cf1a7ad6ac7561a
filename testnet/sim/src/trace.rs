//! Reads the embedded traces.

use std::io::Read as _;
use std::str::FromStr;

use flate2::read::GzDecoder;

use crate::config::SimError;

/// Line number (from one) and fields of every row but the heading.
pub(crate) fn rows((file, bytes): (&'static str, &'static [u8])) -> Result<Vec<(usize, Vec<String>)>, SimError> {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).map_err(|source| SimError::Trace {
        file,
        line: 0,
        field: source.to_string(),
    })?;
    let fields = |line: &str| line.split(',').map(str::to_owned).collect();
    Ok(text.lines().enumerate().skip(1).map(|(index, line)| (index + 1, fields(line))).collect())
}

/// One field of a row as a number.
pub(crate) fn field<N: FromStr>(file: &'static str, line: usize, row: &[String], index: usize) -> Result<N, SimError> {
    let text = row.get(index).map_or("", String::as_str);
    text.parse().map_err(|_| SimError::Trace { file, line, field: text.to_owned() })
}
