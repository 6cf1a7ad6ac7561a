//! `mesh30k gov appoint | dismiss | import-credits | offices`: proposals beyond parameters.

use anyhow::Result;
use clap::Args;
use mesh30k_ledger::ops::{CreditImport, OfficeChange, ProposalKind};
use mesh30k_ledger::records::Office;
use mesh30k_node::api::types::OfficeRow;
use mesh30k_testnet::carbon::{CarbonMass, utc};

use crate::output::{json, line, or_dash, table};
use crate::session::Session;

/// Who is to hold which office, or no longer.
#[derive(Args)]
pub(crate) struct OfficeArgs {
    /// oracle, reviewer or guardian.
    office: Office,
    /// An account (ftns1...) or the name of a key.
    account: String,
    /// One line saying what it is for; says what is proposed when it is not given.
    #[arg(long)]
    title: Option<String>,
    /// The key that proposes and leaves the deposit.
    #[arg(long)]
    key: String,
}

/// Which credits are imported for whom.
#[derive(Args)]
pub(crate) struct ImportArgs {
    /// How much: a number with t, kg, g, mg or ug.
    amount: CarbonMass,
    /// Who receives them: an account (ftns1...) or the name of a key.
    to: String,
    /// Registry and serial numbers, at most 200 bytes.
    #[arg(long)]
    source: String,
    /// One line saying what it is for; says what is proposed when it is not given.
    #[arg(long)]
    title: Option<String>,
    /// The key that proposes and leaves the deposit.
    #[arg(long)]
    key: String,
}

pub(super) fn office(session: &Session, args: OfficeArgs, appointed: bool) -> Result<()> {
    let OfficeArgs { office, account: named, title, key } = args;
    let account = session.account(&named)?;
    let verb = if appointed { "appoint" } else { "dismiss" };
    let title = title.unwrap_or_else(|| format!("{verb} {named} as {office}"));
    super::open(session, title, ProposalKind::Office(OfficeChange { office, account, appointed }), &key)
}

pub(super) fn import_credits(session: &Session, args: ImportArgs) -> Result<()> {
    let ImportArgs { amount, to: named, source, title, key } = args;
    let to = session.account(&named)?;
    let title = title.unwrap_or_else(|| format!("import {amount} of carbon credits for {named}"));
    super::open(session, title, ProposalKind::CreditImport(CreditImport { to, amount_ug: amount.0, source }), &key)
}

pub(super) fn offices(session: &Session) -> Result<()> {
    let rows: Vec<OfficeRow> = session.client()?.get("/v1/offices")?;
    if session.wants_json() {
        return json(&rows);
    }
    if rows.is_empty() {
        line("Nobody holds an office.");
        return Ok(());
    }
    let cells = rows
        .into_iter()
        .map(|row| vec![row.office.to_string(), row.account.to_string(), or_dash(row.node), utc(row.until)])
        .collect();
    line(table(&["office", "account", "node", "until"], &[2], cells));
    Ok(())
}
