//! `mesh30k ledger prove|verify`: proofs that need neither a node nor trust in one.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use mesh30k_ledger::authority::Authority;
use mesh30k_ledger::export;
use mesh30k_ledger::finality_proof::FinalityProof;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::handover::signers;
use mesh30k_ledger::query;
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::state_receipt::{MAX_KEY_BYTES, StateReceipt};
use mesh30k_ledger::types::{AccountId, ChainId, Epoch, Height, NodeId, TimeMs, TxId, Uftns};
use mesh30k_testnet::carbon::utc;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::exit::UsageError;
use crate::output::{json, line};
use crate::session::Session;

/// Bytes of a file that is read, at most: four times the largest receipt there can be.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// What to prove, and where to write it.
#[derive(Args)]
pub(crate) struct ProveArgs {
    /// An account (ftns1...) or the name of a key.
    #[arg(required_unless_present = "key")]
    account: Option<String>,
    /// Instead of an account: any key of the state, in hexadecimal, as `ledger export` writes it.
    #[arg(long, value_name = "HEX", conflicts_with = "account")]
    key: Option<String>,
    /// The file to write; one that is there is not overwritten.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What a valid proof says of its block.
#[derive(Serialize)]
struct ProvenBlock {
    chain: ChainId,
    height: Height,
    time: TimeMs,
    epoch: Epoch,
    certified_by: Vec<NodeId>,
    validators: Vec<NodeId>,
    handovers: usize,
    kept_by_operators: bool,
}

/// What a valid receipt proves.
#[derive(Serialize)]
struct ProvenTransaction {
    id: TxId,
    is_executed: bool,
    rejection: Option<String>,
    #[serde(flatten)]
    block: ProvenBlock,
}

/// What a valid state proof proves.
#[derive(Serialize)]
struct ProvenKey {
    key: String,
    account: Option<AccountId>,
    exists: bool,
    balance_uftns: Option<Uftns>,
    kind: Option<&'static str>,
    record: Option<Value>,
    #[serde(flatten)]
    block: ProvenBlock,
}

impl ProveArgs {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let (path, key) = match (&self.account, &self.key) {
            (_, Some(hex)) => {
                let key = hex::decode(hex).map_err(|error| UsageError(format!("--key is not hexadecimal: {error}")))?;
                if key.is_empty() || key.len() > MAX_KEY_BYTES {
                    let found = key.len();
                    return Err(UsageError(format!("--key has {found} bytes; 1 to {MAX_KEY_BYTES} are taken")).into());
                }
                (format!("/v1/proofs/keys/{}", hex::encode(&key)), key)
            }
            (account, None) => {
                let account = session.account(account.as_deref().unwrap_or_default())?;
                (format!("/v1/proofs/accounts/{account}"), query::account_key(&account))
            }
        };
        let receipt: StateReceipt = session.client()?.get(&path)?;
        ensure!(receipt.key == key, "the node proves another key than the one it was asked for");
        let mut file = File::create_new(&self.out).with_context(|| format!("{} can't be made", self.out.display()))?;
        let text = serde_json::to_vec_pretty(&receipt)?;
        file.write_all(&text).with_context(|| format!("writing {}", self.out.display()))?;
        if session.wants_json() {
            return json(&receipt);
        }
        line(format!("proof of the state after block {} written to {}", height(&receipt), self.out.display()));
        line(format!("anybody checks it: mesh30k ledger verify {} --genesis genesis.json", self.out.display()));
        Ok(())
    }
}

const fn height(receipt: &StateReceipt) -> Height {
    receipt.finality.header.height
}

/// Checks a receipt or a state proof, whichever the file is.
pub(crate) fn verify(session: &Session, file: &Path, genesis: &Path) -> Result<()> {
    let genesis: Genesis = read_json(genesis)?;
    let text = read(file)?;
    let value: Value = parse(file, &text)?;
    let has = |field: &str| value.get(field).is_some();
    match (has("transaction"), has("state_proof")) {
        (true, false) => verify_receipt(session, &parse(file, &text)?, &genesis),
        (false, true) => verify_state(session, &parse(file, &text)?, &genesis),
        _ => bail!(
            "{} is neither a receipt (`mesh30k ledger receipt`) nor a proof of state (`mesh30k ledger prove`)",
            file.display()
        ),
    }
}

