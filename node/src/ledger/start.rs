//! Bringing the ledger up: genesis, what is on disk, the validator's or the observer's loop.

use std::path::PathBuf;
use std::sync::Arc;

use mesh30k_chain::{Core, Hooks, LedgerApp, LedgerStore, Shared, Validator};
use mesh30k_consensus::finality::{
    ChainTracker, FinalTip, Proposer, SignLog, SignLogExpectation, TrackerConfig, VoteKey,
};
use mesh30k_consensus::group::GroupId;
use mesh30k_consensus::raft::{GroupError, GroupSet};
use mesh30k_consensus::storage::{KvStore, StoreError};
use mesh30k_ledger::codec::decode;
use mesh30k_ledger::genesis::{Genesis, GenesisError};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::query;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{Epoch, Hash, NodeId, TimeMs};
use mesh30k_p2p::{AcceptError, Control, Verdict};
use tokio::sync::{Notify, mpsc};

use super::admission::Admission;
use super::driver::ValidatorDriver;
use super::handle::{FinalBlockTip, HandleParts, LedgerHandle, ValidatorSide, halt_path};
use super::observer::{AnnouncementSink, FEED_MAX, ObserverDriver, observer_on};
use super::peers::Peers;
use super::sync::SyncServer;
use super::wire::Announcement;
use super::{admission, halt, submission, sync};
use crate::clock;
use crate::config::LedgerSettings;
use crate::identity::NodeIdentity;
use crate::lanes;
use crate::raft_runtime::RaftRuntime;
use crate::roster::SharedRoster;
use crate::telemetry::Metrics;

/// Peers asked for a snapshot before a newcomer follows block by block.
const SNAPSHOT_ATTEMPTS: usize = 8;
/// Pause while nobody is connected yet.
const PEER_WAIT: std::time::Duration = std::time::Duration::from_millis(100);
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
    /// A validator was started without the set of groups it votes in.
    #[error("a validator needs the process's set of Raft groups")]
    NoGroups,
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
}

/// A running ledger.
pub struct LedgerService {
    /// For everybody else.
    pub handle: LedgerHandle,
    /// This node's validator number, if it is one.
    pub validator: Option<NodeId>,
    sync: Arc<SyncServer>,
    sink: AnnouncementSink,
    door: mpsc::Receiver<admission::Request>,
    pending: Pending,
}

enum Pending {
    Validator(Box<ValidatorPending>),
    Observer(Box<ObserverPending>),
}

struct ValidatorPending {
    me: NodeId,
    validator: Validator,
    shared: Arc<Shared>,
    woken: Arc<Notify>,
    store: LedgerStore,
    peers: Peers,
}

struct ObserverPending {
    tip: FinalTip,
    own: Option<NodeId>,
    snapshot_after_blocks: u64,
    peers: Peers,
    feed: mpsc::Receiver<super::observer::Feed>,
    feeder: mpsc::Sender<super::observer::Feed>,
}

