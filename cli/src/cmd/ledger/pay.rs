//! `mesh30k ledger pay`: many payments at once, all or none.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use mesh30k_ledger::ops::{BatchTransfer, Operation, TransferItem};
use mesh30k_ledger::types::Uftns;
use mesh30k_testnet::wallet::WalletError;
use serde::Serialize;

use crate::exit::UsageError;
use crate::output::{json, line, or_dash, table};
use crate::payments::{self, BadLines, Payment};
use crate::session::{FINAL_TIMEOUT, Session};

/// Largest file that is read: a thousand lines have room in a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Whom to pay.
#[derive(Args)]
pub(crate) struct PayArgs {
    /// The payments: lines of `ACCOUNT,AMOUNT` or of {"to":"ACCOUNT","amount":"12.5"}, 1,000 at most.
    file: PathBuf,
    /// The key that pays and signs.
    #[arg(long)]
    from: String,
    /// Only show what would be paid.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Planned {
    line: usize,
    to: String,
    amount_uftns: Uftns,
}

pub(super) fn pay(session: &Session, args: &PayArgs) -> Result<()> {
    let path = &args.file;
    let wrong = |bad_lines: BadLines| UsageError(format!("{}: {bad_lines}", path.display()));
    let payments = payments::read(&read(path)?).map_err(wrong)?;
    let transfers = resolve(session, &payments).map_err(wrong)?;
    let total = transfers.iter().try_fold(Uftns::ZERO, |sum, item| sum.checked_add(item.amount));
    let total =
        total.ok_or_else(|| UsageError(format!("{}: together it is more than there can be", path.display())))?;
    if args.dry_run {
        return plan(session, &payments, &transfers, total);
    }
    let count = transfers.len();
    let wallet = session.wallet(&args.from)?;
    let row = match wallet.execute(Operation::BatchTransfer(BatchTransfer { transfers }), FINAL_TIMEOUT) {
        Err(error @ WalletError::Rejected { .. }) => return Err(error).context("none of them was paid"),
        other => other?,
    };
    if session.wants_json() {
        return json(&row);
    }
    line(format!(
        "paid {total} in {count} payments, all at once: final in block {}, id {}",
        or_dash(row.height),
        row.id
    ));
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("{} can't be read", path.display()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(UsageError(format!("{} has more than {FILE_BYTES_MAX} bytes", path.display())).into());
    }
    Ok(text)
}

/// Finds the account of each.
fn resolve(session: &Session, payments: &[Payment]) -> Result<Vec<TransferItem>, BadLines> {
    let (mut transfers, mut bad_lines) = (Vec::new(), BadLines::default());
    for Payment { line, to, amount } in payments {
        match session.account(to) {
            Ok(to) => transfers.push(TransferItem { to, amount: *amount }),
            Err(error) => bad_lines.add(*line, crate::output::sentence(&error)),
        }
    }
    if bad_lines.is_empty() { Ok(transfers) } else { Err(bad_lines) }
}

fn plan(session: &Session, payments: &[Payment], transfers: &[TransferItem], total: Uftns) -> Result<()> {
    let rows = payments.iter().zip(transfers);
    if session.wants_json() {
        let planned = rows.map(|(payment, item)| Planned {
            line: payment.line,
            to: item.to.to_string(),
            amount_uftns: item.amount,
        });
        return json(&planned.collect::<Vec<_>>());
    }
    let cells =
        rows.map(|(payment, item)| vec![payment.line.to_string(), item.to.to_string(), item.amount.to_string()]);
    line(table(&["line", "to", "amount"], &[0, 2], cells.collect()));
    line(format!("{total} in {} payments; nothing was paid.", transfers.len()));
    Ok(())
}
