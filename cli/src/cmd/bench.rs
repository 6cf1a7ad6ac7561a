//! `mesh30k testnet bench`: measurements that anybody can repeat.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use mesh30k_testnet::bench::mesh::{self, MeshOptions};
use mesh30k_testnet::bench::messages::{self, MessagesOptions, Part};
use mesh30k_testnet::bench::registry::{self, RegistryOptions};

use crate::output::{json, line};
use crate::session::Session;

/// Measurements that anybody can repeat.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// The registry with 30,000 agents and 6,000 changes a second, beside Redis.
    #[command(after_help = "Example: mesh30k testnet bench registry --runs 5")]
    Registry(RunArgs),
    /// Messages a second, decided by one core and carried between processes, beside NATS.
    #[command(after_help = "Example: mesh30k testnet bench messages --runs 5")]
    Messages(MessagesArgs),
    /// A whole mesh of processes: how it forms, idles and lets its agents act at one instant, beside the machine itself.
    #[command(after_help = "Example: mesh30k testnet bench mesh --nodes 100 --agents 30000 --cascades 20")]
    Mesh(MeshArgs),
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
            Self::Messages(args) => args.run(session),
            Self::Mesh(args) => args.run(session),
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
