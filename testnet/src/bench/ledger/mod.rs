//! `bench ledger`: writes that survive, signed transfers to final, a leader that dies; beside etcd and PostgreSQL, by one client
//! program in one sitting.

pub mod closed_loop;
pub mod etcd;
pub mod gaps;
pub mod http;
pub mod limit;
pub mod ours;
pub mod pg_wire;
pub mod postgres;
pub mod result;
pub mod transfers;
pub mod writes;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use self::etcd::NO_ETCD;
use self::limit::Limit;
use self::ours::Watched;
use self::postgres::NO_POSTGRES;
pub use self::result::LedgerReport;
use crate::render::Console;
use crate::stop::StopFlag;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Replicated writes beside etcd.
    Writes,
    /// Signed transfers to final beside PostgreSQL.
    Transfers,
    /// The gap after a leader was killed, beside etcd.
    Gaps,
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "writes" => Ok(Self::Writes),
            "transfers" => Ok(Self::Transfers),
            "gaps" => Ok(Self::Gaps),
            _ => Err("the parts are writes, transfers and gaps".to_owned()),
        }
    }
}

/// What is measured, how long and how often.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// Parts, in any order.
    pub parts: Vec<Part>,
    /// Length of each load of writes, after its warm-up.
    pub writes: Duration,
    /// Length of the transfers, after their warm-up.
    pub transfers: Duration,
    /// Validators of the transfers to final.
    pub validators: Vec<usize>,
    /// Leaders killed on either side.
    pub kills: usize,
    /// Runs of writes and transfers, of which the median is shown.
    pub runs: usize,
    /// Text to standard error.
    pub json: bool,
    /// The program whose nodes are measured; this one when none is given.
    pub program: Option<PathBuf>,
    /// Where CSV and JSON go; nowhere when none is given.
    pub out: Option<PathBuf>,
}

/// Validators whose leader is killed: as many as stay live without one.
const GAP_VALIDATORS: usize = 4;

/// Measures.
///
/// # Errors
/// Something measured went wrong: a figure would mean nothing.
pub fn run(options: &LedgerOptions) -> Result<LedgerReport> {
    let program = match &options.program {
        Some(program) => std::path::absolute(program).context("finding the program to be measured")?,
        None => std::env::current_exe().context("finding this program")?,
    };
    let stop = StopFlag::install().context("listening to Ctrl-C")?;
    let watched = Watched { program, console: Console::new(options.json), stop };
    let mut report = LedgerReport { limit: Limit::measure()?, ..LedgerReport::default() };
    for run in 1..=options.runs {
        watched.console.text(&format!("run {run} of {}", options.runs));
        measure_once(options, &mut report, &watched)?;
    }
    if options.parts.contains(&Part::Gaps) {
        let folder = Folder::new()?;
        report.gaps = gaps::run(&folder.0, GAP_VALIDATORS, options.kills, &watched)?;
    }
    if let Some(out) = &options.out {
        report.write(out)?;
    }
    Ok(report)
}

fn measure_once(options: &LedgerOptions, report: &mut LedgerReport, watched: &Watched) -> Result<()> {
    if options.parts.contains(&Part::Writes) {
        let folder = Folder::new()?;
        let writes = writes::run(&folder.0, options.writes, watched)?;
        if writes.etcd.is_empty() {
            watched.console.text(NO_ETCD);
        }
        report.writes.push(writes);
    }
    if !options.parts.contains(&Part::Transfers) {
        return Ok(());
    }
    for validators in &options.validators {
        let folder = Folder::new()?;
        let done = transfers::ours(&folder.0, *validators, options.transfers, watched)?;
        watched.console.text(&format!("{validators} validators: {:.0} transfers/s to final", done.load.per_s()));
        report.transfers.push(done);
    }
    let folder = Folder::new()?;
    match transfers::postgres(&folder.0, options.transfers)? {
        Some(done) => {
            watched.console.text(&format!("PostgreSQL: {:.0} transfers/s", done.load.per_s()));
            report.postgres.push(done);
        }
        None => watched.console.text(NO_POSTGRES),
    }
    Ok(())
}

/// The client program takes one core at most.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the clients")
}

/// A folder that goes away with what lies in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("mesh30k-bench-ledger-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        // PostgreSQL's user has to find its own folder in it.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
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
