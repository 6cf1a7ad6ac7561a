//! `mesh30k event delegate`: a task to the best agent for it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use mesh30k_ledger::types::Uftns;
use mesh30k_node::api::types::FoundRow;
use mesh30k_testnet::operations;
use mesh30k_testnet::work::{TaskOrder, TaskResult};
use serde::Serialize;

use crate::cmd::mesh::Wanted;
use crate::cmd::task;
use crate::output::{json, line, percent};
use crate::session::Session;

/// The task, and who may do it.
#[derive(Args)]
pub(crate) struct Delegate {
    /// A .wasm file, or the name of a module that ships with the node: hello, carbon_aggregate.
    module: String,
    /// Its input; empty when none is given.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    #[command(flatten)]
    wanted: Wanted,
    /// The most the worker is paid, in FTNS.
    #[arg(long, default_value = "1")]
    amount: Uftns,
    /// Held for carbon charge, premium and royalty, in FTNS; what the node advises, when not given.
    #[arg(long)]
    reserve: Option<Uftns>,
    /// The key that pays and signs.
    #[arg(long)]
    key: String,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Output {
    best: FoundRow,
    result: TaskResult,
}

impl Delegate {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        let order = TaskOrder {
            amount_per_part: self.amount,
            reserve_per_part: self.reserve,
            ..TaskOrder::new(task::read_module(&self.module)?, task::read_inputs(self.input.as_deref(), 1)?)
        };
        let quiet = session.wants_json();
        let wallet = session.wallet(&self.key)?;
        let told = |progress| task::tell(quiet, progress);
        let (best, result) = operations::delegate(&wallet, &self.wanted.order(), order, &told)?;
        if quiet {
            return json(&Output { best, result });
        }
        line(format!(
            "best agent: {} of class {} on node {}, score {}, impedance {} ms, reliability {}",
            best.agent,
            best.class,
            best.host,
            best.score,
            best.z_us / 1_000,
            percent(best.reliability_ppm)
        ));
        task::print(session, &self.module, &result)
    }
}
