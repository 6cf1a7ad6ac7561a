//! `mesh30k testnet`: a whole mesh of real node processes on this machine.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use mesh30k_node::api::types::Status;
use mesh30k_testnet::client::{ApiClient, ClientError};
use mesh30k_testnet::running::{self, RunningTestnet};
use mesh30k_testnet::sim::{self, Scenario, SimOptions, StrategyKind};
use mesh30k_testnet::up::{self, UpOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use super::bench::Bench;
use super::replay::Replay;
use crate::output::{json, line, or_dash, table};
use crate::session::Session;

/// How long the driver may take to end its nodes and itself.
const DOWN_TIMEOUT: Duration = Duration::from_secs(20);
/// Pace at which it is looked at.
const DOWN_POLL: Duration = Duration::from_millis(50);
/// How long one node may take to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);

/// A whole mesh of real node processes on this machine.
#[derive(Subcommand)]
pub(crate) enum Testnet {
    /// Start one, show what it does, and keep it running until Ctrl-C.
    #[command(after_help = "Example: mesh30k testnet up --nodes 20 --agents 3000")]
    Up(UpArgs),
    /// End the one that runs.
    #[command(after_help = "Example: mesh30k testnet down")]
    Down,
    /// Simulate one of any size under a virtual clock, and compare strategies on the same events.
    #[command(
        after_help = "Examples:\n  mesh30k testnet sim --agents 3000 --waves 20\n  mesh30k testnet sim --scenario liars \
                            --seed 7 --explain\n  mesh30k testnet sim --delays rtt_ms_slices.csv.gz --json"
    )]
    Sim(SimArgs),
    /// Replay a recorded day of work through the ledger's own code, and audit it.
    #[command(subcommand)]
    Replay(Replay),
    /// Its nodes, one a line.
    #[command(after_help = "Example: mesh30k testnet status")]
    Status,
    /// Measure something, beside what a user would take instead.
    #[command(subcommand)]
    Bench(Bench),
}

/// How large, and where.
#[derive(Args)]
pub(crate) struct UpArgs {
    /// Node processes.
    #[arg(long, default_value_t = 8)]
    nodes: usize,
    /// Agents in all, spread over the nodes.
    #[arg(long, default_value_t = 600)]
    agents: u32,
    /// Nodes that vote on blocks.
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// Do everything once and exit: 0 only if each step held.
    #[arg(long)]
    once: bool,
    /// Where it keeps its files; a temporary folder when none is given.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the folder afterwards.
    #[arg(long)]
    keep: bool,
}

/// What is simulated.
#[derive(Args)]
pub(crate) struct SimArgs {
    /// Agents, up to a million.
    #[arg(long, default_value_t = 30_000)]
    agents: u32,
    /// Events, each to everybody; a hundred are an hour.
    #[arg(long, default_value_t = 100)]
    waves: u32,
    /// Seed of everything random: the same one gives the same run, bit for bit.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What goes wrong: mixed, replayed, liars, slowdown, coordinator-killed or lead-stalled.
    #[arg(long, default_value = "mixed", value_name = "NAME")]
    scenario: Scenario,
    /// Measured round trips to replay instead of the built-in ones, in the form of any of them; may be given several times.
    #[arg(long, value_name = "FILE")]
    delays: Vec<PathBuf>,
    /// Only this strategy: first_draft, learned_throw, hold or hold_hedge; may be given several times.
    #[arg(long, value_name = "NAME")]
    strategy: Vec<StrategyKind>,
    /// Wanted probability of being armed by T, instead of each strategy's own.
    #[arg(long, value_name = "P")]
    target_p: Option<f64>,
    /// Tell who missed and why.
    #[arg(long)]
    explain: bool,
}

#[derive(Serialize)]
struct NodeRow {
    name: String,
    api: String,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Testnet {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Up(args) => up::run(&UpOptions {
                nodes: args.nodes,
                agents: args.agents,
                validators: args.validators,
                once: args.once,
                json: session.wants_json(),
                dir: args.dir,
                keep: args.keep,
            }),
            Self::Sim(args) => sim::run(&SimOptions {
                agents: args.agents,
                waves: args.waves,
                seed: args.seed,
                scenario: args.scenario,
                delays: args.delays,
                strategies: args.strategy,
                target_p: args.target_p,
                explain: args.explain,
                json: session.wants_json(),
            }),
            Self::Down => down(),
            Self::Status => status(session),
            Self::Bench(bench) => bench.run(session),
            Self::Replay(replay) => replay.run(session),
        }
    }
}

fn down() -> Result<()> {
    let Some(running) = running::find() else {
        line("no local testnet is running");
        return Ok(());
    };
    let pid = i32::try_from(running.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { bail!("{} is no process id; remove the testnet file by hand", running.pid) };
    kill_process(pid, Signal::TERM)?;
    let mut waited = Duration::ZERO;
    while running::is_alive(running.pid) {
        if waited >= DOWN_TIMEOUT {
            bail!("the testnet's driver (pid {}) has not ended within {} s", running.pid, DOWN_TIMEOUT.as_secs());
        }
        thread::sleep(DOWN_POLL);
        waited += DOWN_POLL;
    }
    line(format!("the testnet in {} has ended", running.dir.display()));
    Ok(())
}

fn status(session: &Session) -> Result<()> {
    let Some(running) = running::find() else {
        if session.wants_json() {
            return json(&Vec::<NodeRow>::new());
        }
        line("no local testnet is running; start one with `mesh30k testnet up`");
        return Ok(());
    };
    let rows = rows(&running);
    if session.wants_json() {
        return json(&rows);
    }
    line(format!("testnet in {}, driver pid {}", running.dir.display(), running.pid));
    let rows = rows
        .into_iter()
        .map(|row| match row.status {
            Some(status) => vec![
                row.name,
                row.api,
                status.role,
                status.final_height.to_string(),
                or_dash(status.leader),
                status.hosted_agents.to_string(),
                status.peak_rss_kib.to_string(),
                if status.not_ready.is_empty() { "ready".to_owned() } else { status.not_ready.join("; ") },
            ],
            None => {
                let dash = || "-".to_owned();
                vec![row.name, row.api, dash(), dash(), dash(), dash(), dash(), row.problem.unwrap_or_default()]
            }
        })
        .collect();
    line(table(&["node", "api", "role", "block", "leader", "agents", "peak KiB", "state"], &[3, 4, 5, 6], rows));
    Ok(())
}

fn rows(running: &RunningTestnet) -> Vec<NodeRow> {
    let row = |node: &running::RunningNode| {
        let answer: Result<Status, ClientError> = ApiClient::with_timeout(&node.api, STATUS_TIMEOUT).get("/v1/status");
        let (status, problem) = match answer {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error.to_string())),
        };
        NodeRow { name: node.name.clone(), api: node.api.clone(), pid: node.pid, status, problem }
    };
    running.nodes.iter().map(row).collect()
}
