//! What this node does in each epoch: it votes if it has a seat, else it follows. Between two epochs it may become the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mesh30k_chain::{Core, Hooks, LedgerApp, Shared, Successor, Validator};
use mesh30k_consensus::finality::{ChainTracker, FinalTip, HaltReport, Observer, Proposer, TrackerConfig};
use mesh30k_consensus::group::GroupId;
use mesh30k_consensus::raft::GroupSet;
use mesh30k_ledger::finality::ValidatorSet;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::query;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{AccountId, Epoch, Hash, NodeId, Round, TimeMs};
use mesh30k_p2p::{Control, Inbox};
use tokio::sync::{Notify, mpsc};

use super::driver::{Ended, ValidatorDriver};
use super::halt;
use super::handle::{FinalBlockTip, LedgerHandle, ValidatorSide};
use super::observer::{Feed, ObserverDriver};
use super::peers::Peers;
use super::snapshot_sync::SnapshotSync;
use super::start::{LedgerStartError, open_sign_log};
use crate::clock;
use crate::lanes;
use crate::process_groups::ProcessGroups;
use crate::raft_runtime::RaftRuntime;

/// How long the group of an epoch that is over here goes on, so that members that are a little behind hear of its last block.
const GROUP_LINGERS: Duration = Duration::from_secs(3);

/// Runs one epoch after the other.
pub(super) struct Epochs {
    pub(super) ledger: LedgerHandle,
    pub(super) key: SecretKey,
    /// The node's own account.
    pub(super) account: AccountId,
    pub(super) sign_log: PathBuf,
    pub(super) snapshot_after_blocks: u64,
    pub(super) peers: Peers,
    pub(super) control: Control,
    pub(super) feeder: mpsc::Sender<Feed>,
    pub(super) feed: mpsc::Receiver<Feed>,
    /// Taken when the node first becomes a validator.
    pub(super) votes: Option<Inbox>,
}

/// What the ledger says of the epoch that begins, read at once.
struct Epochal {
    epoch: Epoch,
    round: Round,
    validators: ValidatorSet,
    tip: FinalTip,
    halted: Option<HaltReport>,
}

/// This node's part in an epoch.
enum Part {
    Validator(Box<ValidatorDriver>, Seat),
    Observer(Box<ObserverDriver>),
}

/// Where a validator votes.
struct Seat {
    votes: Inbox,
    groups: GroupSet<RaftRuntime>,
    group: GroupId,
}

impl Epochs {
    /// Begins the epoch the ledger is in. A validator's group runs when this returns.
    ///
    /// # Errors
    /// State that can't be read, a group or a lane that can't be started.
    pub(super) async fn start(mut self, groups: Arc<ProcessGroups>) -> Result<(), LedgerStartError> {
        let first = self.begin(&groups).await?;
        tokio::spawn(self.run(first, groups));
        Ok(())
    }

    async fn run(mut self, first: Part, groups: Arc<ProcessGroups>) {
        if matches!(first, Part::Observer(_)) {
            self.ledger.disk().writable().await;
        }
        let mut part = match first {
            Part::Observer(_) if self.ledger.halted().is_none() && self.catch_up().await => self.go_on(&groups).await,
            other => other,
        };
        loop {
            let ended = match part {
                Part::Validator(driver, mut seat) => {
                    let ended = driver.run(&mut seat.votes).await;
                    self.votes = Some(seat.votes);
                    tokio::spawn(linger(seat.groups, seat.group));
                    ended
                }
                Part::Observer(driver) => driver.run(&mut self.feed).await,
            };
            if ended == Ended::Closed {
                return;
            }
            part = self.go_on(&groups).await;
        }
    }

    async fn go_on(&mut self, groups: &ProcessGroups) -> Part {
        match self.begin(groups).await {
            Ok(part) => part,
            Err(error) => super::stop_process(&error),
        }
    }

    async fn begin(&mut self, groups: &ProcessGroups) -> Result<Part, LedgerStartError> {
        let epochal = self.read()?;
        self.peers.follow(epochal.validators.clone());
        let seat = epochal.validators.0.iter().find(|seat| seat.key == self.key.public()).map(|seat| seat.node);
        let (epoch, validators) = (epochal.epoch, epochal.validators.len());
        match seat {
            Some(me) => {
                tracing::info!(%epoch, validators, node = %me, "this node is a validator");
                self.vote(me, epochal, groups).await
            }
            None => {
                tracing::info!(%epoch, validators, "this node follows the validators");
                Ok(Part::Observer(Box::new(self.observe(epochal)?)))
            }
        }
    }

