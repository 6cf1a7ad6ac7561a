//! `mesh30k testnet replay`: recorded days.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use mesh30k_testnet::carbon as units;
use mesh30k_testnet::render::{grouped, wrap};
use mesh30k_testnet::replay::{self, ReplayOptions, ReplaySummary};

use crate::output::{json, line};
use crate::session::Session;

/// Columns of text, at most.
const COLUMNS: usize = 100;

/// Recorded days.
#[derive(Subcommand)]
pub(crate) enum Replay {
    /// A day of requests and jobs over hourly grids: who used and paid what, audited to the unit.
    #[command(
        after_help = "Examples:\n  mesh30k testnet replay carbon\n  mesh30k testnet replay carbon --day 2022-03-13 --seed 7 --json\n  \
                            mesh30k testnet replay carbon --out day.json"
    )]
    Carbon(CarbonArgs),
}

/// Which day.
#[derive(Args)]
pub(crate) struct CarbonArgs {
    /// A date from 2022-01-01 to 2022-08-31, of which hourly grids are shipped.
    #[arg(long, default_value = "2022-06-13", value_name = "DATE")]
    day: String,
    /// Decides who asks for what and who works; the same one gives the same state root.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the sums, for `mesh30k carbon report --file`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Replay {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let Self::Carbon(args) = self;
        let summary = replay::run(&ReplayOptions { date: args.day, seed: args.seed, out: args.out })?;
        if session.wants_json() {
            json(&summary)?;
        } else {
            show(&summary);
        }
        let failures = summary.failures();
        if !failures.is_empty() {
            bail!("the day does not balance: {}", failures.join("; "));
        }
        Ok(())
    }
}

fn text(text: &str) {
    wrap(text, "", COLUMNS).iter().for_each(line);
}

fn show(summary: &ReplaySummary) {
    text(&format!(
        "A recorded day, {}, through the ledger's own code: {} requests to a language model (a trace of 38 minutes, stretched \
         over the day) and {} batch jobs of two clusters, over the hourly grids of six US authorities and the yearly averages \
         of other countries. Who asked and who worked is drawn by seed {}; times per token, counters and fuel are derived from \
         the traces, not measured.",
        summary.date,
        grouped(u64::try_from(summary.audit.parts).unwrap_or(0) - job_hours(summary)),
        summary.jobs,
        summary.seed
    ));
    line("");
    units::lines(&summary.book).iter().for_each(line);
    line("");
    line("Where the intensities of the receipts came from");
    for (source, parts) in &summary.intensity_sources {
        line(format!(" {:>7}  {source}", grouped(*parts)));
    }
    line("");
    for (what, until) in &summary.emergencies {
        line(format!("Emergency: {what}, until {}.", units::utc(*until)));
    }
    let (issued, retired) = summary.credits_ug;
    line(format!(
        "Credits: {} issued for an attested saving, {} of it retired.",
        units::carbon(issued),
        units::carbon(retired)
    ));
    let audit = &summary.audit;
    text(&format!(
        "Audit, from the client's own log and without the ledger's arithmetic: {} comparisons, {} differ. {} transactions, state \
         root {}.",
        grouped(audit.checks),
        audit.failures.len(),
        grouped(summary.transactions),
        summary.state_root.short()
    ));
}

/// Pieces of jobs: class C does nothing else.
fn job_hours(summary: &ReplaySummary) -> u64 {
    let by = summary.book.report().by(|key| key.class);
    by.get(&mesh30k_ledger::types::AgentClass::C).map_or(0, |sum| sum.parts)
}
