//! `mesh30k ledger`: balances, payments, receipts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::types::{AccountId, ChainId, Height, TxId, Uftns};
use mesh30k_node::api::types::{AccountRow, TransactionRow};
use serde::Serialize;

use crate::output::{json, line, or_dash, table};
use crate::session::Session;

/// How long to wait for a payment to be final.
const FINAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Balances, payments, receipts.
#[derive(Subcommand)]
pub(crate) enum Ledger {
    /// What an account holds.
    #[command(after_help = "Example: mesh30k ledger balance alice")]
    Balance {
        /// An account (ftns1...) or the name of a key.
        account: String,
    },
    /// Pay somebody; waits until it is final.
    #[command(after_help = "Example: mesh30k ledger send 12.5 bob --from alice --memo lunch")]
    Send {
        /// How much, in FTNS.
        amount: Uftns,
        /// An account (ftns1...) or the name of a key.
        to: String,
        /// The key that pays and signs.
        #[arg(long)]
        from: String,
        /// A note of at most 128 bytes.
        #[arg(long, default_value = "")]
        memo: String,
    },
    /// The last transactions of an account.
    #[command(after_help = "Example: mesh30k ledger history alice --limit 5")]
    History {
        /// An account (ftns1...) or the name of a key.
        account: String,
        /// Rows at most.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// How far a transaction has come.
    #[command(after_help = "Example: mesh30k ledger show \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e")]
    Show {
        /// Its id.
        id: TxId,
    },
    /// Fetch the receipt of a final transaction, to keep and to show to others.
    #[command(after_help = "Example: mesh30k ledger receipt \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e > receipt.json")]
    Receipt {
        /// Its id.
        id: TxId,
    },
    /// Check a receipt offline: asks nobody, trusts only the genesis.
    #[command(after_help = "Example: mesh30k ledger verify receipt.json --genesis genesis.json")]
    Verify {
        /// The receipt.
        receipt: PathBuf,
        /// The genesis of its chain.
        #[arg(long)]
        genesis: PathBuf,
    },
}

/// What a valid receipt proves.
#[derive(Serialize)]
struct Proven {
    id: TxId,
    height: Height,
    chain: ChainId,
    is_executed: bool,
    rejection: Option<String>,
}

impl Ledger {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Balance { account } => balance(session, &account),
            Self::Send { amount, to, from, memo } => send(session, amount, &to, &from, memo),
            Self::History { account, limit } => history(session, &account, limit),
            Self::Show { id } => show(session, id),
            Self::Receipt { id } => json(&session.client()?.get::<Receipt>(&format!("/v1/receipts/{id}"))?),
            Self::Verify { receipt, genesis } => verify(session, &receipt, &genesis),
        }
    }
}

fn balance(session: &Session, account: &str) -> Result<()> {
    let account = session.account(account)?;
    let row: AccountRow = session.client()?.get(&format!("/v1/accounts/{account}"))?;
    if session.wants_json() {
        return json(&row);
    }
    line(format!("{}  {}  (final, block {})", row.account, row.balance_uftns, row.height));
    Ok(())
}

fn send(session: &Session, amount: Uftns, to: &str, from: &str, memo: String) -> Result<()> {
    let to = session.account(to)?;
    let row = session.wallet(from)?.execute(Operation::Transfer(Transfer { to, amount, memo }), FINAL_TIMEOUT)?;
    if session.wants_json() {
        return json(&row);
    }
    line(format!("sent {amount} to {to}: final in block {}, id {}", or_dash(row.height), row.id));
    Ok(())
}

fn history(session: &Session, account: &str, limit: usize) -> Result<()> {
    let account: AccountId = session.account(account)?;
    let rows: Vec<TransactionRow> = session.client()?.get(&format!("/v1/accounts/{account}/history?limit={limit}"))?;
    if session.wants_json() {
        return json(&rows);
    }
    let rows = rows
        .into_iter()
        .map(|row| {
            vec![
                or_dash(row.height),
                row.id.to_string(),
                or_dash(row.fee_uftns.map(|fee| fee.0)),
                row.outcome.unwrap_or_default(),
            ]
        })
        .collect();
    line(table(&["block", "transaction", "fee uFTNS", "outcome"], &[0, 2], rows));
    Ok(())
}

fn show(session: &Session, id: TxId) -> Result<()> {
    let row: TransactionRow = session.client()?.get(&format!("/v1/transactions/{id}"))?;
    if session.wants_json() {
        return json(&row);
    }
    line(format!("{}: {} in block {}, {}", row.id, row.status, or_dash(row.height), row.outcome.unwrap_or_default()));
    Ok(())
}

fn verify(session: &Session, receipt: &Path, genesis: &Path) -> Result<()> {
    let genesis: Genesis = read_json(genesis)?;
    let receipt: Receipt = read_json(receipt)?;
    receipt.verify(&genesis).context("the receipt proves nothing")?;
    let proven = Proven {
        id: receipt.id(),
        height: receipt.header.height,
        chain: genesis.chain,
        is_executed: receipt.outcome.is_executed(),
        rejection: receipt.outcome.rejection().map(ToString::to_string),
    };
    if session.wants_json() {
        return json(&proven);
    }
    line(format!(
        "valid: transaction {} is final in block {} of chain {} and was {}",
        proven.id,
        proven.height,
        proven.chain,
        proven.rejection.as_ref().map_or_else(|| "executed".to_owned(), |why| format!("rejected: {why}"))
    ));
    Ok(())
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what was expected", path.display()))
}
