//! `mesh30k carbon worker | hardware`: what a node's machine cost to make, and what its owner owes in retired credits.

use anyhow::Result;
use clap::Args;
use mesh30k_ledger::ops::{DeclareHardware, MAX_EMBODIED_G, MAX_LIFESPAN_H, MAX_SLOTS, Operation};
use mesh30k_ledger::types::NodeId;
use mesh30k_node::api::types::WorkerAnswer;
use mesh30k_testnet::carbon::{self as units, CarbonMass};

use crate::exit::UsageError;
use crate::output::{json, line, percent};
use crate::session::Session;

/// What a machine cost to make.
#[derive(Args)]
pub(crate) struct HardwareArgs {
    /// What making it, shipping it and taking it apart emit, of CO2e: 350kg.
    #[arg(long)]
    embodied: CarbonMass,
    /// How long it serves, hours; four years are 35064.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIFESPAN_H)))]
    hours: u32,
    /// Tasks it does at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SLOTS)))]
    slots: u32,
    /// The key of the node's account.
    #[arg(long)]
    key: String,
}

pub(super) fn declare(session: &Session, args: &HardwareArgs) -> Result<()> {
    let embodied_g =
        args.embodied.whole_g("--embodied", MAX_EMBODIED_G).map_err(|error| UsageError(error.to_string()))?;
    let op = DeclareHardware { embodied_g, lifespan_h: args.hours, slots: args.slots };
    session.done(&args.key, Operation::DeclareHardware(op), "hardware declared")
}

pub(super) fn show(session: &Session, node: NodeId) -> Result<()> {
    let answer: WorkerAnswer = session.client()?.get(&format!("/v1/carbon/workers/{node}"))?;
    if session.wants_json() {
        return json(&answer);
    }
    lines(&answer).iter().for_each(line);
    Ok(())
}

fn lines(worker: &WorkerAnswer) -> Vec<String> {
    let WorkerAnswer { duty, .. } = worker;
    let mut lines = vec![
        format!("node {} in {}, of {}", worker.node, worker.region, worker.account),
        format!("  renewable energy {} attested, {} wanted", percent(worker.renewable_ppm), percent(worker.target_ppm)),
        worker.hardware.map_or_else(
            || "  hardware not declared: its tasks report no embodied carbon".to_owned(),
            |hardware| {
                format!(
                    "  hardware {} over {} hours, {} tasks at once: {} for an hour of one task",
                    units::carbon(hardware.embodied_g.saturating_mul(1_000_000)),
                    hardware.lifespan_h,
                    hardware.slots,
                    units::carbon(hardware.embodied_ug(3_600_000_000))
                )
            },
        ),
    ];
    if u64::from(worker.renewable_ppm) >= worker.target_ppm && duty.due_ug == 0 && duty.accrued_ug == 0 {
        lines.push("  owes no credits".to_owned());
        return lines;
    }
    lines.push(format!(
        "  owes credits for {} of periods that ended, and for {} of the one that ends at {}",
        units::carbon(duty.due_ug),
        units::carbon(duty.accrued_ug),
        units::utc(worker.period_ends)
    ));
    if worker.retired_ug > 0 || worker.held_ug > 0 || duty.paid_ug > 0 {
        lines.push(format!(
            "  retired {} so far, {} of it set against what was due; paid for {} out of payouts; holds {}",
            units::carbon(worker.retired_ug),
            units::carbon(duty.counted_ug),
            units::carbon(duty.paid_ug),
            units::carbon(worker.held_ug)
        ));
    }
    if duty.due_ug > 0 {
        lines.push(format!(
            "  what is due comes out of its next payouts at {} FTNS a gram, as far as there are credits; or: mesh30k carbon \
             retire {} --key KEY",
            units::ftns(worker.uftns_per_g),
            CarbonMass(duty.due_ug)
        ));
    }
    lines
}
