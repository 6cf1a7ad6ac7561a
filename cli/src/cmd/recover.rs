//! `mesh30k node recover`: from a lost majority or a halt to a chain that goes on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::{NodeId, TimeMs};
use mesh30k_node::clock::wall_ms;
use mesh30k_node::config::Config;
use mesh30k_node::recovery::{self, NewSeats, Restart, SignedRestart, SignedStatement};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cmd::node::layers;
use crate::exit::UsageError;
use crate::output::{json, line};
use crate::session::Session;

const HOUR_MS: u64 = 3_600_000;

/// Let a chain go on that lost its majority of validators or halted: state, order, sign, apply, in this order, with the nodes
/// stopped.
#[derive(Subcommand)]
pub(crate) enum Recover {
    /// On each validator that is left: write down its last word. It never votes in the old round again.
    #[command(after_help = "Example: mesh30k node recover state --config node.toml --out node-1.json")]
    State {
        #[command(flatten)]
        node: NodeArgs,
        /// Where to write it.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Put the order together from what the validators wrote.
    #[command(
        after_help = "Example: mesh30k node recover order --config node.toml --statement node-1.json --statement node-2.json \
                      --out order.json"
    )]
    Order(OrderArgs),
    /// Add an operator's signature to the order; as many operators as the ledger asks for, one after the other.
    #[command(after_help = "Example: mesh30k node recover sign order.json --key alice")]
    Sign {
        /// The order.
        file: PathBuf,
        /// The operator key that signs.
        #[arg(long, default_value = "operator")]
        key: String,
    },
    /// On every node: check the signed order and carry it out. Start the node afterwards.
    #[command(after_help = "Example: mesh30k node recover apply order.json --config node.toml")]
    Apply {
        /// The signed order.
        file: PathBuf,
        #[command(flatten)]
        node: NodeArgs,
    },
}

/// Whose folder.
#[derive(Args)]
pub(crate) struct NodeArgs {
    /// The node's configuration; the node must not run.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Sets one key of the configuration, above the file and the environment; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

/// What an order consists of.
#[derive(Args)]
pub(crate) struct OrderArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// What a validator wrote by `state`; once for each.
    #[arg(long = "statement", value_name = "FILE", required = true)]
    statements: Vec<PathBuf>,
    /// An old validator that stays, by its node number; those with a statement when none is named.
    #[arg(long, value_name = "NODE")]
    keep: Vec<u64>,
    /// A new validator: its node number and validator key.
    #[arg(long, value_name = "NODE=KEY")]
    add: Vec<String>,
    /// Void after so many hours, 1 to 168.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=168))]
    hours: u64,
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Recover {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::State { node, out } => {
                let statement = recovery::state(&node.read()?)?;
                write(&out, &statement)?;
                let said = &statement.statement;
                line(format!(
                    "node {} stands on final block {}, with {} blocks ordered above it; it votes in round {} no more",
                    said.node,
                    said.last_final.height,
                    said.tail.len(),
                    said.round
                ));
                line(format!("written to {}; next: mesh30k node recover order", out.display()));
                Ok(())
            }
            Self::Order(args) => args.run(session),
            Self::Sign { file, key } => sign(session, &file, &key),
            Self::Apply { file, node } => {
                let signed: SignedRestart = read(&file)?;
                let tip = recovery::apply(&node.read()?, &signed)?;
                line(format!(
                    "this node goes on after block {} in epoch {}, round {}; start it: mesh30k node run --config {}",
                    tip.height,
                    signed.order.epoch,
                    signed.order.round,
                    node.config.display()
                ));
                Ok(())
            }
        }
    }
}

impl NodeArgs {
    pub(crate) fn read(&self) -> Result<Config> {
        Ok(layers(Some(&self.config), &self.settings)?.finish()?)
    }
}

impl OrderArgs {
    fn run(self, session: &Session) -> Result<()> {
        let statements = self.statements.iter().map(|path| read(path)).collect::<Result<Vec<SignedStatement>>>()?;
        let add = self.add.iter().map(|text| seat(text)).collect::<Result<_>>()?;
        let seats = NewSeats { keep: self.keep.iter().copied().map(NodeId).collect(), add };
        let until = TimeMs(wall_ms().saturating_add(self.hours.saturating_mul(HOUR_MS)));
        let order = recovery::order(&self.node.read()?, statements, &seats, until)?;
        if order.validators.len() < 4 {
            line(format!(
                "note: {} validators bear no liar and {} no failure; add seats by --add, or later by governance",
                order.validators.len(),
                if order.validators.len() < 3 { "also" } else { "hardly" }
            ));
        }
        let unsigned = SignedRestart { order, signatures: Vec::new() };
        write(&self.out, &unsigned)?;
        describe(session, &unsigned)?;
        line(format!("written to {}; next: mesh30k node recover sign {0}", self.out.display()));
        Ok(())
    }
}

/// `7=<64 hex digits>`.
fn seat(text: &str) -> Result<(NodeId, PublicKey)> {
    let parts = text.split_once('=').and_then(|(node, key)| Some((node.parse().ok()?, key.parse().ok()?)));
    let (node, key) = parts.ok_or_else(|| UsageError(format!("--add takes NODE=KEY, not `{text}`")))?;
    Ok((NodeId(node), key))
}

fn sign(session: &Session, file: &Path, key: &str) -> Result<()> {
    let mut signed: SignedRestart = read(file)?;
    describe(session, &signed)?;
    let secret = session.unlock(key)?;
    if signed.signatures.iter().any(|one| one.key == secret.public()) {
        bail!("{} bears the signature of {key} already", file.display());
    }
    signed.signatures.push(signed.order.sign(&secret));
    write(file, &signed)?;
    line(format!(
        "{} signatures; with enough of them, on every node: mesh30k node recover apply {}",
        signed.signatures.len(),
        file.display()
    ));
    Ok(())
}

fn describe(session: &Session, signed: &SignedRestart) -> Result<()> {
    let order: &Restart = &signed.order;
    if session.wants_json() {
        return json(signed);
    }
    let seats: Vec<String> = order.validators.0.iter().map(|seat| seat.node.to_string()).collect();
    line(format!(
        "chain {} goes on after final block {} ({})",
        order.context.chain, order.base.height, order.base.block
    ));
    line(format!("in epoch {}, round {}, with validators {}", order.epoch, order.round, seats.join(", ")));
    let said: Vec<String> = order.statements.iter().map(|one| one.statement.node.to_string()).collect();
    line(format!("on the word of validators {}; void after {} (Unix ms)", said.join(", "), order.valid_until));
    Ok(())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not what `mesh30k node recover` writes", path.display()))
}

fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value)?;
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
