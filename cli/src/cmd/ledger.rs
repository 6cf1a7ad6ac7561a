//! `mesh30k ledger`: balances, payments, receipts.

mod anchor;
mod evidence;
mod pay;
mod schedule;

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::types::{AccountId, TxId, Uftns};
use mesh30k_node::api::types::{AccountRow, TransactionRow};
use mesh30k_node::archive::{self, Archived, History};

use crate::cmd::prove::{ProveArgs, verify};
use crate::cmd::recover::NodeArgs;
use crate::output::{json, line, or_dash, table};
use crate::session::{FINAL_TIMEOUT, Session};

/// Balances, payments, receipts.
#[derive(Subcommand)]
pub(crate) enum Ledger {
    /// What an account holds.
    #[command(after_help = "Example: mesh30k ledger balance alice")]
    Balance {
        /// An account (ftns1...) or the name of a key.
        account: String,
    },
    /// Pay somebody, at once or later; waits until it is final.
    #[command(
        after_help = "Examples:\n  mesh30k ledger send 12.5 bob --from alice --memo lunch\n  mesh30k ledger send 12.5 \
                            bob --from alice --at 2026-12-01T08:00Z\n  mesh30k ledger send 100 bob --from alice --at +1h \
                            --every 4w --times 12 --memo rent"
    )]
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
        #[command(flatten)]
        timing: schedule::Timing,
    },
    /// Pay up to 1,000 at once from a file, all or none.
    #[command(
        after_help = "Examples:\n  mesh30k ledger pay wages.csv --from alice --dry-run\n  mesh30k ledger pay wages.csv --from alice"
    )]
    Pay(pay::PayArgs),
    /// Payments to come.
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    /// Put the hash of a file on the ledger, and check later that the file is what it was.
    #[command(
        after_help = "Examples:\n  mesh30k ledger anchor report.pdf --key alice\n  mesh30k ledger anchor --check report.pdf\n  \
                      mesh30k ledger anchor --check report.pdf --genesis genesis.json"
    )]
    Anchor(anchor::AnchorArgs),
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
    /// Fetch the proof of what an account holds after the last final block, or that it does not exist, to keep and to show to others.
    #[command(after_help = "Example: mesh30k ledger prove alice --out proof.json")]
    Prove(ProveArgs),
    /// Check a receipt or a proof of state offline: asks nobody, trusts only the genesis.
    #[command(after_help = "Example: mesh30k ledger verify proof.json --genesis genesis.json")]
    Verify {
        /// What `ledger receipt` printed or `ledger prove` wrote.
        file: PathBuf,
        /// The genesis of its chain.
        #[arg(long)]
        genesis: PathBuf,
    },
    /// What a node holds against validators that broke the rules, and what the ledger made of it.
    #[command(after_help = "Examples:\n  mesh30k ledger evidence\n  mesh30k ledger evidence --hex")]
    Evidence {
        /// The bytes of each piece as well, so that others can check it.
        #[arg(long)]
        hex: bool,
    },
    /// Write a stopped node's ledger to a file: every block it keeps and the whole state, with the proof that they are final.
    #[command(
        after_help = "Examples:\n  mesh30k ledger export ledger.jsonl --config node.toml\n  mesh30k ledger export state.jsonl \
                      --state-only --config node.toml"
    )]
    Export {
        /// The file to write; one that is there is not overwritten.
        file: PathBuf,
        /// Leave the blocks out: whoever begins with the file has no receipts of before.
        #[arg(long)]
        state_only: bool,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Let a node that has only its genesis begin with an exported ledger instead of fetching every block.
    #[command(after_help = "Example: mesh30k ledger import ledger.jsonl --config node.toml")]
    Import {
        /// What `export` wrote, by whomever: it proves, from this node's genesis on, that it was certified.
        file: PathBuf,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Carry every block of a stopped node out again, compare it with what was certified, and write all movements of money as a
    /// double-entry journal that hledger reads.
    #[command(after_help = "Example: mesh30k ledger journal ledger.journal --config node.toml")]
    Journal {
        /// The file to write; one that is there is not overwritten.
        file: PathBuf,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl Ledger {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Balance { account } => balance(session, &account),
            Self::Send { amount, to, from, memo, timing } => {
                let order = schedule::Order { from: &from, to: session.account(&to)?, amount, memo };
                match timing.at() {
                    Some(at) => schedule::set(session, order, at, &timing),
                    None => send(session, order),
                }
            }
            Self::Pay(args) => pay::pay(session, &args),
            Self::Schedule(command) => command.run(session),
            Self::Anchor(args) => anchor::anchor(session, &args),
            Self::History { account, limit } => history(session, &account, limit),
            Self::Show { id } => show(session, id),
            Self::Receipt { id } => json(&session.client()?.get::<Receipt>(&format!("/v1/receipts/{id}"))?),
            Self::Prove(args) => args.run(session),
            Self::Verify { file, genesis } => verify(session, &file, &genesis),
            Self::Evidence { hex } => evidence::show(session, hex),
            Self::Export { file, state_only, node } => {
                let history = if state_only { History::Left } else { History::Kept };
                write_new(&file, |out| Ok(archive::export(&node.read()?, history, out).map(held)?))
            }
            Self::Journal { file, node } => write_new(&file, |out| {
                let height = archive::journal(&node.read()?, out)?;
                Ok(format!("movements up to block {height}"))
            }),
            Self::Import { file, node } => {
                let lines = File::open(&file).with_context(|| format!("{} can't be read", file.display()))?;
                let height = archive::import(&node.read()?, BufReader::new(lines))?;
                line(format!(
                    "this node's ledger is that after block {height}; start the node, and it goes on from there"
                ));
                Ok(())
            }
        }
    }
}

fn held(archived: Archived) -> String {
    let Archived { first, last } = archived;
    match first {
        Some(first) if first == last => format!("block {last} and the state after it"),
        Some(first) => format!("blocks {first} to {last} and the state after them"),
        None => format!("the state after block {last}, without blocks,"),
    }
}

/// Fills a file that was not there, and says with what; a half-written one is taken away again.
fn write_new(path: &Path, fill: impl FnOnce(BufWriter<&File>) -> Result<String>) -> Result<()> {
    let file = File::create_new(path).with_context(|| format!("{} can't be made", path.display()))?;
    let synced = fill(BufWriter::new(&file)).and_then(|what| Ok(file.sync_all().map(|()| what)?));
    match synced {
        Ok(what) => {
            line(format!("{what} written to {}", path.display()));
            Ok(())
        }
        Err(error) => {
            fs::remove_file(path)
                .with_context(|| format!("{} is half-written and can't be removed", path.display()))?;
            Err(error)
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

fn send(session: &Session, order: schedule::Order<'_>) -> Result<()> {
    let schedule::Order { from, to, amount, memo } = order;
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
