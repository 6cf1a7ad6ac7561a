//! Outcomes of transactions as sentences, and the ids they made.

use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::types::{Height, TxId};

use super::types::TransactionRow;
use crate::ledger::TxStatus;

/// A transaction as far as it has come.
pub(super) fn transaction_row(id: TxId, status: TxStatus) -> TransactionRow {
    let row = |status: &str, height: Option<Height>| TransactionRow {
        id,
        status: status.to_owned(),
        height,
        outcome: None,
        succeeded: None,
        fee_uftns: None,
        created: Vec::new(),
    };
    match status {
        TxStatus::Unknown => row("unknown", None),
        TxStatus::Accepted => row("accepted", None),
        TxStatus::Ordered(height) => row("ordered", Some(height)),
        TxStatus::Final(height, outcome) => TransactionRow {
            outcome: Some(sentence(&outcome)),
            succeeded: Some(outcome.is_executed()),
            fee_uftns: Some(outcome.fee()),
            created: created(&outcome),
            ..row("final", Some(height))
        },
    }
}

/// What became of it.
pub(super) fn sentence(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Rejected { rejection, .. } => rejection.to_string(),
        Outcome::Executed { effect, .. } => effect_sentence(effect),
    }
}

fn effect_sentence(effect: &Effect) -> String {
    match effect {
        Effect::Transferred { amount, transfers: 1 } => format!("{amount} transferred"),
        Effect::Transferred { amount, transfers } => format!("{amount} transferred to {transfers} receivers"),
        Effect::EscrowOpened { escrow, locked } => format!("{locked} locked in escrow {escrow}"),
        Effect::PartReleased { part, worker, price, returned, .. } => format!(
            "part {part} paid: {} to {worker}, {} for carbon, {} in all, {returned} returned",
            price.base, price.carbon, price.total
        ),
        Effect::HostRegistered { node, agents, sector, .. } => match sector {
            Some(sector) => format!("node {node} registered with {agents} agents in sector {sector}"),
            None => format!("node {node} registered"),
        },
        Effect::Proposed { proposal, voting_ends } => {
            format!("proposal {proposal} opened, counted at {voting_ends} ms")
        }
        Effect::Voted { proposal, weight } => format!("vote on proposal {proposal} counted with {weight}"),
        Effect::Frozen { scope, until } => format!("{scope} frozen until {until} ms"),
        Effect::Thawed { scope } => format!("{scope} thawed"),
    }
}

/// Ids of what it made.
fn created(outcome: &Outcome) -> Vec<String> {
    let Outcome::Executed { effect, .. } = outcome else { return Vec::new() };
    match effect {
        Effect::EscrowOpened { escrow, .. } => vec![escrow.to_string()],
        Effect::Proposed { proposal, .. } => vec![proposal.to_string()],
        Effect::HostRegistered { node, .. } => vec![node.to_string()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::rejection::Rejection;
    use mesh30k_ledger::types::{Hash, ProposalId, TimeMs, Uftns};

    #[test]
    fn what_was_made_is_named_and_what_was_refused_says_why() {
        let effect = Effect::Proposed { proposal: ProposalId(3), voting_ends: TimeMs(9) };
        let outcome = Outcome::Executed { fee: Uftns(60), effect };
        let row = transaction_row(Hash::ZERO, TxStatus::Final(Height(7), outcome));
        assert_eq!((row.created, row.succeeded, row.height), (vec!["3".to_owned()], Some(true), Some(Height(7))));
        let outcome = Outcome::Rejected { fee: Uftns(10), rejection: Rejection::ZeroAmount };
        let row = transaction_row(Hash::ZERO, TxStatus::Final(Height(7), outcome));
        assert_eq!((row.succeeded, row.fee_uftns), (Some(false), Some(Uftns(10))));
        assert_eq!(row.outcome, Some(Rejection::ZeroAmount.to_string()));
    }
}
