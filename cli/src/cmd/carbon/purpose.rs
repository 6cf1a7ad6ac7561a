//! `mesh30k carbon purpose`: what a task is for.

use anyhow::Result;
use clap::Subcommand;
use mesh30k_ledger::ops::{DeclarePurpose, Operation, ReclassifyPurpose};
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::types::EscrowId;
use mesh30k_node::api::types::EscrowAnswer;

use crate::output::{json, line};
use crate::session::Session;

/// What a task is for: declared by its requester, corrected by reviewers.
#[derive(Subcommand)]
pub(crate) enum PurposeCommand {
    /// Say, once, what an open task of yours is for; a false word costs money and reputation.
    #[command(after_help = "Example: mesh30k carbon purpose declare \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e disaster-response --key alice")]
    Declare {
        /// The task's escrow.
        escrow: EscrowId,
        /// climate-adaptation, disaster-response, renewable-optimisation, sustainable-agriculture, climate-science, education,
        /// general-research, luxury or proof-of-work.
        purpose: Purpose,
        /// The key that opened the escrow.
        #[arg(long)]
        key: String,
    },
    /// Say, as a reviewer, that a task is for something else; enough alike replace what was declared.
    #[command(after_help = "Example: mesh30k carbon purpose reclassify \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e luxury --key keys/account.key")]
    Reclassify {
        /// The task's escrow.
        escrow: EscrowId,
        /// What it is for in truth.
        purpose: Purpose,
        /// The reviewer's key.
        #[arg(long)]
        key: String,
    },
    /// What a task is for, and who says otherwise.
    #[command(after_help = "Example: mesh30k carbon purpose show \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e")]
    Show {
        /// The task's escrow.
        escrow: EscrowId,
    },
}

impl PurposeCommand {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Declare { escrow, purpose, key } => {
                session.told(&key, Operation::DeclarePurpose(DeclarePurpose { escrow, purpose }))
            }
            Self::Reclassify { escrow, purpose, key } => {
                session.told(&key, Operation::ReclassifyPurpose(ReclassifyPurpose { escrow, purpose }))
            }
            Self::Show { escrow } => show(session, &escrow),
        }
    }
}

fn show(session: &Session, escrow: &EscrowId) -> Result<()> {
    let answer: EscrowAnswer = session.client()?.get(&format!("/v1/escrows/{escrow}"))?;
    if session.wants_json() {
        return json(&answer.purpose);
    }
    let names = session.names();
    let Some(purpose) = &answer.purpose else {
        line(format!("nothing was declared for {escrow}; it counts as {}", Purpose::GeneralResearch));
        return Ok(());
    };
    line(format!("task of escrow {escrow} counts as {}", purpose.in_force));
    if purpose.declared != purpose.in_force {
        line(format!("  {} declared {}; reviewers said otherwise", names.of(&answer.escrow.opener), purpose.declared));
    }
    for (reviewer, word) in &purpose.words {
        line(format!("  {} says {word}", names.of(reviewer)));
    }
    if purpose.false_claim {
        line("  its requester paid for having put it too high");
    }
    if let Some(draw) = &answer.draw {
        line(format!("  {} units of quota of {} less urgent tasks are lent to it", draw.units(), draw.taken.len()));
    }
    Ok(())
}