fn verify_receipt(session: &Session, receipt: &Receipt, genesis: &Genesis) -> Result<()> {
    receipt.verify(genesis).context("the receipt proves nothing")?;
    let proven = ProvenTransaction {
        id: receipt.id(),
        is_executed: receipt.outcome.is_executed(),
        rejection: receipt.outcome.rejection().map(ToString::to_string),
        block: ProvenBlock::of(&receipt.finality, genesis)?,
    };
    if session.wants_json() {
        return json(&proven);
    }
    line(format!(
        "valid: transaction {} is final in block {} of chain {} and was {}",
        proven.id,
        proven.block.height,
        proven.block.chain,
        proven.rejection.as_ref().map_or_else(|| "executed".to_owned(), |why| format!("rejected: {why}"))
    ));
    proven.block.print();
    Ok(())
}

fn verify_state(session: &Session, receipt: &StateReceipt, genesis: &Genesis) -> Result<()> {
    let nothing = "the proof of state proves nothing";
    let value = receipt.verify(genesis).context(nothing)?;
    let account = receipt.account_id();
    let balance = match account {
        Some(_) => receipt.verify_account(genesis).context(nothing)?.map(|account| account.balance),
        None => None,
    };
    let (kind, record) = value.and_then(|value| export::record(&receipt.key, value)).unzip();
    let proven = ProvenKey {
        key: hex::encode(&receipt.key),
        account,
        exists: value.is_some(),
        balance_uftns: balance,
        kind,
        record,
        block: ProvenBlock::of(&receipt.finality, genesis)?,
    };
    if session.wants_json() {
        return json(&proven);
    }
    let (height, chain) = (proven.block.height, proven.block.chain);
    let after = format!("after block {height} of chain {chain}");
    match (proven.account, proven.balance_uftns, value) {
        (Some(account), Some(balance), _) => line(format!("valid: account {account} holds {balance} {after}")),
        (Some(account), None, _) => line(format!("valid: account {account} does not exist {after}")),
        (None, _, None) => line(format!("valid: key {} holds nothing {after}", proven.key)),
        (None, _, Some(value)) => {
            let kind = proven.kind.unwrap_or("record");
            line(format!("valid: key {} holds a {kind} of {} bytes {after}", proven.key, value.len()));
            line(proven.record.as_ref().map_or_else(|| hex::encode(value), ToString::to_string));
        }
    }
    proven.block.print();
    Ok(())
}

impl ProvenBlock {
    /// Of a proof that was verified.
    fn of(finality: &FinalityProof, genesis: &Genesis) -> Result<Self> {
        let authority = Authority::led_by(genesis, &finality.handovers)?;
        let (header, certificate) = (&finality.header, &finality.certificate);
        Ok(Self {
            chain: genesis.chain,
            height: header.height,
            time: header.time,
            epoch: certificate.epoch,
            certified_by: signers(certificate),
            validators: authority.validators().0.iter().map(|seat| seat.node).collect(),
            handovers: finality.handovers.len(),
            kept_by_operators: authority.place() != (certificate.epoch, certificate.round),
        })
    }

    fn print(&self) {
        let names = |nodes: &[NodeId]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        line(format!("block time {} ({} ms)", utc(self.time), self.time));
        if self.kept_by_operators {
            line(format!(
                "signed by nodes {} of the old validators, fewer than certify; kept by the operators' order",
                names(&self.certified_by)
            ));
        } else {
            let (signed, all) = (names(&self.certified_by), names(&self.validators));
            line(format!("certified by nodes {signed} of validators {all} (epoch {})", self.epoch));
        }
        if self.handovers > 0 {
            let times = if self.handovers == 1 { "once" } else { &format!("{} times", self.handovers) };
            line(format!("validators changed {times} since the genesis, by votes or by orders of its operators"));
        }
    }
}

fn read(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).with_context(|| format!("reading {}", path.display()))?;
    ensure!(text.len() as u64 <= FILE_BYTES_MAX, "{} has more than {FILE_BYTES_MAX} bytes", path.display());
    Ok(text)
}

/// What a JSON file holds.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    parse(path, &read(path)?)
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    serde_json::from_str(text).with_context(|| format!("{} is not what was expected", path.display()))
}
