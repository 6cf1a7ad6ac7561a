//! `mesh30k task open | work`: what `task run` does, one step at a time.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use mesh30k_ledger::types::{AgentId, EscrowId};
use mesh30k_node::api::types::{DispatchAnswer, EscrowAnswer};
use mesh30k_testnet::carbon as units;
use mesh30k_testnet::work::{self, TaskOrder};

use super::{TaskArgs, print, read_inputs, read_module, tell};
use crate::exit::UsageError;
use crate::output::{json, line, table};
use crate::session::Session;

/// The longest an escrow may be told to stand: a year, as the ledger has it.
const HOURS_MAX: u64 = 365 * 24;

/// A task that is paid for and not begun.
#[derive(Args)]
pub(crate) struct OpenArgs {
    #[command(flatten)]
    task: TaskArgs,
    /// What is not paid by then comes back.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u64).range(1..=HOURS_MAX))]
    hours: u64,
    /// The key that pays.
    #[arg(long)]
    key: String,
}

/// An open task's parts that are to be done.
#[derive(Args)]
pub(crate) struct WorkArgs {
    /// The task's escrow, or the order or auction of the same name.
    escrow: EscrowId,
    /// The module it was opened for.
    module: String,
    /// The input it was opened for.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Ask this agent first; of an order or auction, one of whoever is paid for it when none is named.
    #[arg(long)]
    agent: Option<AgentId>,
    /// Pay nothing: the opener may pay later by the same command without this, or the host claims its part.
    #[arg(long)]
    unpaid: bool,
    /// The key that opened the escrow.
    #[arg(long)]
    key: String,
}

pub(super) fn open(session: &Session, args: &OpenArgs) -> Result<()> {
    let order = TaskOrder { deadline_ms: args.hours.saturating_mul(3_600_000), ..args.task.order()? };
    let escrow = work::open(&session.wallet(&args.key)?, &order)?;
    if session.wants_json() {
        return json(&serde_json::json!({ "escrow": escrow }));
    }
    let opened: EscrowAnswer = session.client()?.get(&format!("/v1/escrows/{escrow}"))?;
    line(format!("task opened as {escrow}: {} locked for {} parts", opened.escrow.locked, args.task.parts));
    line(format!("  have it done: mesh30k task work {escrow} {} --key {}", args.task.module, args.key));
    Ok(())
}

pub(super) fn work(session: &Session, args: &WorkArgs) -> Result<()> {
    let seen: EscrowAnswer = session.client()?.get(&format!("/v1/escrows/{}", args.escrow))?;
    let parts: Vec<u32> = (0..seen.escrow.parts).filter(|part| !seen.escrow.is_released(*part)).collect();
    if parts.is_empty() {
        return Err(UsageError(format!("every part of {} is paid already", args.escrow)).into());
    }
    let order = TaskOrder {
        agent: args.agent.or_else(|| seen.payee.and_then(|payee| payee.agent)),
        ..TaskOrder::new(read_module(&args.module)?, read_inputs(args.input.as_deref(), seen.escrow.parts)?)
    };
    let module = order.module.hash()?;
    if module != seen.escrow.module {
        let (found, wanted) = (&args.module, seen.escrow.module);
        return Err(UsageError(format!("module `{found}` is {module}, the escrow pays for {wanted}")).into());
    }
    let quiet = session.wants_json();
    if args.unpaid {
        let done =
            work::work_unpaid(&session.client()?, &order, args.escrow, &parts, &|progress| tell(quiet, progress))?;
        return print_unpaid(session, args.escrow, &done);
    }
    let wallet = session.wallet(&args.key)?;
    let result = work::work(&wallet, &order, args.escrow, &parts, &|progress| tell(quiet, progress))?;
    print(session, &args.module, &result)
}

fn print_unpaid(session: &Session, escrow: EscrowId, done: &[(u32, DispatchAnswer)]) -> Result<()> {
    if session.wants_json() {
        let rows = done.iter().map(|(part, answer)| serde_json::json!({ "part": part, "answer": answer }));
        return json(&rows.collect::<Vec<_>>());
    }
    let cells = done.iter().map(|(part, answer)| {
        vec![
            part.to_string(),
            answer.agent.to_string(),
            answer.host.to_string(),
            format!("{}.{:03}", answer.wall_us / 1_000, answer.wall_us % 1_000),
            units::energy(answer.energy_mj),
            units::carbon(answer.carbon_ug),
        ]
    });
    line(table(&["part", "agent", "node", "ms", "energy", "CO2e"], &[0, 1, 2, 3, 4, 5], cells.collect()));
    line(format!("{} parts done and not paid; a host asks for its pay with:", done.len()));
    line(format!("  mesh30k market claim part {escrow} PART --key DATA/keys/account.key"));
    Ok(())
}