    fn read(&self) -> Result<Epochal, LedgerStartError> {
        let store = self.ledger.store();
        let (epoch, validators, here) = self.ledger.read(|state| {
            Ok::<_, StateError>((query::epoch(state)?, query::validator_set(state)?, query::tip(state)?))
        })?;
        let genesis = FinalTip { height: here.height, block: here.block, commitment: Hash::ZERO, time: here.time };
        let tip = store.final_tip()?.unwrap_or(genesis);
        let path = self.ledger.halt_path();
        let halted = halt::read(&path).map_err(|source| LedgerStartError::File { path, source })?;
        if let Some(report) = &halted {
            self.ledger.set_halted(report);
        }
        Ok(Epochal { epoch, round: here.round, validators, tip, halted })
    }

    async fn vote(&mut self, me: NodeId, epochal: Epochal, groups: &ProcessGroups) -> Result<Part, LedgerStartError> {
        let Epochal { epoch, round, validators, tip, halted } = epochal;
        let (context, store) = (self.ledger.context(), self.ledger.store().clone());
        let members = validators.0.iter().map(|seat| seat.node.0).collect();
        let validator_count = validators.len();
        let mut tracker = ChainTracker::new(TrackerConfig { context, validators, epoch, round, own: Some(me) }, tip);
        let log = open_sign_log(&self.sign_log, &store, me, &self.key, &tip)?;
        if log.is_none() {
            tracker.stop_voting();
        }
        if let Some(report) = halted {
            tracker.resume_halt(report);
        }
        let proposer = Proposer::new(TimeMs(clock::wall_ms()));
        let core = Core::new(tracker, proposer, store.clone(), Arc::clone(self.ledger.verdicts()));
        let (shared, woken) = shared_in_process(core);
        let validator = Validator::new(me, self.key.clone(), context, Arc::clone(&shared), log);
        let votes = match self.votes.take() {
            Some(votes) => votes,
            None => self.control.accept(lanes::VOTE)?,
        };
        let groups = groups.of(me)?;
        let id = GroupId::global(epoch.0, round.0);
        let group = groups.start(groups.preset(id), Box::new(LedgerApp::new(Arc::clone(&shared), store))).await?;
        self.ledger.take_turns_with_evidence(me, validator_count);
        self.ledger.set_validator(Some(ValidatorSide { shared: Arc::clone(&shared), group: group.clone() }));
        let initializer = group.clone();
        tokio::spawn(async move {
            if let Err(error) = initializer.initialize(&members).await {
                tracing::warn!(%error, "the validators' group could not be initialised");
            }
        });
        let (ledger, peers, control) = (self.ledger.clone(), self.peers.clone(), self.control.clone());
        let driver = ValidatorDriver { me, validator, shared, woken, group, ledger, peers, control };
        Ok(Part::Validator(Box::new(driver), Seat { votes, groups, group: id }))
    }

    fn observe(&self, epochal: Epochal) -> Result<ObserverDriver, LedgerStartError> {
        let Epochal { validators, tip, halted, .. } = epochal;
        self.ledger.set_validator(None);
        let own = self.ledger.read(|state| query::node_of_account(state, &self.account))?;
        let mut observer = Observer::new(self.ledger.context(), validators, tip, own);
        if let Some(report) = halted {
            observer.resume_halt(report);
        }
        Ok(ObserverDriver {
            observer,
            successor: Successor::default(),
            own,
            ledger: self.ledger.clone(),
            peers: self.peers.clone(),
            control: self.control.clone(),
            feeder: self.feeder.clone(),
            applied: None,
            is_epoch_over: false,
        })
    }

    /// Fetches a certified snapshot when this node is far behind; one that is not, or that nobody has one for, follows block by block. Tells
    /// whether the state is another one now.
    async fn catch_up(&self) -> bool {
        let ledger = &self.ledger;
        let sync = SnapshotSync::new(ledger, &self.control, &self.peers, self.snapshot_after_blocks);
        let Some(tip) = sync.run().await else { return false };
        tracing::info!(height = %tip.height, "state synced from a certified snapshot");
        ledger.refresh_roster();
        ledger.set_tip(FinalBlockTip { height: tip.height, time: tip.time, block: tip.block });
        true
    }
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

async fn linger(groups: GroupSet<RaftRuntime>, group: GroupId) {
    tokio::time::sleep(GROUP_LINGERS).await;
    // A node that closes has stopped it by itself.
    groups.stop(group).await.ok();
}
