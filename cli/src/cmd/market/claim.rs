//! `mesh30k market claim`: payment without the requester, disputes, rulings.

use std::fmt;

use anyhow::{Context as _, Result};
use clap::{Subcommand, ValueEnum};
use mesh30k_ledger::codec::decode;
use mesh30k_ledger::ops::{ClaimDelivery, ClaimPart, DisputeClaim, MAJORITY, Operation, RuleClaim, TaskReceipt};
use mesh30k_ledger::records::{ClaimStatus, Claimed};
use mesh30k_ledger::types::{AccountId, EscrowId, TimeMs};
use mesh30k_node::api::types::{ClaimRow, ClaimsAnswer, EscrowAnswer, ReceiptRow};
use mesh30k_testnet::carbon as units;

use crate::exit::UsageError;
use crate::output::{from_now, json, line, table};
use crate::session::{Names, Session};

/// Bytes of a task receipt, at most.
const RECEIPT_BYTES_MAX: usize = 4_096;

/// Payment without the requester, disputes, rulings.
#[derive(Subcommand)]
pub(crate) enum Claim {
    /// Ask, as the seller, for the price of content that was handed over.
    #[command(after_help = "Example: mesh30k market claim delivery \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key alice")]
    Delivery {
        /// Name of the order.
        order: EscrowId,
        /// The seller's key.
        #[arg(long)]
        key: String,
    },
    /// Ask, as the host, for the payment of a part that was done and not paid; the node asked must have its receipt.
    #[command(after_help = "Example: mesh30k market claim part \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e 0 --key keys/account.key")]
    Part {
        /// The task's escrow.
        escrow: EscrowId,
        /// Which part, counted from 0.
        part: u32,
        /// The key of the host's account.
        #[arg(long)]
        key: String,
    },
    /// Dispute, as the opener, a claim on your escrow; a panel of three reviewers rules on it.
    #[command(after_help = "Example: mesh30k market claim dispute \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --part 3 --key bob")]
    Dispute {
        /// The escrow, or the order.
        escrow: EscrowId,
        /// Which part, counted from 0.
        #[arg(long, default_value_t = 0)]
        part: u32,
        /// The opener's key; it answers with a bond.
        #[arg(long)]
        key: String,
    },
    /// Rule, as one of the panel, on a disputed claim; two alike decide.
    #[command(after_help = "Example: mesh30k market claim rule \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e pay --key keys/account.key")]
    Rule {
        /// The escrow, or the order.
        escrow: EscrowId,
        /// pay, when the work was done; refuse, when it was not: that costs the worker a part of its bond.
        ruling: Ruling,
        /// Which part, counted from 0.
        #[arg(long, default_value_t = 0)]
        part: u32,
        /// The reviewer's key.
        #[arg(long)]
        key: String,
    },
    /// The claims on an escrow: who asks, who disputes, who is to rule, what was decided.
    #[command(after_help = "Example: mesh30k market claim show \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e")]
    Show {
        /// The escrow, or the order.
        escrow: EscrowId,
    },
    /// Claims that may be disputed or wait for a ruling.
    #[command(
        after_help = "Examples:\n  mesh30k market claim list\n  mesh30k market claim list --panel keys/account.key"
    )]
    List {
        /// Only those whose panel this account sits on and has not ruled in (ftns1... or a key).
        #[arg(long, value_name = "ACCOUNT")]
        panel: Option<String>,
    },
}

/// What one of a panel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ruling {
    /// The work was done.
    Pay,
    /// It was not.
    Refuse,
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pay => "for the worker",
            Self::Refuse => "for the opener",
        })
    }
}

impl Claim {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Delivery { order, key } => {
                session.done(&key, Operation::ClaimDelivery(ClaimDelivery { order }), "delivery claimed")
            }
            Self::Part { escrow, part, key } => claim_part(session, escrow, part, &key),
            Self::Dispute { escrow, part, key } => {
                let said = format!("claim on part {part} disputed; a panel is drawn with the next block");
                session.done(&key, Operation::DisputeClaim(DisputeClaim { escrow, part }), &said)
            }
            Self::Rule { escrow, ruling, part, key } => {
                let op = RuleClaim { escrow, part, pay: ruling == Ruling::Pay };
                session.told(&key, Operation::RuleClaim(op))
            }
            Self::Show { escrow } => show(session, &escrow),
            Self::List { panel } => list(session, panel.as_deref()),
        }
    }
}

