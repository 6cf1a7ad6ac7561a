//! Bringing the ledger up: genesis, what is on disk, the validator's or the observer's loop.

use std::path::PathBuf;
use std::sync::Arc;

use mesh30k_chain::LedgerStore;
use mesh30k_consensus::finality::{FinalTip, SignLog, SignLogExpectation, VoteKey};
use mesh30k_consensus::raft::GroupError;
use mesh30k_consensus::storage::{KvStore, StoreError};
use mesh30k_ledger::codec::decode;
use mesh30k_ledger::genesis::{Genesis, GenesisError};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::query;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{Epoch, Hash, NodeId};
use mesh30k_p2p::{AcceptError, Control, Verdict};
use tokio::sync::mpsc;

use super::admission::Admission;
use super::epochs::Epochs;
use super::evidence::{self, EvidenceDesk};
use super::handle::{FinalBlockTip, HandleParts, LedgerHandle, halt_path};
use super::observer::{AnnouncementSink, FEED_MAX};
use super::peers::Peers;
use super::sync::SyncServer;
use super::wire::Announcement;
use super::{admission, submission};
use crate::config::LedgerSettings;
use crate::disk::DiskHandle;
use crate::identity::NodeIdentity;
use crate::lanes;
use crate::process_groups::ProcessGroups;
use crate::roster::SharedRoster;
use crate::telemetry::Metrics;

/// Bytes of an announcement, at most: what gossip carries.
const ANNOUNCEMENT_BYTES_MAX: usize = 64 * 1_024;

