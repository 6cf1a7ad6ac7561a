//! `mesh30k freeze` and `mesh30k thaw`.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use mesh30k_ledger::ops::{Freeze as FreezeOperation, Operation, Thaw as ThawOperation};
use mesh30k_ledger::types::{Scope, TimeMs};
use mesh30k_node::clock::wall_ms;

use crate::output::{json, line};
use crate::session::Session;

/// How long to wait for the order to be recorded; it takes effect earlier, when received.
const RECORD_TIMEOUT: Duration = Duration::from_secs(15);

/// Pause everything in a scope, at once.
#[derive(Args)]
#[command(after_help = "Example: mesh30k freeze --scope sector:1 --reason \"drill\" --minutes 10")]
pub(crate) struct Freeze {
    /// What: global, sector:N, cluster:N-M or agent:N.
    #[arg(long, default_value = "global")]
    scope: Scope,
    /// Why; it is recorded for good.
    #[arg(long)]
    reason: String,
    /// It ends by itself after so long, 1 to 4320.
    #[arg(long, default_value_t = 1_440, value_parser = clap::value_parser!(u64).range(1..=4_320))]
    minutes: u64,
    /// The operator key that signs.
    #[arg(long, default_value = "operator")]
    key: String,
}

/// End a freeze before its time.
#[derive(Args)]
#[command(after_help = "Example: mesh30k thaw --scope sector:1 --reason \"drill over\"")]
pub(crate) struct Thaw {
    /// What: global, sector:N, cluster:N-M or agent:N.
    #[arg(long, default_value = "global")]
    scope: Scope,
    /// Why; it is recorded for good.
    #[arg(long)]
    reason: String,
    /// The operator key that signs.
    #[arg(long, default_value = "operator")]
    key: String,
}

impl Freeze {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let until = TimeMs(wall_ms().saturating_add(self.minutes.saturating_mul(60_000)));
        let operation = Operation::Freeze(FreezeOperation { scope: self.scope, reason: self.reason, until });
        order(session, &self.key, operation, &format!("{} frozen", self.scope))
    }
}

impl Thaw {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let operation = Operation::Thaw(ThawOperation { scope: self.scope, reason: self.reason });
        order(session, &self.key, operation, &format!("{} thawed", self.scope))
    }
}

fn order(session: &Session, key: &str, operation: Operation, done: &str) -> Result<()> {
    let row = session.wallet(key)?.execute(operation, RECORD_TIMEOUT)?;
    if session.wants_json() {
        return json(&row);
    }
    line(format!("{done}; recorded in block {} as {}", crate::output::or_dash(row.height), row.id));
    Ok(())
}
