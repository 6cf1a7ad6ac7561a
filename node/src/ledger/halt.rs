//! The report of a halted chain, on disk: written once, read again after a restart.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use mesh30k_consensus::finality::HaltReport;

/// Writes the report; a failure is logged, for the halt itself must not depend on it.
pub(crate) fn write(path: &Path, report: &HaltReport) {
    let written = serde_json::to_vec_pretty(report).map_err(std::io::Error::from).and_then(|bytes| {
        let mut file = fs::File::create(path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    });
    if let Err(error) = written {
        tracing::error!(path = %path.display(), %error, "the report of the halt could not be written");
    }
}

/// The report of an earlier halt.
///
/// # Errors
/// A report that exists and can't be read: better to stop than to go on as if nothing had happened.
pub(crate) fn read(path: &Path) -> std::io::Result<Option<HaltReport>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
