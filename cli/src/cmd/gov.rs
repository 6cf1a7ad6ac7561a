//! `mesh30k gov`: propose and vote.

mod kinds;
mod seats;

use anyhow::Result;
use clap::Subcommand;
use mesh30k_ledger::ops::{Choice, Operation, ParameterChange, ProposalKind, Propose, Vote};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::types::ProposalId;
use mesh30k_node::api::types::{ParameterRow, ProposalRow};

use crate::exit::UsageError;
use crate::output::{json, line, or_dash, table};
use crate::session::{FINAL_TIMEOUT, Session};

/// Propose and vote.
#[derive(Subcommand)]
pub(crate) enum Gov {
    /// Propose new values of parameters.
    #[command(after_help = "Example: mesh30k gov propose \"more time to arm\" hold_margin_ms=40 --key alice")]
    Propose {
        /// One line saying what it is for.
        title: String,
        /// Parameters and their new values, NAME=VALUE; `mesh30k gov parameters` lists them.
        #[arg(required = true, value_name = "NAME=VALUE")]
        changes: Vec<String>,
        /// The key that proposes and leaves the deposit.
        #[arg(long)]
        key: String,
    },
    /// Propose a new term of 90 days in an office.
    #[command(after_help = "Example: mesh30k gov appoint reviewer bob --key alice")]
    Appoint(kinds::OfficeArgs),
    /// Propose that somebody holds an office no longer.
    #[command(after_help = "Example: mesh30k gov dismiss reviewer bob --title \"bob retires\" --key alice")]
    Dismiss(kinds::OfficeArgs),
    /// Propose to import carbon credits that a registry outside has retired in favour of this ledger.
    #[command(
        after_help = "Example: mesh30k gov import-credits 2.5t bob --source \"Registry X, serial 1-2500\" --key alice"
    )]
    ImportCredits(kinds::ImportArgs),
    /// Propose a validator's seat for a node, or a new key for the one it has; takes two thirds of yes.
    #[command(
        after_help = "Example: mesh30k gov seat 5 6b23c0d5f35d1b11f9b683f0b0a617355deb11277d91ae091d399c655b87940d --key alice"
    )]
    Seat(seats::SeatArgs),
    /// Propose that a node validates no longer; takes two thirds of yes.
    #[command(after_help = "Example: mesh30k gov unseat 2 --title \"node 2 retires\" --key alice")]
    Unseat(seats::UnseatArgs),
    /// Who validates, and what they have bonded.
    #[command(after_help = "Example: mesh30k gov validators")]
    Validators,
    /// Who holds which office, and until when.
    #[command(after_help = "Example: mesh30k gov offices")]
    Offices,
    /// Vote; may be changed until voting ends.
    #[command(after_help = "Example: mesh30k gov vote 1 yes --key alice")]
    Vote {
        /// Number of the proposal.
        proposal: ProposalId,
        /// yes, no, abstain or no-with-veto.
        choice: Choice,
        /// The key that votes.
        #[arg(long)]
        key: String,
    },
    /// One proposal with its tally.
    #[command(after_help = "Example: mesh30k gov show 1")]
    Show {
        /// Its number.
        proposal: ProposalId,
    },
    /// All proposals.
    #[command(after_help = "Example: mesh30k gov list")]
    List,
    /// The parameters in force, with their bounds.
    #[command(after_help = "Example: mesh30k gov parameters")]
    Parameters,
}

impl Gov {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Propose { title, changes, key } => propose(session, title, &changes, &key),
            Self::Appoint(args) => kinds::office(session, args, true),
            Self::Dismiss(args) => kinds::office(session, args, false),
            Self::ImportCredits(args) => kinds::import_credits(session, args),
            Self::Seat(args) => seats::seat(session, args),
            Self::Unseat(args) => seats::unseat(session, args),
            Self::Validators => seats::validators(session),
            Self::Offices => kinds::offices(session),
            Self::Vote { proposal, choice, key } => {
                let said = format!("voted {choice} on proposal {proposal}");
                session.done(&key, Operation::Vote(Vote { proposal, choice }), &said)
            }
            Self::Show { proposal } => show(session, proposal),
            Self::List => list(session),
            Self::Parameters => parameters(session),
        }
    }
}

fn propose(session: &Session, title: String, changes: &[String], key: &str) -> Result<()> {
    let changes = changes.iter().map(|text| change(text)).collect::<Result<Vec<_>>>()?;
    open(session, title, ProposalKind::Parameter(changes), key)
}

/// Opens a vote.
fn open(session: &Session, title: String, kind: ProposalKind, key: &str) -> Result<()> {
    let row = session.wallet(key)?.execute(Operation::Propose(Propose { title, kind }), FINAL_TIMEOUT)?;
    if session.wants_json() {
        return json(&row);
    }
    line(format!("proposed {}: final in block {}; voting is open", row.created.join(", "), or_dash(row.height)));
    Ok(())
}

fn change(text: &str) -> Result<ParameterChange> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| UsageError(format!("`{text}` is not of the form NAME=VALUE")))?;
    let parameter: Parameter = name.parse().map_err(|error| UsageError(format!("{error}")))?;
    let value = value.parse().map_err(|_| UsageError(format!("`{value}` is no whole number, in `{text}`")))?;
    Ok(ParameterChange { parameter, value })
}

fn show(session: &Session, proposal: ProposalId) -> Result<()> {
    let row: ProposalRow = session.client()?.get(&format!("/v1/proposals/{proposal}"))?;
    if session.wants_json() {
        return json(&row);
    }
    line(format!("proposal {}  {}  {}", row.proposal, row.status, row.title));
    for change in &row.changes {
        line(format!("  {change}"));
    }
    if let Some(reason) = &row.reason {
        line(format!("  {reason}"));
    }
    line(format!(
        "  yes {}  no {}  abstain {}  veto {}  of {} (uFTNS of voting power)",
        row.yes, row.no, row.abstain, row.veto, row.total
    ));
    Ok(())
}

fn list(session: &Session) -> Result<()> {
    let rows: Vec<ProposalRow> = session.client()?.get("/v1/proposals")?;
    if session.wants_json() {
        return json(&rows);
    }
    let rows = rows
        .into_iter()
        .map(|row| vec![row.proposal.to_string(), row.status, row.title, row.changes.join(", ")])
        .collect();
    line(table(&["proposal", "status", "title", "changes"], &[0], rows));
    Ok(())
}

fn parameters(session: &Session) -> Result<()> {
    let rows: Vec<ParameterRow> = session.client()?.get("/v1/parameters")?;
    if session.wants_json() {
        return json(&rows);
    }
    let rows = rows
        .into_iter()
        .map(|row| vec![row.name, row.value.to_string(), row.min.to_string(), row.max.to_string()])
        .collect();
    line(table(&["parameter", "value", "least", "most"], &[1, 2, 3], rows));
    Ok(())
}