fn claim_part(session: &Session, escrow: EscrowId, part: u32, key: &str) -> Result<()> {
    let rows: Vec<ReceiptRow> = session.client()?.get(&format!("/v1/tasks/{escrow}/receipts"))?;
    let row = rows.iter().find(|row| row.part == part).ok_or_else(|| {
        UsageError(format!(
            "the node asked remembers no receipt of part {part} of this escrow; ask the host that did it, with --api"
        ))
    })?;
    let bytes = hex::decode(&row.receipt_hex).context("the node's receipt is not hexadecimal")?;
    let receipt: TaskReceipt = decode(&bytes, RECEIPT_BYTES_MAX).context("the node's receipt can't be read")?;
    let op = Operation::ClaimPart(ClaimPart { escrow, receipt });
    session.done(key, op, &format!("part {part} claimed; it is paid unless its opener disputes it in time"))
}

fn show(session: &Session, escrow: &EscrowId) -> Result<()> {
    let answer: EscrowAnswer = session.client()?.get(&format!("/v1/escrows/{escrow}"))?;
    if session.wants_json() {
        return json(&answer);
    }
    let names = session.names();
    let EscrowAnswer { escrow: record, time, claims, .. } = &answer;
    line(format!(
        "escrow {escrow} of {}: {} of {} parts paid, {} locked",
        names.of(&record.opener),
        record.released_parts,
        record.parts,
        record.locked
    ));
    if claims.is_empty() {
        line("  nothing of it was claimed");
    }
    for claim in claims {
        claim_lines(claim, *time, &names).iter().for_each(line);
    }
    Ok(())
}

fn claim_lines(row: &ClaimRow, now: TimeMs, names: &Names) -> Vec<String> {
    let ClaimRow { record, ends, .. } = row;
    let what = match &record.claimed {
        Claimed::Part(report) => {
            format!("part {}, done by agent {} on node {}", report.part, report.agent, report.host)
        }
        Claimed::Delivery(_) => "delivery of the content".to_owned(),
    };
    let stands = match record.status {
        ClaimStatus::Open => format!("paid {} unless its opener disputes it", from_now(now, *ends)),
        ClaimStatus::Disputed => {
            format!(
                "disputed with {}; falls to the opener {} unless {MAJORITY} rule alike",
                record.bond,
                from_now(now, *ends)
            )
        }
        ClaimStatus::Paid => "paid".to_owned(),
        ClaimStatus::Refused => "not paid; only the opener can still pay it".to_owned(),
    };
    let mut lines = vec![format!("  {what}, claimed by {}", names.of(&record.worker)), format!("    {stands}")];
    if record.status == ClaimStatus::Disputed && record.panel.is_empty() {
        lines.push("    its panel is drawn with the next block".to_owned());
    }
    lines.extend(record.panel.iter().map(|reviewer| {
        let ruling =
            ruling_of(row, reviewer).map_or_else(|| "has not ruled".to_owned(), |ruling| format!("ruled {ruling}"));
        format!("    panel: {} {ruling}", names.of(reviewer))
    }));
    lines
}

fn ruling_of(row: &ClaimRow, reviewer: &AccountId) -> Option<Ruling> {
    if row.record.for_worker.contains(reviewer) {
        return Some(Ruling::Pay);
    }
    row.record.for_opener.contains(reviewer).then_some(Ruling::Refuse)
}

fn list(session: &Session, panel: Option<&str>) -> Result<()> {
    let panel = panel.map(|text| session.account(text)).transpose()?;
    let mut answer: ClaimsAnswer = session.client()?.get("/v1/claims")?;
    answer.claims.retain(|row| {
        panel.as_ref().is_none_or(|account| row.record.panel.contains(account) && ruling_of(row, account).is_none())
    });
    if session.wants_json() {
        return json(&answer);
    }
    if answer.claims.is_empty() {
        line(if panel.is_some() { "No ruling of this account is waited for." } else { "No claim is undecided." });
        return Ok(());
    }
    let names = session.names();
    let cells = answer.claims.iter().map(|row| {
        let rulings = row.record.for_worker.len() + row.record.for_opener.len();
        let stands = match row.record.status {
            ClaimStatus::Disputed => format!("disputed, {rulings} of {} ruled", row.record.panel.len()),
            _ => "may be disputed".to_owned(),
        };
        vec![
            row.escrow.to_string(),
            row.record.claimed.part().to_string(),
            stands,
            format!("{} ({})", from_now(answer.time, row.ends), units::utc(row.ends)),
            names.of(&row.record.worker),
        ]
    });
    line(table(&["escrow", "part", "stands", "ends", "worker"], &[1], cells.collect()));
    if answer.is_cut {
        line("There are more claims than are shown here.");
    }
    Ok(())
}
