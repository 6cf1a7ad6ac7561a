//! `mesh30k carbon saving`: savings that reviewers attest, and that credits are issued for.

use anyhow::Result;
use clap::Subcommand;
use mesh30k_ledger::ops::{AttestSaving, ClaimSaving, Operation};
use mesh30k_node::api::types::SavingsAnswer;
use mesh30k_testnet::carbon::{self as units, CarbonMass};

use crate::exit::UsageError;
use crate::output::{hash_of, json, line, table};
use crate::session::Session;

/// Savings against a registered baseline; attested ones are credited.
#[derive(Subcommand)]
pub(crate) enum Saving {
    /// Claim a saving; reviewers attest it before any credit is issued.
    #[command(after_help = "Example: mesh30k carbon saving claim measured.csv --baseline 5kg --actual 2kg --key alice")]
    Claim {
        /// What proves it, once on the whole ledger: a hash, or a file that is hashed.
        evidence: String,
        /// What it would have been: a number with t, kg, g, mg or ug.
        #[arg(long)]
        baseline: CarbonMass,
        /// What it was.
        #[arg(long)]
        actual: CarbonMass,
        /// Whose saving it is.
        #[arg(long)]
        key: String,
    },
    /// Say, as a reviewer, that a saving is real; the last word needed issues its credits.
    #[command(after_help = "Example: mesh30k carbon saving attest \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key keys/account.key")]
    Attest {
        /// The evidence it was claimed with: a hash, or the file itself.
        evidence: String,
        /// The reviewer's key.
        #[arg(long)]
        key: String,
    },
    /// Savings that were claimed, and which of them were credited.
    #[command(after_help = "Example: mesh30k carbon saving list")]
    List,
}

impl Saving {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Claim { evidence, baseline, actual, key } => {
                if baseline.0 <= actual.0 {
                    let text = format!("--baseline is {baseline}, --actual {actual}: nothing was saved");
                    return Err(UsageError(text).into());
                }
                let evidence = hash_of(&evidence)?;
                let op = ClaimSaving { evidence, baseline_ug: baseline.0, actual_ug: actual.0 };
                let saved = units::carbon(baseline.0 - actual.0);
                session.done(&key, Operation::ClaimSaving(op), &format!("saving of {saved} claimed with {evidence}"))
            }
            Self::Attest { evidence, key } => {
                let op = AttestSaving { evidence: hash_of(&evidence)? };
                session.told(&key, Operation::AttestSaving(op))
            }
            Self::List => list(session),
        }
    }
}

fn list(session: &Session) -> Result<()> {
    let answer: SavingsAnswer = session.client()?.get("/v1/carbon/savings")?;
    if session.wants_json() {
        return json(&answer);
    }
    if answer.savings.is_empty() {
        line("No saving was claimed.");
        return Ok(());
    }
    let names = session.names();
    let cells = answer.savings.iter().map(|saving| {
        let stands = saving.issued_at.map_or_else(
            || format!("{} of {} words", saving.attested_by.len(), answer.needed),
            |at| format!("credited {}", units::utc(at)),
        );
        vec![
            saving.evidence.to_string(),
            units::carbon(saving.baseline_ug),
            units::carbon(saving.actual_ug),
            units::carbon(saving.baseline_ug.saturating_sub(saving.actual_ug)),
            stands,
            names.of(&saving.account),
        ]
    });
    line(table(&["evidence", "baseline", "actual", "saved", "stands", "by"], &[1, 2, 3], cells.collect()));
    if answer.is_cut {
        line("There are more savings than are shown here.");
    }
    Ok(())
}