/// Why the ledger could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum LedgerStartError {
    /// The genesis does not hold together.
    #[error("the genesis cannot begin a chain")]
    Genesis(#[from] GenesisError),
    /// The data directory belongs to another chain.
    #[error("this data directory holds chain {found}, the network's genesis is {expected}; use another data directory")]
    OtherChain {
        /// Genesis hash on disk.
        found: Hash,
        /// Genesis hash configured.
        expected: Hash,
    },
    /// The disk of a known node was wiped or swapped.
    #[error(
        "this data directory is new, but node {node} is registered with another one (store {registered}): a node whose disk \
         was lost must not come back under its old id, for it has forgotten what it signed; restore the old directory, or \
         move its keys away and join as a new node"
    )]
    Wiped {
        /// The node.
        node: NodeId,
        /// Store id on the ledger.
        registered: Hash,
    },
    /// Storage failed.
    #[error("the node's database failed")]
    Store(#[from] StoreError),
    /// State can't be read.
    #[error("the ledger's state cannot be read")]
    State(#[from] StateError),
    /// The global group can't be started.
    #[error("the validators' Raft group cannot be started")]
    Group(#[from] GroupError),
    /// A lane is taken.
    #[error("a network lane is in use already")]
    Lane(#[from] AcceptError),
    /// A file of the ledger can't be read.
    #[error("{path} can't be read")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What the ledger is made of.
pub struct LedgerParts<'a> {
    /// The chain's beginning.
    pub genesis: Genesis,
    /// The node's database.
    pub kv: Arc<dyn KvStore>,
    /// Its memory, and when a snapshot is fetched.
    pub settings: LedgerSettings,
    /// Keys.
    pub identity: &'a NodeIdentity,
    /// Name of the disk.
    pub store_id: Hash,
    /// The node's data directory.
    pub dir: PathBuf,
    /// The validator's sign-log.
    pub sign_log: PathBuf,
    /// The network.
    pub control: Control,
    /// Filled from the ledger.
    pub roster: SharedRoster,
    /// Counters.
    pub metrics: Metrics,
    /// Room on the disk.
    pub disk: DiskHandle,
}

/// A ledger that is ready to run.
pub struct LedgerService {
    /// For everybody else.
    pub handle: LedgerHandle,
    /// This node's validator number, if it is one now.
    pub validator: Option<NodeId>,
    sync: Arc<SyncServer>,
    door: mpsc::Receiver<admission::Request>,
    epochs: Epochs,
    sponsor: SecretKey,
}

/// Reads what is on disk (or writes genesis) and prepares the loops; nothing runs before [`LedgerService::run`].
///
/// # Errors
/// [`LedgerStartError`], each with what to do.
pub fn start(parts: LedgerParts<'_>) -> Result<LedgerService, LedgerStartError> {
    let LedgerParts { genesis, kv, settings, identity, store_id, dir, sign_log, control, roster, metrics, disk } =
        parts;
    let context = genesis.context();
    let store = LedgerStore::with_records(kv, settings.records_bytes());
    if store.take_back_import()? {
        tracing::warn!(
            "an import of a ledger was broken off here; what it wrote is taken back, and this node begins with its genesis"
        );
    }
    if query::is_initialized(&store)? {
        let found = query::context(&store)?.genesis;
        if found != context.genesis {
            return Err(LedgerStartError::OtherChain { found, expected: context.genesis });
        }
        store.prepare()?;
    } else {
        store.replace_state(&genesis.initial_changes()?, None)?;
    }
    refuse_wiped(&store, identity, store_id)?;
    let tip = query::tip(&store)?;
    let validators = query::validator_set(&store)?;
    let key = identity.validator();
    let validator = validators.0.iter().find(|one| one.key == key.public()).map(|one| one.node);
    let (admission, door) = Admission::new();
    let handle = LedgerHandle::new(HandleParts {
        genesis,
        store,
        roster: roster.clone(),
        tip: FinalBlockTip { height: tip.height, time: tip.time, block: tip.block },
        halt_path: halt_path(&dir),
        evidence: EvidenceDesk::open(&dir),
        control: control.clone(),
        metrics,
        admission,
        disk,
    });
    handle.refresh_roster();
    let sync = SyncServer::new(handle.clone(), settings.snapshot_after_blocks);
    let peers = Peers::new(roster, control.clone());
    let (feeder, feed) = mpsc::channel(FEED_MAX);
    let epochs = Epochs {
        ledger: handle.clone(),
        key,
        account: account_of(identity),
        sign_log,
        snapshot_after_blocks: settings.snapshot_after_blocks,
        peers,
        control,
        feeder,
        feed,
        votes: None,
    };
    Ok(LedgerService { handle, validator, sync, door, epochs, sponsor: identity.account() })
}

/// The node's own account.
pub(crate) fn account_of(identity: &NodeIdentity) -> mesh30k_ledger::types::AccountId {
    mesh30k_ledger::key_policy::KeyPolicy::single(identity.account().public()).account()
}

fn refuse_wiped(store: &LedgerStore, identity: &NodeIdentity, store_id: Hash) -> Result<(), LedgerStartError> {
    let Some(node) = query::node_of_account(store, &account_of(identity))? else { return Ok(()) };
    match query::node(store, node)? {
        Some(record) if record.store_id != store_id => {
            Err(LedgerStartError::Wiped { node, registered: record.store_id })
        }
        _ => Ok(()),
    }
}

/// Opens the sign-log. A validator whose log can't be trusted follows without voting, and says so.
pub(crate) fn open_sign_log(
    path: &std::path::Path,
    store: &LedgerStore,
    me: NodeId,
    key: &SecretKey,
    tip: &FinalTip,
) -> Result<Option<SignLog>, StoreError> {
    let expected = if store.has_signed()? {
        let last = store.block(tip.height)?.map(|stored| stored.certificate);
        let own = last.filter(|certificate| certificate.signatures.iter().any(|signature| signature.node == me));
        SignLogExpectation::Existing { at_least: own.map(|certificate| VoteKey::of(&certificate.vote_of(me))) }
    } else {
        SignLogExpectation::Fresh { first_epoch: Epoch(0) }
    };
    match SignLog::open(path, key.public(), expected) {
        Ok(log) => {
            store.mark_signed()?;
            Ok(Some(log))
        }
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "this validator follows without voting");
            Ok(None)
        }
    }
}

impl LedgerService {
    /// Starts the loops; gives the announcer back for gossip. They end when the network closes.
    ///
    /// # Errors
    /// When the global group or a lane can't be started.
    pub async fn run(self, groups: Arc<ProcessGroups>) -> Result<Announcer, LedgerStartError> {
        let Self { handle, sync, door, epochs, sponsor, .. } = self;
        let control = epochs.control.clone();
        let sink = AnnouncementSink { ledger: handle.clone(), feeder: epochs.feeder.clone() };
        tokio::spawn(sync.run(control.accept(lanes::SYNC)?));
        tokio::spawn(admission::run(door, handle.clone()));
        tokio::spawn(evidence::pursue(handle.clone(), sponsor.clone()));
        tokio::spawn(submission::receive(control.accept(lanes::TX)?, handle.clone(), sponsor));
        tokio::spawn(submission::forward(handle.clone(), epochs.peers.clone(), control));
        epochs.start(groups).await?;
        Ok(Announcer { handle, sink })
    }
}

/// Takes gossiped announcements once the ledger runs.
#[derive(Clone)]
pub struct Announcer {
    handle: LedgerHandle,
    sink: AnnouncementSink,
}

impl Announcer {
    /// Hands over a gossiped announcement. It is passed on when its certificate holds; what this validator knows is neither checked
    /// nor passed on, for it announced the block itself.
    #[must_use]
    pub fn on_announcement(&self, from: NodeId, data: &[u8]) -> Verdict {
        let Ok(announcement) = decode::<Announcement>(data, ANNOUNCEMENT_BYTES_MAX) else { return Verdict::Reject };
        if self.sink.knows(&announcement.certificate) {
            return Verdict::Ignore;
        }
        let certificate = &announcement.certificate;
        let known = self.handle.read(|state| {
            Ok::<_, StateError>((query::validator_set(state)?, query::epoch(state)?, query::tip(state)?.round))
        });
        let Ok((validators, epoch, round)) = known else { return Verdict::Ignore };
        if (certificate.round, certificate.epoch) > (round, epoch) {
            // By validators whom this node does not know yet: no fault of whoever passed it on.
            return Verdict::Ignore;
        }
        if certificate.verify(&validators, &self.handle.context()).is_err() {
            return Verdict::Reject;
        }
        self.sink.take(from, announcement);
        Verdict::Accept
    }
}