/// Reads what is on disk (or writes genesis) and prepares the loops; nothing runs before [`LedgerService::run`].
///
/// # Errors
/// [`LedgerStartError`], each with what to do.
pub fn start(parts: LedgerParts<'_>) -> Result<LedgerService, LedgerStartError> {
    let LedgerParts { genesis, kv, settings, identity, store_id, dir, sign_log, control, roster, metrics } = parts;
    let context = genesis.context();
    let store = LedgerStore::with_records(kv, settings.records_bytes());
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
    let tip = final_tip(&store)?;
    let validators = query::validator_set(&store)?;
    let validator_key = identity.validator();
    let validator = validators.0.iter().find(|one| one.key == validator_key.public()).map(|one| one.node);
    let epoch = query::epoch(&store)?;
    let round = query::tip(&store)?.round;
    let (admission, door) = Admission::new();
    let handle = LedgerHandle::new(HandleParts {
        genesis,
        store: store.clone(),
        roster: roster.clone(),
        tip: FinalBlockTip { height: tip.height, time: tip.time, block: tip.block },
        halt_path: halt_path(&dir),
        control: control.clone(),
        metrics,
        admission,
    });
    handle.refresh_roster();
    let sync = SyncServer::new(handle.clone(), settings.snapshot_after_blocks);
    let halted = read_halt(&handle)?;
    let peers = Peers::new(roster, validators.clone(), control);
    if let Some(me) = validator {
        let config = TrackerConfig { context, validators, epoch, round, own: Some(me) };
        let mut tracker = ChainTracker::new(config, tip);
        let log = open_sign_log(&sign_log, &store, me, &validator_key, &tip)?;
        if log.is_none() {
            tracker.stop_voting();
        }
        if let Some(report) = halted {
            tracker.resume_halt(report);
        }
        let proposer = Proposer::new(TimeMs(clock::wall_ms()));
        let core = Core::new(tracker, proposer, store.clone(), Arc::clone(handle.verdicts()));
        let (shared, woken) = shared_in_process(core);
        let sink = AnnouncementSink::Validator(Arc::clone(&shared));
        let signer = Validator::new(me, validator_key, context, Arc::clone(&shared), log);
        let pending = ValidatorPending { me, validator: signer, shared, woken, store, peers };
        let pending = Pending::Validator(Box::new(pending));
        return Ok(LedgerService { handle, validator, sync, sink, door, pending });
    }
    let (feeder, feed) = mpsc::channel(FEED_MAX);
    let own = query::node_of_account(&store, &account_of(identity))?;
    let sink = AnnouncementSink::Observer(feeder.clone());
    let snapshot_after_blocks = settings.snapshot_after_blocks;
    let pending = ObserverPending { tip, own, snapshot_after_blocks, peers, feed, feeder };
    let pending = Pending::Observer(Box::new(pending));
    Ok(LedgerService { handle, validator, sync, sink, door, pending })
}

