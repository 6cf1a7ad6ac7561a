//! `mesh30k task`: have work done, and pay for it.

mod steps;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::types::{EscrowId, Uftns};
use mesh30k_node::api::types::TaskRow;
use mesh30k_node::execution::{CarbonAggregate, builtins};
use mesh30k_testnet::work::{self, Module, Progress, TaskOrder, TaskResult};

use crate::exit::UsageError;
use crate::output::{json, line, table};
use crate::session::Session;

/// Bytes of an output shown as text, at most.
const SHOWN_BYTES_MAX: usize = 2_000;

/// Have work done, and pay for it.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Run a WebAssembly module on agents of the mesh: escrow, dispatch, receipts, payment.
    #[command(after_help = "Examples: mesh30k task run hello --key alice\n          \
                            mesh30k task run carbon_aggregate --input hours.csv --parts 20 --key bob")]
    Run {
        #[command(flatten)]
        task: TaskArgs,
        /// Write each part's output to DIR/part-N.
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// The key that pays and signs.
        #[arg(long)]
        key: String,
    },
    /// Lock the payment of a task and begin nothing yet: quota can be set aside for it, or drawn in an emergency.
    #[command(after_help = "Example: mesh30k task open hello --purpose disaster-response --hours 48 --key bob")]
    Open(steps::OpenArgs),
    /// Have what is left of an open task done and pay it: a task, an order of work, or an auction that was won.
    #[command(after_help = "Examples:\n  mesh30k task work \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e hello --key bob\n  mesh30k task \
                            work 5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e hello --unpaid --key bob")]
    Work(steps::WorkArgs),
    /// How far a task has come, by its escrow.
    #[command(after_help = "Example: mesh30k task show \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e")]
    Show {
        /// Id of the escrow.
        escrow: EscrowId,
    },
}

/// What is to be done, and for how much.
#[derive(Args)]
pub(crate) struct TaskArgs {
    /// A .wasm file, or the name of a module that ships with the node: hello, carbon_aggregate.
    module: String,
    /// Its input; empty when none is given.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Cut a CSV into so many parts by lines (each keeps the header) for as many agents.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    parts: u32,
    /// The most a worker is paid for one part, in FTNS.
    #[arg(long, default_value = "1")]
    amount: Uftns,
    /// Held for carbon charge, premium and royalty of one part, in FTNS; what the node advises, when not given.
    #[arg(long)]
    reserve: Option<Uftns>,
    /// What it is for, as `mesh30k carbon purpose declare` takes it; general research without.
    #[arg(long)]
    purpose: Option<Purpose>,
}

impl TaskArgs {
    fn order(&self) -> Result<TaskOrder> {
        Ok(TaskOrder {
            amount_per_part: self.amount,
            reserve_per_part: self.reserve,
            purpose: self.purpose,
            ..TaskOrder::new(read_module(&self.module)?, read_inputs(self.input.as_deref(), self.parts)?)
        })
    }
}

impl Task {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Run { task, output, key } => {
                let order = task.order()?;
                let quiet = session.wants_json();
                let result = work::run(&session.wallet(&key)?, &order, &|progress| tell(quiet, progress))?;
                if let Some(dir) = output {
                    write_outputs(&dir, &result)?;
                }
                print(session, &task.module, &result)
            }
            Self::Open(args) => steps::open(session, &args),
            Self::Work(args) => steps::work(session, &args),
            Self::Show { escrow } => show(session, escrow),
        }
    }
}

pub(super) fn read_module(name: &str) -> Result<Module> {
    if builtins().iter().any(|module| module.name == name) {
        return Ok(Module::Named(name.to_owned()));
    }
    if !Path::new(name).exists() {
        let known: Vec<&str> = builtins().iter().map(|module| module.name).collect();
        let text = format!("`{name}` is no file and no shipped module; shipped are {}", known.join(", "));
        return Err(UsageError(text).into());
    }
    Ok(Module::Bytes(fs::read(name).with_context(|| format!("reading {name}"))?))
}

