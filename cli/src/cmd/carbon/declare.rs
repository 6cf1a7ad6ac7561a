//! `mesh30k carbon region | renewable`: what accounts say of themselves, and who attests it.

use anyhow::Result;
use clap::Subcommand;
use mesh30k_ledger::ops::{Attest, Declare, Operation};
use mesh30k_ledger::records::Declared;
use mesh30k_ledger::types::{Hash, Region};
use mesh30k_node::api::types::DeclarationsAnswer;

use crate::output::{json, line, percent};
use crate::session::Session;

/// Where an account is.
#[derive(Subcommand)]
pub(crate) enum RegionCommand {
    /// Say where you are; it counts once enough reviewers or oracles attest it, and what was attested before counts no more.
    #[command(after_help = "Example: mesh30k carbon region declare KE --evidence \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key alice")]
    Declare {
        /// The country (ISO 3166 alpha-2).
        region: Region,
        /// Hash of the document that shows it, for those who attest.
        #[arg(long)]
        evidence: Hash,
        /// The key of the account.
        #[arg(long)]
        key: String,
    },
    /// Say, as reviewer or oracle, that an account is where it says.
    #[command(after_help = "Example: mesh30k carbon region attest alice KE --key keys/account.key")]
    Attest {
        /// An account (ftns1...) or the name of a key.
        account: String,
        /// The country it declared.
        region: Region,
        /// The key of a reviewer or an oracle.
        #[arg(long)]
        key: String,
    },
    /// What counts of what an account said of itself, and what waits.
    #[command(after_help = "Example: mesh30k carbon region show alice")]
    Show {
        /// An account (ftns1...) or the name of a key.
        account: String,
    },
}

/// What share of a node's energy is renewable.
#[derive(Subcommand)]
pub(crate) enum RenewableCommand {
    /// Say what share of your node's energy is renewable. More counts once it is attested, less at once.
    #[command(after_help = "Example: mesh30k carbon renewable declare 700000 --evidence \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key keys/account.key")]
    Declare {
        /// On site or by contract, the grid's own share aside; parts per million.
        #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
        share_ppm: u32,
        /// Hash of the contract or bill that shows it, for those who attest.
        #[arg(long)]
        evidence: Hash,
        /// The key of the node's account.
        #[arg(long)]
        key: String,
    },
    /// Say, as reviewer or oracle, that a node's share is what its owner says.
    #[command(after_help = "Example: mesh30k carbon renewable attest alice 700000 --key bob")]
    Attest {
        /// The account (ftns1...) of the node, or the name of a key.
        account: String,
        /// The share it declared, parts per million.
        #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
        share_ppm: u32,
        /// The key of a reviewer or an oracle.
        #[arg(long)]
        key: String,
    },
    /// What counts of what an account said of itself, and what waits.
    #[command(after_help = "Example: mesh30k carbon renewable show keys/account.key")]
    Show {
        /// An account (ftns1...) or the name of a key.
        account: String,
    },
}

impl RegionCommand {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Declare { region, evidence, key } => declare(session, Declared::Region(region), evidence, &key),
            Self::Attest { account, region, key } => attest(session, &account, Declared::Region(region), &key),
            Self::Show { account } => show(session, &account),
        }
    }
}

impl RenewableCommand {
    pub(super) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Declare { share_ppm, evidence, key } => {
                declare(session, Declared::RenewablePpm(share_ppm), evidence, &key)
            }
            Self::Attest { account, share_ppm, key } => {
                attest(session, &account, Declared::RenewablePpm(share_ppm), &key)
            }
            Self::Show { account } => show(session, &account),
        }
    }
}

fn declare(session: &Session, what: Declared, evidence: Hash, key: &str) -> Result<()> {
    session.done(key, Operation::Declare(Declare { what, evidence }), &format!("{what} declared"))
}

fn attest(session: &Session, account: &str, what: Declared, key: &str) -> Result<()> {
    let account = session.account(account)?;
    session.done(key, Operation::Attest(Attest { account, what }), &format!("{what} attested"))
}

fn show(session: &Session, account: &str) -> Result<()> {
    let account = session.account(account)?;
    let answer: DeclarationsAnswer = session.client()?.get(&format!("/v1/carbon/declarations/{account}"))?;
    if session.wants_json() {
        return json(&answer);
    }
    let list = if answer.has_access { "in the access list" } else { "not in the access list" };
    line(answer.region.map_or_else(
        || format!("{account}: no region is attested; it pays a premium and gets no discount"),
        |region| format!("{account}: {region} attested, {list}"),
    ));
    if let (Some(node), Some(share)) = (answer.node, answer.renewable_ppm) {
        line(format!("  node {node}: {} of its energy counts as renewable", percent(share)));
    }
    for waiting in &answer.waiting {
        let words = format!("{} of {} words", waiting.attested_by.len(), answer.needed);
        line(format!("  waits: {} ({words}; evidence {})", waiting.what, waiting.evidence));
    }
    Ok(())
}
