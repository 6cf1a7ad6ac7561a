//! `mesh30k gov seat | unseat | validators`: who validates, and votes on it.

use anyhow::Result;
use clap::Args;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::ops::{ProposalKind, SeatChange};
use mesh30k_ledger::types::NodeId;
use mesh30k_node::api::types::ValidatorsAnswer;

use crate::output::{json, line, table};
use crate::session::Session;

/// Who is to validate.
#[derive(Args)]
pub(crate) struct SeatArgs {
    /// Number of the node; it must have bonded as validator.
    node: NodeId,
    /// Its validator key, as `mesh30k node identity` shows it on its machine.
    validator_key: PublicKey,
    #[command(flatten)]
    by: Proposer,
}

/// Whose seat is to be taken.
#[derive(Args)]
pub(crate) struct UnseatArgs {
    /// Number of the node.
    node: NodeId,
    #[command(flatten)]
    by: Proposer,
}

#[derive(Args)]
struct Proposer {
    /// One line saying what it is for; says what is proposed when it is not given.
    #[arg(long)]
    title: Option<String>,
    /// The key that proposes and leaves the deposit.
    #[arg(long)]
    key: String,
}

pub(super) fn seat(session: &Session, args: SeatArgs) -> Result<()> {
    let SeatArgs { node, validator_key, by } = args;
    let title = by.title.unwrap_or_else(|| format!("a validator's seat for node {node}"));
    super::open(session, title, ProposalKind::Seat(SeatChange { node, key: Some(validator_key) }), &by.key)
}

pub(super) fn unseat(session: &Session, args: UnseatArgs) -> Result<()> {
    let UnseatArgs { node, by } = args;
    let title = by.title.unwrap_or_else(|| format!("no validator's seat for node {node}"));
    super::open(session, title, ProposalKind::Seat(SeatChange { node, key: None }), &by.key)
}

pub(super) fn validators(session: &Session) -> Result<()> {
    let answer: ValidatorsAnswer = session.client()?.get("/v1/validators")?;
    if session.wants_json() {
        return json(&answer);
    }
    line(format!(
        "epoch {}  {} validators, {} of them make a block final",
        answer.epoch,
        answer.validators.len(),
        answer.quorum
    ));
    let cells = answer.validators.iter().map(|row| {
        vec![row.node.to_string(), row.account.to_string(), row.bonded_uftns.to_string(), row.validator_key.to_string()]
    });
    line(table(&["node", "account", "bonded", "validator key"], &[0, 2], cells.collect()));
    if let Some(next) = answer.next {
        let nodes: Vec<String> = next.iter().map(ToString::to_string).collect();
        line(format!("from the block after the next on: nodes {}", nodes.join(", ")));
    }
    Ok(())
}