pub(super) fn read_inputs(path: Option<&Path>, parts: u32) -> Result<Vec<Vec<u8>>> {
    let Some(path) = path else {
        // Without an input there is nothing to split: every part gets the same nothing.
        return Ok(vec![Vec::new(); parts as usize]);
    };
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    if parts == 1 {
        return Ok(vec![bytes]);
    }
    Ok(work::split_csv(&bytes, parts as usize)?)
}

pub(super) fn tell(quiet: bool, progress: Progress) {
    if quiet {
        return;
    }
    match progress {
        Progress::Opened { escrow } => eprintln!("escrow {escrow} is open"),
        Progress::Done { part, of } => eprintln!("{part} of {of} parts done"),
        Progress::Released { part, of } if part == of => eprintln!("{of} parts paid, every payment proven"),
        Progress::Released { .. } => {}
    }
}

fn write_outputs(dir: &Path, result: &TaskResult) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    for part in &result.parts {
        let path = dir.join(format!("part-{}", part.part));
        fs::write(&path, &part.output).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

pub(super) fn print(session: &Session, module: &str, result: &TaskResult) -> Result<()> {
    if session.wants_json() {
        return json(result);
    }
    let rows = result.parts.iter().map(|part| {
        vec![
            part.part.to_string(),
            part.agent.to_string(),
            part.host.to_string(),
            format!("{}.{:03}", part.wall_us / 1_000, part.wall_us % 1_000),
            part.energy_mj.to_string(),
            part.carbon_ug.to_string(),
            Uftns(part.price_uftns).to_string(),
        ]
    });
    let headings = ["part", "agent", "node", "ms", "energy mJ", "carbon ug", "price"];
    line(table(&headings, &[0, 1, 2, 3, 4, 5, 6], rows.collect()));
    line(format!(
        "{} parts, {} payments proven offline; price {}, {} mJ ({}), {} ug CO2e",
        result.parts.len(),
        result.receipts_verified,
        Uftns(result.price_uftns),
        result.energy_mj,
        result.parts.first().map_or("nothing ran", |part| part.energy_method.as_str()),
        result.carbon_ug
    ));
    print_output(module, result)
}

fn print_output(module: &str, result: &TaskResult) -> Result<()> {
    if module == "carbon_aggregate" {
        let mut merged = CarbonAggregate::default();
        for part in &result.parts {
            merged.merge(&CarbonAggregate::decode(&part.output)?)?;
        }
        let rows = merged.authorities.iter().map(|(name, authority)| {
            let mean = authority.mean_mg_per_kwh().map(|mg| (mg / 1_000).to_string());
            vec![
                name.clone(),
                authority.hours.to_string(),
                authority.missing_hours.to_string(),
                crate::output::or_dash(mean),
            ]
        });
        line(table(&["authority", "hours", "missing", "mean g/kWh"], &[1, 2, 3], rows.collect()));
        return Ok(());
    }
    for part in &result.parts {
        match std::str::from_utf8(&part.output) {
            Ok(text) if text.len() <= SHOWN_BYTES_MAX => line(format!("part {}: {text}", part.part)),
            _ => line(format!("part {}: {} bytes; keep them with --output DIR", part.part, part.output.len())),
        }
    }
    Ok(())
}

fn show(session: &Session, escrow: EscrowId) -> Result<()> {
    let row: TaskRow = session.client()?.get(&format!("/v1/tasks/{escrow}"))?;
    if session.wants_json() {
        return json(&row);
    }
    line(format!(
        "escrow {}: {}, {} of {} parts paid, {} locked",
        row.escrow, row.status, row.released_parts, row.parts, row.locked_uftns
    ));
    line(format!("  module {}, task {}, opened by {}", row.module, row.task, row.opener));
    line(format!("  this node holds receipts of {} parts", row.receipts.len()));
    Ok(())
}
