//! `mesh30k stake`: what accounts answer with for what they do.

mod prove;

use anyhow::Result;
use clap::{Args, Subcommand};
use mesh30k_ledger::ops::{Bond, Operation, Unbond};
use mesh30k_ledger::records::Duty;
use mesh30k_ledger::types::{AccountId, TimeMs, Uftns};
use mesh30k_node::api::types::{StakeAnswer, StakeRow};
use mesh30k_testnet::carbon::utc;

use crate::output::{json, line, or_dash, table};
use crate::session::{FINAL_TIMEOUT, Session};
use crate::when::Span;

/// Pages of accounts that are fetched, at most.
const PAGES_MAX: usize = 20;

/// What accounts answer with for what they do.
#[derive(Subcommand)]
pub(crate) enum Stake {
    /// What an account or a node answers with, and what of it is on its way out.
    #[command(after_help = "Examples:\n  mesh30k stake show alice\n  mesh30k stake show node:2")]
    Show {
        /// An account (ftns1...), the name of a key, or node:N.
        owner: String,
    },
    /// Everybody who answers with something.
    #[command(after_help = "Example: mesh30k stake list")]
    List,
    /// Set free money aside to answer for a duty.
    #[command(
        after_help = "Examples:\n  mesh30k stake add 20 --duty host --key alice\n  mesh30k stake add 100 --duty \
                      validator --key keys/account.key"
    )]
    Add(StakeArgs),
    /// Ask money back; it is free after the unbonding time and answers until then.
    #[command(after_help = "Example: mesh30k stake withdraw 5 --duty host --key alice")]
    Withdraw(StakeArgs),
    /// Show that a validator voted twice at one height: it loses part of its bond, and you get part of that.
    #[command(
        after_help = "Examples:\n  mesh30k stake prove halted.json --key alice\n  mesh30k stake prove votes.json --key alice"
    )]
    Prove(prove::ProveArgs),
}

/// How much of what.
#[derive(Args)]
pub(crate) struct StakeArgs {
    /// How much, in FTNS.
    amount: Uftns,
    /// What it answers for: host (receipts and deliveries claimed), validator (votes) or reviewer (rulings).
    #[arg(long)]
    duty: Duty,
    /// The key of whose money it is; a node's is in its data folder.
    #[arg(long)]
    key: String,
}

impl Stake {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Show { owner } => show(session, &owner),
            Self::List => list(session),
            Self::Add(args) => add(session, &args),
            Self::Withdraw(args) => withdraw(session, &args),
            Self::Prove(args) => prove::prove(session, &args),
        }
    }
}

fn add(session: &Session, args: &StakeArgs) -> Result<()> {
    let StakeArgs { amount, duty, key } = args;
    let wallet = session.wallet(key)?;
    let row = wallet.execute(Operation::Bond(Bond { duty: *duty, amount: *amount }), FINAL_TIMEOUT)?;
    if session.wants_json() {
        return json(&row);
    }
    let answer = fetch(session, &wallet.account().to_string())?;
    let bonded = answer.stake.record.bonded.get(duty).copied().unwrap_or_default();
    line(format!("{amount} set aside, {bonded} as {duty} in all: final in block {}", or_dash(row.height)));
    Ok(())
}

fn withdraw(session: &Session, args: &StakeArgs) -> Result<()> {
    let StakeArgs { amount, duty, key } = args;
    let wallet = session.wallet(key)?;
    let row = wallet.execute(Operation::Unbond(Unbond { duty: *duty, amount: *amount }), FINAL_TIMEOUT)?;
    if session.wants_json() {
        return json(&row);
    }
    let answer = fetch(session, &wallet.account().to_string())?;
    // The last one that was begun ends last.
    let until = answer.stake.record.unbonding.iter().map(|part| part.until).max();
    line(format!("{amount} asked back: final in block {}", or_dash(row.height)));
    match until {
        Some(until) => line(format!("  answers as {duty} until {}", ahead(until, answer.time))),
        None => line("  and free by now"),
    }
    Ok(())
}

fn fetch(session: &Session, owner: &str) -> Result<StakeAnswer> {
    Ok(session.client()?.get(&format!("/v1/stakes/{owner}"))?)
}

/// An instant, and how far ahead it is.
fn ahead(until: TimeMs, now: TimeMs) -> String {
    format!("{}, in {}", utc(until), Span::of_ms(until.0.saturating_sub(now.0)))
}

fn show(session: &Session, owner: &str) -> Result<()> {
    let owner = if owner.starts_with("node:") { owner.to_owned() } else { session.account(owner)?.to_string() };
    let answer = fetch(session, &owner)?;
    if session.wants_json() {
        return json(&answer);
    }
    let StakeRow { account, node, record } = &answer.stake;
    let node = node.map_or_else(String::new, |node| format!(", node {node}"));
    line(format!("account {account}{node}, {} free", answer.free_uftns));
    if record.bonded.is_empty() && record.unbonding.is_empty() {
        line("  answers with nothing");
    } else {
        let bonded = record.bonded.iter().map(|(duty, amount)| (*duty, *amount, "bonded".to_owned()));
        let leaving = record.unbonding.iter();
        let leaving =
            leaving.map(|part| (part.duty, part.amount, format!("free at {}", ahead(part.until, answer.time))));
        let mut rows: Vec<(Duty, Uftns, String)> = bonded.chain(leaving).collect();
        rows.sort_by_key(|(duty, ..)| *duty);
        let cells = rows.into_iter().map(|(duty, amount, state)| vec![duty.to_string(), amount.to_string(), state]);
        line(table(&["duty", "amount", ""], &[1], cells.collect()));
    }
    if !record.slashed.is_zero() {
        line(format!("  {} lost as penalties so far", record.slashed));
    }
    line(format!("Money that is asked back answers for another {}.", Span::of_ms(answer.unbonding_ms)));
    Ok(())
}

fn list(session: &Session) -> Result<()> {
    let client = session.client()?;
    let mut rows: Vec<StakeRow> = Vec::new();
    let mut is_cut = true;
    for _ in 0..PAGES_MAX {
        let from = rows.last().map_or(AccountId([0; 20]), |row| row.account);
        let page: Vec<StakeRow> = client.get(&format!("/v1/stakes?from={from}"))?;
        let more = page.into_iter().filter(|row| rows.last().is_none_or(|last| last.account != row.account));
        let more: Vec<StakeRow> = more.collect();
        if more.is_empty() {
            is_cut = false;
            break;
        }
        rows.extend(more);
    }
    if session.wants_json() {
        return json(&rows);
    }
    let mut cells = Vec::new();
    for StakeRow { account, node, record } in &rows {
        for duty in [Duty::Validator, Duty::Host, Duty::Reviewer] {
            let answering = record.answering(duty);
            let bonded = record.bonded.get(&duty).copied().unwrap_or_default();
            if !answering.is_zero() {
                let leaving = Uftns(answering.0.saturating_sub(bonded.0));
                let amounts = [answering.to_string(), leaving.to_string()];
                cells.push([vec![account.to_string(), or_dash(*node), duty.to_string()], amounts.to_vec()].concat());
            }
        }
    }
    if cells.is_empty() {
        line("Nobody answers with anything.");
        return Ok(());
    }
    line(table(&["account", "node", "duty", "answers with", "of it leaving"], &[1, 3, 4], cells));
    if is_cut {
        line("There are more accounts than are shown here.");
    }
    Ok(())
}
