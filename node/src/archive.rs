//! A node's ledger as a file, and a file as a node's ledger; the node does not run meanwhile.

use std::io::{self, BufRead, Read as _, Write};

use mesh30k_chain::{ArchiveError, MAX_ARCHIVE_LINE_BYTES};
pub use mesh30k_chain::{Archived, History};
use mesh30k_ledger::genesis::GenesisError;
use mesh30k_ledger::query;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::Height;

use crate::config::Config;
use crate::stopped::{Stopped, StoppedError};

/// Why there is no file, or no ledger from one.
#[derive(Debug, thiserror::Error)]
pub enum LedgerFileError {
    /// The node's folder.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// The ledger or the archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The genesis.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The file.
    #[error("the file can't be read or written")]
    File(#[from] io::Error),
}

/// Writes the blocks that are kept and the state after the last of them, with the proof, a line each.
///
/// # Errors
/// [`LedgerFileError`].
pub fn export(config: &Config, history: History, out: impl Write) -> Result<Archived, LedgerFileError> {
    let stopped = Stopped::open(config)?;
    let mut lines = Lines::to(out);
    let held = stopped.store.archive(history, |line| lines.write(&line))?;
    lines.finish()?;
    Ok(held)
}

/// Writes every movement of money since genesis as a double-entry journal.
///
/// # Errors
/// [`LedgerFileError`].
pub fn journal(config: &Config, out: impl Write) -> Result<Height, LedgerFileError> {
    let stopped = Stopped::open(config)?;
    let mut lines = Lines::to(out);
    let height = stopped
        .store
        .journal(stopped.genesis.initial_changes()?, |entry| lines.write(entry.strip_suffix('\n').unwrap_or(&entry)))?;
    lines.finish()?;
    Ok(height)
}

/// Lets a node that has only its genesis begin with the ledger of an archive.
///
/// # Errors
/// [`LedgerFileError`]; then nothing is changed.
pub fn import(config: &Config, file: impl BufRead) -> Result<Height, LedgerFileError> {
    let stopped = Stopped::open(config)?;
    let (store, state) = (&stopped.store, |error: StateError| LedgerFileError::from(ArchiveError::from(error)));
    if !query::is_initialized(store).map_err(state)? {
        store.replace_state(&stopped.genesis.initial_changes()?, None).map_err(ArchiveError::from)?;
    }
    let tip = store.read_archive(&stopped.genesis, ArchiveLines(file))?;
    stopped.sync().map_err(ArchiveError::from)?;
    Ok(tip.height)
}

/// The lines of a file, one at a time and none longer than an archive has; each has to have its end.
struct ArchiveLines<R>(R);

impl<R: BufRead> Iterator for ArchiveLines<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        let most = MAX_ARCHIVE_LINE_BYTES as u64 + 1;
        match self.0.by_ref().take(most).read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        let refused = |reason: String| Some(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
        if line.pop_if(|last| *last == b'\n').is_none() {
            return refused(format!(
                "it has no end within {MAX_ARCHIVE_LINE_BYTES} bytes: the file is cut short or no archive"
            ));
        }
        match String::from_utf8(line) {
            Ok(line) => Some(Ok(line)),
            Err(error) => refused(error.to_string()),
        }
    }
}

/// Lines on their way to a file: the first failure is kept until the end, for who hands them out can't be stopped.
struct Lines<W> {
    out: W,
    failed: io::Result<()>,
}

impl<W: Write> Lines<W> {
    const fn to(out: W) -> Self {
        Self { out, failed: Ok(()) }
    }

    fn write(&mut self, line: &str) {
        if self.failed.is_ok() {
            self.failed = writeln!(self.out, "{line}");
        }
    }

    fn finish(mut self) -> io::Result<()> {
        self.failed.and_then(|()| self.out.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_by_their_ends_and_nothing_else() {
        let lines = |file: &'static str| ArchiveLines(file.as_bytes()).collect::<Vec<_>>();
        let texts: Vec<_> = lines("a\r\n\nb\n").into_iter().map(Result::unwrap).collect();
        assert_eq!(texts, ["a\r", "", "b"]);
        assert!(lines("").is_empty());
        let cut = lines("a\nb");
        assert!(cut[0].is_ok() && cut[1].as_ref().is_err_and(|error| error.to_string().contains("cut short")));
        let foreign: Vec<_> = ArchiveLines(&b"\xff\n"[..]).collect();
        assert!(foreign[0].is_err());
    }
}
