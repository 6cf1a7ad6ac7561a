//! `bench ledger`: writes that survive, signed transfers to final, a leader that dies; beside etcd and PostgreSQL, by one client
//! program in one sitting.

pub mod closed_loop;
pub mod http;
pub mod limit;
pub mod ours;
pub mod transfers;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use self::transfers::Transfers;
use crate::render::Console;
use crate::stop::StopFlag;

/// What is measured, how long and how often.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// Length of each load, after its warm-up.
    pub duration: Duration,
    /// Validators of the transfers to final.
    pub validators: Vec<usize>,
    /// Text to standard error.
    pub json: bool,
}

/// Measures.
///
/// # Errors
/// Something measured went wrong: a figure would mean nothing.
pub fn run(options: &LedgerOptions) -> Result<Vec<Transfers>> {
    let stop = StopFlag::install().context("listening to Ctrl-C")?;
    let console = Console::new(options.json);
    let mut all = Vec::new();
    for validators in &options.validators {
        let folder = Folder::new()?;
        all.push(transfers::ours(&folder.0, *validators, options.duration, &console, &stop)?);
        console.text(&format!("{:?}", all.last()));
    }
    Ok(all)
}

/// A folder that goes away with what lies in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("mesh30k-bench-ledger-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}
