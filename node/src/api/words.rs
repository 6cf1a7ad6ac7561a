//! Outcomes of transactions as sentences, and the ids they made.

use mesh30k_ledger::outcome::Outcome;
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
            outcome: Some(outcome.sentence()),
            succeeded: Some(outcome.is_executed()),
            fee_uftns: Some(outcome.fee()),
            created: created(&outcome),
            ..row("final", Some(height))
        },
    }
}

/// Ids of what it made.
fn created(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Executed { effect, .. } => effect.created(),
        Outcome::Rejected { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::outcome::Effect;
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