/// The core in this process, and what is told when there is something to carry out.
fn shared_in_process(core: Core) -> (Arc<Shared>, Arc<Notify>) {
    let woken = Arc::new(Notify::new());
    let notified = Arc::clone(&woken);
    let hooks = Hooks {
        now: Box::new(|| TimeMs(clock::wall_ms())),
        wake: Box::new(move || notified.notify_one()),
        storage_failed: Box::new(|error| super::stop_process(error)),
    };
    (Arc::new(Shared::new(core, hooks)), woken)
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

fn final_tip(store: &LedgerStore) -> Result<FinalTip, LedgerStartError> {
    let tip = query::tip(store)?;
    let genesis = FinalTip { height: tip.height, block: tip.block, commitment: Hash::ZERO, time: tip.time };
    Ok(store.final_tip()?.unwrap_or(genesis))
}

fn read_halt(handle: &LedgerHandle) -> Result<Option<mesh30k_consensus::finality::HaltReport>, LedgerStartError> {
    let path = handle.halt_path();
    let report = halt::read(&path).map_err(|source| LedgerStartError::File { path, source })?;
    if let Some(report) = &report {
        handle.set_halted(report);
    }
    Ok(report)
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
    pub async fn run(
        self,
        groups: Option<&GroupSet<RaftRuntime>>,
        sponsor: Option<SecretKey>,
        control: &Control,
    ) -> Result<Announcer, LedgerStartError> {
        let announcer = Announcer { handle: self.handle.clone(), sink: self.sink.clone() };
        tokio::spawn(self.sync.run(control.accept(lanes::SYNC)?));
        tokio::spawn(admission::run(self.door, self.handle.clone()));
        tokio::spawn(submission::receive(control.accept(lanes::TX)?, self.handle.clone(), sponsor));
        match self.pending {
            Pending::Validator(pending) => {
                let groups = groups.ok_or(LedgerStartError::NoGroups)?;
                pending.run(self.handle, groups, control).await?;
            }
            Pending::Observer(pending) => pending.run(self.handle, control)?,
        }
        Ok(announcer)
    }
}

impl ValidatorPending {
    async fn run(
        self,
        ledger: LedgerHandle,
        groups: &GroupSet<RaftRuntime>,
        control: &Control,
    ) -> Result<(), LedgerStartError> {
        let (epoch, round) =
            ledger.read(|state| Ok::<_, StateError>((query::epoch(state)?, query::tip(state)?.round)))?;
        let id = GroupId::global(epoch.0, round.0);
        let app = LedgerApp::new(Arc::clone(&self.shared), self.store);
        let group = groups.start(groups.preset(id), Box::new(app)).await?;
        ledger.set_validator(ValidatorSide { shared: Arc::clone(&self.shared), group: group.clone() });
        let members = self.peers.validators().map(|(node, _)| node.0).collect();
        let initializer = group.clone();
        tokio::spawn(async move {
            if let Err(error) = initializer.initialize(&members).await {
                tracing::warn!(%error, "the validators' group could not be initialised");
            }
        });
        let driver = ValidatorDriver {
            me: self.me,
            validator: self.validator,
            shared: self.shared,
            woken: self.woken,
            group,
            ledger: ledger.clone(),
            peers: self.peers.clone(),
            control: control.clone(),
            votes: control.accept(lanes::VOTE)?,
        };
        tokio::spawn(driver.run());
        tokio::spawn(submission::forward(ledger, self.peers, control.clone()));
        Ok(())
    }
}

impl ObserverPending {
    fn run(self, ledger: LedgerHandle, control: &Control) -> Result<(), LedgerStartError> {
        let halted = read_halt(&ledger)?;
        tokio::spawn(submission::forward(ledger.clone(), self.peers.clone(), control.clone()));
        let control = control.clone();
        tokio::spawn(async move {
            let tip = match halted {
                None => self.catch_up(&ledger, &control).await,
                Some(_) => self.tip,
            };
            let mut observer = match observer_on(&ledger, tip, self.own) {
                Ok(observer) => observer,
                Err(error) => super::stop_process(&error),
            };
            if let Some(report) = halted {
                observer.resume_halt(report);
            }
            let (feed, feeder, peers) = (self.feed, self.feeder, self.peers);
            ObserverDriver { observer, ledger, peers, control, feed, feeder, applied: None }.run().await;
        });
        Ok(())
    }

    /// Fetches a certified snapshot when this node is far behind; from another peer when one's is refused. A node that is
    /// not far behind, or that eight peers in turn fail, follows block by block.
    async fn catch_up(&self, ledger: &LedgerHandle, control: &Control) -> FinalTip {
        for attempt in 0..SNAPSHOT_ATTEMPTS {
            // Without a peer there is nothing to follow block by block either.
            let (node, peer) = loop {
                match self.peers.to_ask(attempt) {
                    Some(found) => break found,
                    None => tokio::time::sleep(PEER_WAIT).await,
                }
            };
            match sync::tip_of(control, peer).await {
                Ok(height) if height.0 < self.tip.height.0.saturating_add(self.snapshot_after_blocks) => {
                    return self.tip;
                }
                Ok(height) => match sync::take_snapshot(ledger, control, peer).await {
                    Ok(tip) => {
                        tracing::info!(height = %tip.height, of = %height, %node, "state synced from a certified snapshot");
                        ledger.refresh_roster();
                        ledger.set_tip(FinalBlockTip { height: tip.height, time: tip.time, block: tip.block });
                        return tip;
                    }
                    Err(error) => tracing::warn!(%error, %node, "this peer's snapshot was not taken"),
                },
                Err(error) => tracing::debug!(%error, %node, "this peer did not say how far it is"),
            }
        }
        self.tip
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
        let validators = self.handle.read(|state| query::validator_set(state));
        let valid = validators.is_ok_and(|set| announcement.certificate.verify(&set, &self.handle.context()).is_ok());
        if !valid {
            return Verdict::Reject;
        }
        self.sink.take(from, announcement);
        Verdict::Accept
    }
}
