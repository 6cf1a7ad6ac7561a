//! `mesh30k stake prove`: what a validator loses for two votes at one height, for whoever can show them.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use mesh30k_ledger::ops::Operation;
use mesh30k_node::offences::offences;

use crate::exit::UsageError;
use crate::output::{json, line, or_dash, sentence};
use crate::session::{FINAL_TIMEOUT, Session};

/// Largest file that is read: the report of a halt with all the evidence it may hold.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What is shown by whom.
#[derive(Args)]
pub(crate) struct ProveArgs {
    /// `halted.json` of a halted node, or two signed votes as JSON: {"first":VOTE,"second":VOTE}.
    file: PathBuf,
    /// The key that signs; its account gets the reward.
    #[arg(long)]
    key: String,
}

pub(super) fn prove(session: &Session, args: &ProveArgs) -> Result<()> {
    let found = offences(&read(&args.file)?);
    let found = found.map_err(|error| UsageError(format!("{}: {}", args.file.display(), sentence(&error.into()))))?;
    let wallet = session.wallet(&args.key)?;
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for offence in found {
        let vote = offence.first.vote;
        let said = format!("node {}, two votes at height {}", vote.validator, vote.height);
        match wallet.execute(Operation::ProveEquivocation(offence), FINAL_TIMEOUT) {
            Ok(row) => {
                if !session.wants_json() {
                    let outcome = row.outcome.clone().unwrap_or_default();
                    line(format!("{said}: {outcome}; final in block {}", or_dash(row.height)));
                }
                rows.push(row);
            }
            // One that was punished before is no reason to let the others go.
            Err(error) => failures.push(anyhow::Error::from(error).context(said)),
        }
    }
    if rows.is_empty() && !failures.is_empty() {
        return Err(failures.swap_remove(0));
    }
    failures.iter().for_each(|failure| eprintln!("{}", sentence(failure)));
    if session.wants_json() { json(&rows) } else { Ok(()) }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{} can't be read", path.display()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(UsageError(format!("{} has more than {FILE_BYTES_MAX} bytes", path.display())).into());
    }
    Ok(bytes)
}
