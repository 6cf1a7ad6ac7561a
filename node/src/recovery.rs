//! Recovery of a chain that lost too many validators, or halted: what a node that does not run says and does. The order itself,
//! who may give it and why it is safe are in `mesh30k-chain`.

use std::path::PathBuf;
use std::sync::Arc;

pub use mesh30k_chain::{Restart, SignedRestart, SignedStatement};

use mesh30k_chain::{ObeyError, RestartRefused, StatementError, make_statement, obey};
use mesh30k_consensus::finality::{FinalTip, HaltReport};
use mesh30k_consensus::group::GroupId;
use mesh30k_consensus::raft::{Durability, LogError, RaftLog};
use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::finality::{Validator, ValidatorSet};
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::query;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{NodeId, TimeMs};

use crate::clock;
use crate::config::Config;
use crate::identity::{IdentityError, NodeIdentity};
use crate::ledger::{halt_path, halt_report, open_sign_log};
use crate::stopped::{Stopped, StoppedError};

/// Why a recovery cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The node's folder.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// Keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The database.
    #[error("the node's database can't be read or written")]
    Store(#[from] StoreError),
    /// State.
    #[error("the ledger's state cannot be read")]
    State(#[from] StateError),
    /// No validator here.
    #[error(
        "this node is no validator in epoch {epoch}: its word is not needed, it only has to apply the order; its validator key, \
         should it be given a seat, is {key}"
    )]
    NoValidator {
        /// The epoch.
        epoch: u32,
        /// Its key.
        key: PublicKey,
    },
    /// Its sign-log is not there or not to be trusted.
    #[error("this validator's sign-log can't be trusted (the log says why): it must not take part in a recovery")]
    NoSignLog,
    /// Its Raft log is damaged.
    #[error("the Raft log can't be trusted: this validator must not take part in a recovery")]
    Log(#[from] LogError),
    /// The statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A seat for a node that is not registered.
    #[error("node {0} is not registered on the ledger: it can't take a validator's seat")]
    UnknownNode(NodeId),
    /// The order does not hold together.
    #[error(transparent)]
    Refused(#[from] RestartRefused),
    /// The order was not carried out.
    #[error(transparent)]
    Obey(#[from] ObeyError),
    /// A file.
    #[error("{path} can't be {action}")]
    File {
        /// Which.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Stopped {
    fn halted(&self) -> Result<Option<HaltReport>, RecoveryError> {
        let path = halt_path(self.data.path());
        halt_report(&path).map_err(|source| RecoveryError::File { path, action: "read", source })
    }
}

/// This validator's last word in the round that is to end. It never votes in that round again.
///
/// # Errors
/// [`RecoveryError`].
pub fn state(config: &Config) -> Result<SignedStatement, RecoveryError> {
    let stopped = Stopped::open(config)?;
    let key = NodeIdentity::load_or_create(&stopped.data.keys())?.validator();
    let store = &stopped.store;
    let (epoch, round) = (query::epoch(store)?, query::tip(store)?.round);
    let seats = query::validator_set(store)?;
    let own = seats.0.iter().find(|seat| seat.key == key.public()).map(|seat| seat.node);
    let me = own.ok_or_else(|| RecoveryError::NoValidator { epoch: epoch.0, key: key.public() })?;
    let log = RaftLog::open(Arc::clone(&stopped.kv), GroupId::global(epoch.0, round.0), Durability::Synced)?;
    let tip = store.final_tip()?.ok_or(StatementError::NothingFinal)?;
    let sign_log = open_sign_log(&stopped.data.sign_log(), store, me, &key, &tip)?;
    let mut sign_log = sign_log.ok_or(RecoveryError::NoSignLog)?;
    let statement = make_statement(store, &log, &mut sign_log, me, &key)?;
    stopped.sync()?;
    Ok(statement)
}

/// Who votes after a recovery.
#[derive(Clone, Debug, Default)]
pub struct NewSeats {
    /// Old validators that stay; those whose statements there are, when empty.
    pub keep: Vec<NodeId>,
    /// Newcomers, with their validator keys.
    pub add: Vec<(NodeId, PublicKey)>,
}

/// Puts an order together from statements, on any node that is as far as they are. It is worth nothing until the operators sign.
///
/// # Errors
/// [`RecoveryError`].
pub fn order(
    config: &Config,
    statements: Vec<SignedStatement>,
    seats: &NewSeats,
    valid_until: TimeMs,
) -> Result<Restart, RecoveryError> {
    let stopped = Stopped::open(config)?;
    let store = &stopped.store;
    let old = query::validator_set(store)?;
    let stated = |node: NodeId| statements.iter().any(|one| one.statement.node == node);
    let stays = |node: NodeId| if seats.keep.is_empty() { stated(node) } else { seats.keep.contains(&node) };
    let mut new: Vec<Validator> = old.0.iter().copied().filter(|seat| stays(seat.node)).collect();
    for (node, key) in &seats.add {
        let record = query::node(store, *node)?.ok_or(RecoveryError::UnknownNode(*node))?;
        new.push(Validator { node: *node, key: *key, account: record.account });
    }
    new.sort_unstable_by_key(|seat| seat.node);
    let at = (query::epoch(store)?, query::tip(store)?.round);
    let context = query::context(store)?;
    Ok(Restart::compose(context, statements, &old, ValidatorSet(new), at, valid_until)?)
}

/// Carries an order out on this node; every node of the mesh does, validator or not. The report of a halt is put aside.
///
/// # Errors
/// [`RecoveryError`].
pub fn apply(config: &Config, signed: &SignedRestart) -> Result<FinalTip, RecoveryError> {
    let stopped = Stopped::open(config)?;
    let halted = stopped.halted()?;
    let cause = halted.as_ref().map(|report| report.cause);
    let tip = obey(&stopped.store, signed, cause, TimeMs(clock::wall_ms()))?;
    stopped.sync()?;
    let path = halt_path(stopped.data.path());
    if halted.is_some() {
        let aside = path.with_extension(format!("json.before-round-{}", signed.order.round));
        std::fs::rename(&path, aside).map_err(|source| RecoveryError::File { path, action: "put aside", source })?;
    }
    Ok(tip)
}
