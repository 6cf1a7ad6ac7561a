//! `mesh30k testnet bench`: measurements that anybody can repeat.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use mesh30k_testnet::bench::arrival::{self, ArrivalOptions};
use mesh30k_testnet::bench::ledger::{self, LedgerOptions};
use mesh30k_testnet::bench::mesh::{self, MeshOptions};
use mesh30k_testnet::bench::messages::{self, MessagesOptions, Part};
use mesh30k_testnet::bench::registry::{self, RegistryOptions};
use mesh30k_testnet::sim::{Scenario, StrategyKind};

use crate::output::{json, line};
use crate::session::Session;

/// Measurements that anybody can repeat.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// The registry with 30,000 agents and 6,000 changes a second, beside Redis.
    #[command(after_help = "Example: mesh30k testnet bench registry --runs 5")]
    Registry(RunArgs),
    /// Arrival at T: strategies, scenarios and seeds under a virtual clock; tables, CSV, JSON and a figure.
    #[command(
        after_help = "Examples:\n  mesh30k testnet bench arrival --out arrival\n  mesh30k testnet bench arrival \
                            --agents 3000 --waves 20 --runs 3 --scenarios mixed,replayed --out small\nA bench that is \
                            stopped goes on where it was when it is started again with the same arguments."
    )]
    Arrival(ArrivalArgs),
    /// Messages a second, decided by one core and carried between processes, beside NATS.
    #[command(after_help = "Example: mesh30k testnet bench messages --runs 5")]
    Messages(MessagesArgs),
    /// A whole mesh of processes: how it forms, idles and lets its agents act at one instant, beside the machine itself.
    #[command(after_help = "Example: mesh30k testnet bench mesh --nodes 100 --agents 30000 --cascades 20")]
    Mesh(MeshArgs),
    /// Replicated writes, signed transfers to final and a leader that dies, beside etcd and PostgreSQL.
    #[command(after_help = "Example: mesh30k testnet bench ledger --out ledger")]
    Ledger(LedgerArgs),
}

/// What of the ledger is measured.
#[derive(Args)]
pub(crate) struct LedgerArgs {
    /// Parts with commas between them: writes, transfers, gaps; without it all.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    parts: Vec<ledger::Part>,
    /// Seconds of each load of writes, after its warm-up.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=600))]
    write_seconds: u64,
    /// Seconds of the transfers, after their warm-up.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Validators of the transfers to final.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 3])]
    validators: Vec<usize>,
    /// Leaders killed on either side.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=15))]
    kills: u64,
    /// Runs of writes and transfers, of which the median is shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// The program whose nodes are measured; this one when none is given.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Folder for CSV and JSON.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How long and how often.
#[derive(Args, Clone, Copy)]
pub(crate) struct RunArgs {
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Runs, of which the median is shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
}

/// What of messages is measured.
#[derive(Args)]
pub(crate) struct MessagesArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Only what one core decides, no sockets.
    #[arg(long)]
    core_only: bool,
    /// The part of one process of the measurement, as JSON; the measurement starts these itself.
    #[arg(long, hide = true)]
    part: Option<String>,
}

/// How large the mesh is, and what is done with it.
#[derive(Args)]
pub(crate) struct MeshArgs {
    /// Node processes, up to 128.
    #[arg(long, default_value_t = 100)]
    nodes: usize,
    /// Agents in all, spread over the nodes.
    #[arg(long, default_value_t = 30_000)]
    agents: u32,
    /// Nodes that vote on blocks.
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// Cascades (hold), one after another.
    #[arg(long, default_value_t = 20)]
    cascades: u32,
    /// Seconds for which the idle mesh is watched.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    idle: u64,
    /// Where it keeps its files, which then stay; a temporary folder when none is given.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The part of one bare process, which only sleeps; the measurement starts these itself.
    #[arg(long, hide = true)]
    sleeper: bool,
}

