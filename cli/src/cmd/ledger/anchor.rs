//! `mesh30k ledger anchor`: the hash of a file on the ledger, and the proof beside the file.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::types::{AccountId, Hash, Height, TimeMs, TxId, Uftns};
use mesh30k_node::content::hash_file;
use mesh30k_testnet::carbon::utc;
use serde::Serialize;

use crate::cmd::prove;
use crate::exit::{RefusedError, UsageError};
use crate::output::{json, line};
use crate::session::{FINAL_TIMEOUT, Session};

/// What stands before the hash in the memo.
const MEMO_BEGINS: &str = "file blake3:";
/// How the proof beside a file ends.
const PROOF_SUFFIX: &str = "anchor.json";

/// Which file.
#[derive(Args)]
pub(crate) struct AnchorArgs {
    /// The file; only its hash leaves this machine.
    file: PathBuf,
    /// Check the file against its proof instead; sends nothing.
    #[arg(long)]
    check: bool,
    /// The key that signs, and pays the fee.
    #[arg(long, required_unless_present = "check", conflicts_with = "check")]
    key: Option<String>,
    /// Where the proof is; beside the file, with `.anchor.json` behind its name, when it is not said.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// With --check: the genesis of the chain, so that nobody has to be asked or trusted.
    #[arg(long, value_name = "FILE", requires = "check")]
    genesis: Option<PathBuf>,
}

/// What a proof proves.
#[derive(Serialize)]
struct Anchored {
    file: PathBuf,
    hash: Hash,
    account: AccountId,
    height: Height,
    time: TimeMs,
    id: TxId,
    proof: PathBuf,
}

pub(super) fn anchor(session: &Session, args: &AnchorArgs) -> Result<()> {
    let file = &args.file;
    let proof = args.proof.clone().unwrap_or_else(|| {
        let mut name = file.clone().into_os_string();
        name.push(format!(".{PROOF_SUFFIX}"));
        name.into()
    });
    let hash = hash_file(file).with_context(|| format!("{} can't be read", file.display()))?;
    match &args.key {
        Some(key) => write(session, file, hash, key, proof),
        None => check(session, file, hash, args.genesis.as_deref(), proof),
    }
}

fn memo(hash: &Hash) -> String {
    format!("{MEMO_BEGINS}{hash}")
}

fn write(session: &Session, file: &Path, hash: Hash, key: &str, proof: PathBuf) -> Result<()> {
    if proof.exists() {
        return Err(UsageError(format!(
            "{} is there already; check it with --check, or name another file with --proof",
            proof.display()
        ))
        .into());
    }
    let wallet = session.wallet(key)?;
    // To itself, so that it costs the fee only.
    let transfer = Transfer { to: wallet.account(), amount: Uftns(1), memo: memo(&hash) };
    let row = wallet.execute(Operation::Transfer(transfer), FINAL_TIMEOUT)?;
    let again = || format!("the hash is on the ledger; `mesh30k ledger receipt {}` gives the proof again", row.id);
    let receipt: Receipt = wallet.client().get(&format!("/v1/receipts/{}", row.id)).with_context(again)?;
    let file_of_proof = File::create_new(&proof).with_context(|| format!("{} can't be made", proof.display()));
    let written = file_of_proof.and_then(|out| {
        let mut out = BufWriter::new(out);
        serde_json::to_writer(&mut out, &receipt)?;
        out.write_all(b"\n")?;
        Ok(out.into_inner()?.sync_all()?)
    });
    written.with_context(again)?;
    let done = anchored(file, hash, &receipt, proof);
    if session.wants_json() {
        return json(&done);
    }
    line(format!("{} is on the ledger: final in block {}, {}", file.display(), done.height, utc(done.time)));
    line(format!("  hash   {hash}"));
    line(format!("  proof  {}; keep it with the file", done.proof.display()));
    Ok(())
}

fn anchored(file: &Path, hash: Hash, receipt: &Receipt, proof: PathBuf) -> Anchored {
    Anchored {
        file: file.to_owned(),
        hash,
        account: receipt.transaction.tx.account,
        height: receipt.finality.header.height,
        time: receipt.finality.header.time,
        id: receipt.id(),
        proof,
    }
}

/// What is wrong with a proof of a file, if anything is.
fn fault(receipt: &Receipt, genesis: &Genesis, hash: &Hash) -> Option<String> {
    if let Err(error) = receipt.verify(genesis) {
        return Some(format!("it proves nothing: {error}"));
    }
    let said = match &receipt.transaction.tx.op {
        Operation::Transfer(transfer) => transfer.memo.strip_prefix(MEMO_BEGINS),
        _ => None,
    };
    match said {
        None => Some("it is the receipt of something else".to_owned()),
        Some(_) if !receipt.outcome.is_executed() => Some("its transaction was rejected".to_owned()),
        Some(said) if said == hash.to_string() => None,
        Some(said) => Some(format!("the file was changed: its hash is {hash}, on the ledger is {said}")),
    }
}

fn check(session: &Session, file: &Path, hash: Hash, genesis: Option<&Path>, proof: PathBuf) -> Result<()> {
    let receipt: Receipt = prove::read_json(&proof)?;
    let genesis: Genesis = match genesis {
        Some(path) => prove::read_json(path)?,
        None => session.client()?.get("/v1/genesis")?,
    };
    if let Some(fault) = fault(&receipt, &genesis, &hash) {
        return Err(RefusedError(format!("{} is not proven by {}: {fault}", file.display(), proof.display())).into());
    }
    let done = anchored(file, hash, &receipt, proof);
    if session.wants_json() {
        return json(&done);
    }
    line(format!("{} is what it was at {}", file.display(), utc(done.time)));
    line(format!("  put there by {} in block {} of chain {}", done.account, done.height, genesis.chain));
    line(format!("  hash {hash}, transaction {}", done.id));
    Ok(())
}
