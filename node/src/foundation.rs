//! What everything else in a node stands on: network, database, ledger, the way of Raft over the network.

use std::path::PathBuf;
use std::sync::Arc;

use mesh30k_consensus::group::StoreId;
use mesh30k_consensus::raft::GroupSet;
use mesh30k_consensus::storage::KvStore;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::types::{Hash, NodeId};
use mesh30k_p2p::{AcceptError, Control, Events, SpawnError};

use crate::config::LedgerSettings;
use crate::disk::DiskHandle;
use crate::identity::NodeIdentity;
use crate::lanes;
use crate::ledger::{self, Announcer, LedgerHandle, LedgerParts, LedgerStartError};
use crate::process_groups::ProcessGroups;
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
    /// Room on the disk.
    pub disk: DiskHandle,
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
    /// This node's validator number, if it was one when it started.
    pub validator: Option<NodeId>,
    /// Takes gossiped blocks.
    pub announcer: Announcer,
    pub(crate) groups: Arc<ProcessGroups>,
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
        // Reads much: whoever asks meanwhile still gets an answer.
        let ledger = LedgerParts {
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
            disk: parts.disk,
        };
        let service = tokio::task::block_in_place(|| ledger::start(ledger))?;
        // Nobody knows a topic before it is subscribed to; the swarm remembers it for peers to come.
        if let Err(error) = control.subscribe(lanes::TOPIC_BLOCK).await {
            tracing::warn!(%error, "blocks will come by asking only");
        }
        let (validator, ledger) = (service.validator, service.handle.clone());
        let store_id = StoreId(parts.store_id.0);
        let groups = Arc::new(ProcessGroups::new(store_id, kv, control.clone(), roster.clone()));
        let announcer = service.run(Arc::clone(&groups)).await?;
        Ok(Self { control, events: Some(events), roster, ledger, validator, announcer, groups })
    }

    /// The Raft groups of this process, made when the node knows its number.
    ///
    /// # Errors
    /// When a lane is taken.
    pub fn groups(&self, me: NodeId) -> Result<GroupSet<RaftRuntime>, FoundationError> {
        Ok(self.groups.of(me)?)
    }
}
