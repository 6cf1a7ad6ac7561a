//! `mesh30k ledger evidence`: what a node holds against validators.

use anyhow::Result;
use mesh30k_node::ledger::{EvidenceRow, EvidenceSort, EvidenceState};

use crate::output::{json, line, or_dash, table};
use crate::session::Session;

pub(super) fn show(session: &Session, hex: bool) -> Result<()> {
    let rows: Vec<EvidenceRow> = session.client()?.get("/v1/evidence")?;
    if session.wants_json() {
        return json(&rows);
    }
    if rows.is_empty() {
        line("This node holds nothing against any validator.");
        return Ok(());
    }
    let cells = rows.iter().map(|row| {
        vec![row.height.to_string(), or_dash(row.culprit), sort(row.sort).to_owned(), state(row), row.tries.to_string()]
    });
    line(table(&["height", "validator", "what", "state", "tries"], &[0, 1, 4], cells.collect()));
    if hex {
        for row in &rows {
            line(format!("{} {}", row.height, row.evidence_hex));
        }
    }
    Ok(())
}

const fn sort(sort: EvidenceSort) -> &'static str {
    match sort {
        EvidenceSort::DoubleVote => "two votes at one height",
        EvidenceSort::DoubleHeader => "two blocks proposed at one height",
        EvidenceSort::RefutedVote => "a vote that execution here refutes",
        EvidenceSort::RefutedCertificate => "a certified result that execution here refutes",
        EvidenceSort::ConflictingFinals => "two certificates at one height",
        EvidenceSort::NoQuorum => "votes too divided to certify anything",
    }
}

fn state(row: &EvidenceRow) -> String {
    match row.state {
        EvidenceState::Waiting => "waits to be brought before the ledger".to_owned(),
        EvidenceState::Punished(by) => format!("punished by {}", by.short()),
        EvidenceState::GivenUp => "the ledger did not take it; a restart tries again".to_owned(),
        EvidenceState::ForOperators => "for operators to judge".to_owned(),
    }
}