/// What of arrival is measured.
#[derive(Args)]
pub(crate) struct ArrivalArgs {
    /// Agents, up to a million.
    #[arg(long, default_value_t = 30_000)]
    agents: u32,
    /// Events of a run, each to everybody; a hundred are an hour.
    #[arg(long, default_value_t = 100)]
    waves: u32,
    /// Runs, of which the median is shown.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Seed of the first run; each further run has the next one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Scenarios with commas between them; without it mixed, replayed, liars, slowdown and coordinator-killed.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    scenarios: Vec<Scenario>,
    /// Strategies with commas between them; without it all four.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    strategies: Vec<StrategyKind>,
    /// Wanted probabilities at which promises are held against what was kept (mixed and replayed scenario).
    #[arg(long, value_delimiter = ',', value_name = "P", default_values_t = [0.5, 0.9, 0.95, 0.99, 0.999])]
    calibration: Vec<f64>,
    /// No runs for the calibration.
    #[arg(long, conflicts_with = "calibration")]
    no_calibration: bool,
    /// No cascades at once.
    #[arg(long)]
    no_cascades: bool,
    /// Runs at once; each needs memory of its own. One a core when left out.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,
    /// Folder for finished runs, tables, figures, CSV and JSON.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl RunArgs {
    const fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn runs(self) -> usize {
        usize::try_from(self.runs).unwrap_or(usize::MAX)
    }
}

impl Bench {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Registry(args) => {
                let options = RegistryOptions { duration: args.duration(), runs: args.runs() };
                let report = registry::run(&options, |text| tell(session, text))?;
                if session.wants_json() { json(&report) } else { show(&report.lines()) }
            }
            Self::Arrival(args) => arrival::run(&args.options(session)),
            Self::Messages(args) => args.run(session),
            Self::Mesh(args) => args.run(session),
            Self::Ledger(args) => args.run(session),
        }
    }
}

impl ArrivalArgs {
    fn options(self, session: &Session) -> ArrivalOptions {
        ArrivalOptions {
            agents: self.agents,
            waves: self.waves,
            runs: self.runs,
            seed: self.seed,
            scenarios: self.scenarios,
            strategies: self.strategies,
            calibration: if self.no_calibration { Vec::new() } else { self.calibration },
            cascades: !self.no_cascades,
            threads: self.threads.map(usize::from),
            out: self.out,
            json: session.wants_json(),
        }
    }
}

impl MessagesArgs {
    fn run(self, session: &Session) -> Result<()> {
        if let Some(part) = self.part {
            let part: Part = serde_json::from_str(&part)?;
            return messages::child::run(&part);
        }
        let options =
            MessagesOptions { duration: self.run.duration(), runs: self.run.runs(), core_only: self.core_only };
        let report = messages::run(&options, |text| tell(session, text))?;
        if session.wants_json() { json(&report) } else { show(&report.lines()) }
    }
}

impl LedgerArgs {
    fn run(self, session: &Session) -> Result<()> {
        let all = vec![ledger::Part::Writes, ledger::Part::Transfers, ledger::Part::Gaps];
        let report = ledger::run(&LedgerOptions {
            parts: if self.parts.is_empty() { all } else { self.parts },
            writes: Duration::from_secs(self.write_seconds),
            transfers: Duration::from_secs(self.seconds),
            validators: self.validators,
            kills: usize::try_from(self.kills).unwrap_or(usize::MAX),
            runs: usize::try_from(self.runs).unwrap_or(usize::MAX),
            json: session.wants_json(),
            program: self.program,
            out: self.out,
        })?;
        if session.wants_json() { json(&report) } else { show(&report.lines()) }
    }
}

impl MeshArgs {
    fn run(self, session: &Session) -> Result<()> {
        if self.sleeper {
            return mesh::sleepers::sleep_as_told();
        }
        let report = mesh::run(&MeshOptions {
            nodes: self.nodes,
            agents: self.agents,
            validators: self.validators,
            cascades: self.cascades,
            idle: Duration::from_secs(self.idle),
            json: session.wants_json(),
            dir: self.dir,
        })?;
        if session.wants_json() { json(&report) } else { show(&report.lines()) }
    }
}

fn show(lines: &[String]) -> Result<()> {
    lines.iter().for_each(line);
    Ok(())
}

/// Progress is for people.
fn tell(session: &Session, text: &str) {
    if !session.wants_json() {
        line(text);
    }
}
