//! What everything else in a node stands on: network, database, ledger, the way of Raft over the network.

use std::path::PathBuf;
use std::sync::Arc;

use mesh30k_consensus::group::StoreId;
use mesh30k_consensus::raft::{GroupSet, GroupSetConfig, PeerCheck};
use mesh30k_consensus::storage::KvStore;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::types::{Hash, NodeId};
use mesh30k_p2p::{AcceptError, Control, Events, SpawnError};

use crate::bridge::{self, RaftBridge};
use crate::config::LedgerSettings;
use crate::identity::NodeIdentity;
use crate::lanes;
use crate::ledger::{self, Announcer, LedgerHandle, LedgerParts, LedgerStartError};
use crate::raft_runtime::RaftRuntime;
use crate::roster::SharedRoster;
use crate::telemetry::Metrics;

/// Why the foundation could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum FoundationError {
    /// The network did not start.
    #[error("the network cannot be started")]
    Network(#[from] SpawnError),
    /// The ledger did not start.
    #[error(transparent)]
    Ledger(#[from] LedgerStartError),
    /// A lane is taken.
    #[error("a network lane is in use already")]
    Lane(#[from] AcceptError),
}

/// What a foundation is made of.
pub struct FoundationParts<'a> {
    /// The chain's beginning.
    pub genesis: Genesis,
    /// The node's database.
    pub kv: Arc<dyn KvStore>,
    /// The ledger's memory, and when a snapshot is fetched.
    pub ledger: LedgerSettings,
    /// Keys.
    pub identity: &'a NodeIdentity,
    /// Name of the disk.
    pub store_id: Hash,
    /// The data directory.
    pub dir: PathBuf,
    /// The validator's sign-log.
    pub sign_log: PathBuf,
    /// How the network is set up.
    pub network: mesh30k_p2p::Config,
    /// Counters.
    pub metrics: Metrics,
}

/// A running foundation.
pub struct Foundation {
    /// The network.
    pub control: Control,
    /// What it reports, until somebody takes it.
    pub events: Option<Events>,
    /// Who is where.
    pub roster: SharedRoster,
    /// The ledger.
    pub ledger: LedgerHandle,
    /// This node's validator number, if it is one.
    pub validator: Option<NodeId>,
    /// Takes gossiped blocks.
    pub announcer: Announcer,
    store_id: StoreId,
    kv: Arc<dyn KvStore>,
    groups: Option<GroupSet<RaftRuntime>>,
}

impl Foundation {
    /// Starts network and ledger. A validator's group runs when this returns; sectors need [`Self::groups`] later.
    ///
    /// # Errors
    /// [`FoundationError`].
    pub async fn start(parts: FoundationParts<'_>) -> Result<Self, FoundationError> {
        let (control, events) = mesh30k_p2p::spawn(parts.network)?;
        let roster = SharedRoster::default();
        let kv = Arc::clone(&parts.kv);
        let service = ledger::start(LedgerParts {
            genesis: parts.genesis,
            kv: parts.kv,
            settings: parts.ledger,
            identity: parts.identity,
            store_id: parts.store_id,
            dir: parts.dir,
            sign_log: parts.sign_log,
            control: control.clone(),
            roster: roster.clone(),
            metrics: parts.metrics,
        })?;
        // Nobody knows a topic before it is subscribed to; the swarm remembers it for peers to come.
        if let Err(error) = control.subscribe(lanes::TOPIC_BLOCK).await {
            tracing::warn!(%error, "blocks will come by asking only");
        }
        let validator = service.validator;
        let store_id = StoreId(parts.store_id.0);
        let ledger = service.handle.clone();
        keep_validators_connected(&ledger, &control);
        let groups = validator.map(|me| make_groups(me, store_id, &kv, &control, &roster));
        if let Some(groups) = &groups {
            serve_groups(&control, groups, &roster)?;
        }
        let sponsor = validator.map(|_| parts.identity.account());
        let announcer = service.run(groups.as_ref(), sponsor, &control).await?;
        Ok(Self { control, events: Some(events), roster, ledger, validator, announcer, store_id, kv, groups })
    }

    /// The Raft groups of this process, made when the node knows its number.
    ///
    /// # Errors
    /// When a lane is taken.
    pub fn groups(&mut self, me: NodeId) -> Result<GroupSet<RaftRuntime>, FoundationError> {
        if let Some(groups) = &self.groups {
            return Ok(groups.clone());
        }
        let groups = make_groups(me, self.store_id, &self.kv, &self.control, &self.roster);
        serve_groups(&self.control, &groups, &self.roster)?;
        self.groups = Some(groups.clone());
        Ok(groups)
    }
}

fn make_groups(
    me: NodeId,
    store_id: StoreId,
    kv: &Arc<dyn KvStore>,
    control: &Control,
    roster: &SharedRoster,
) -> GroupSet<RaftRuntime> {
    GroupSet::new(GroupSetConfig {
        me: me.0,
        store_id,
        store: Arc::clone(kv),
        transport: Arc::new(RaftBridge::new(control.clone(), roster.clone())),
        check: check_by_ledger(roster.clone()),
    })
}

fn serve_groups(
    control: &Control,
    groups: &GroupSet<RaftRuntime>,
    roster: &SharedRoster,
) -> Result<(), FoundationError> {
    for lane in [lanes::RAFT, lanes::RAFT_APPEND] {
        tokio::spawn(bridge::serve(control.accept(lane)?, groups.clone(), roster.clone()));
    }
    Ok(())
}

/// A member whose disk is not the one on the ledger has forgotten what it voted for.
fn check_by_ledger(roster: SharedRoster) -> PeerCheck {
    Arc::new(move |node, store| match roster.load().nodes.get(&NodeId(node)) {
        Some(known) if known.record.store_id.0 == store.0 => Ok(()),
        Some(_) => Err(format!(
            "node {node} came back with another disk than the ledger knows: it must not vote under its old id; \
             restore its data directory or let it join as a new node"
        )),
        None => Err(format!("node {node} is not on the ledger")),
    })
}

/// Every node keeps its connections to the validators: transactions, blocks and registrations go through them.
fn keep_validators_connected(ledger: &LedgerHandle, control: &Control) {
    let roster = ledger.roster();
    let own = control.local_peer_id();
    for validator in &ledger.genesis().validators.0 {
        let Some(node) = roster.nodes.get(&validator.node).filter(|node| node.peer != own) else { continue };
        if let Err(error) = control.reserve(node.peer, node.addresses().collect()) {
            tracing::warn!(node = %validator.node, %error, "a validator can't be kept connected");
        }
    }
}
