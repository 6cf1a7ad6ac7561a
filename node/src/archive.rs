//! A node's ledger as a file, and a file as a node's ledger; the node does not run meanwhile.

use std::io::{self, BufRead, Write};

use mesh30k_chain::ArchiveError;
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

/// Writes the state after the last final block, with its proof, a line an entry.
///
/// # Errors
/// [`LedgerFileError`].
pub fn export(config: &Config, out: impl Write) -> Result<Height, LedgerFileError> {
    let stopped = Stopped::open(config)?;
    let mut lines = Lines::to(out);
    let height = stopped.store.archive(|line| lines.write(&line))?;
    lines.finish()?;
    Ok(height)
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

/// Lets a node that has only its genesis begin with the state of an archive.
///
/// # Errors
/// [`LedgerFileError`]; then nothing is changed.
pub fn import(config: &Config, file: impl BufRead) -> Result<Height, LedgerFileError> {
    let lines = file.lines().collect::<io::Result<Vec<String>>>()?;
    let stopped = Stopped::open(config)?;
    let (store, state) = (&stopped.store, |error: StateError| LedgerFileError::from(ArchiveError::from(error)));
    if !query::is_initialized(store).map_err(state)? {
        store.replace_state(&stopped.genesis.initial_changes()?, None).map_err(ArchiveError::from)?;
    }
    let tip = store.read_archive(&stopped.genesis, lines.iter().map(String::as_str))?;
    stopped.sync().map_err(ArchiveError::from)?;
    Ok(tip.height)
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
