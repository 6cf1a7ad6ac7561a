//! A running group.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, InitializeError, RaftError};
use openraft::impls::EmptyNode;
use openraft::type_config::{AsyncRuntime, TypeConfigExt};
use openraft::{ChangeMembers, Instant as _, Raft};

use crate::app::{Application, LogPosition};
use crate::group::{GroupId, MemberId};
use crate::raft::frame::{PeerCheck, Sender};
use crate::raft::gate::Gate;
use crate::raft::network::Network;
use crate::raft::succession::{Heir, TAKE_OVER_MAX, successor};
use crate::raft::type_config::{RaftConfig, position};
use crate::raft::{
    GroupConfig, GroupError, Leadership, LeadershipWatch, LogStore, Opaque, ProposeError, RaftLog, StateMachine, serve,
};
use crate::storage::KvStore;
use crate::transport::{MAX_ENTRY_BYTES, RaftLane, Transport};

/// Proposals of one group that may wait for their response at once.
pub const MAX_PROPOSALS_IN_FLIGHT: usize = 1024;

/// An ordered entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Where it stands in the log.
    pub position: LogPosition,
    /// What the application answered.
    pub response: Bytes,
}

/// One group on one node; clones are handles of the same.
pub struct Group<RT: AsyncRuntime> {
    config: GroupConfig,
    raft: Raft<RaftConfig<RT>, StateMachine<RT>>,
    machine: StateMachine<RT>,
    check: PeerCheck,
    gate: Arc<Gate>,
    in_flight: Arc<AtomicUsize>,
}

impl<RT: AsyncRuntime> Clone for Group<RT> {
    fn clone(&self) -> Self {
        Self {
            config: self.config,
            raft: self.raft.clone(),
            machine: self.machine.clone(),
            check: Arc::clone(&self.check),
            gate: Arc::clone(&self.gate),
            in_flight: Arc::clone(&self.in_flight),
        }
    }
}

/// Gives a proposal's place back, however the proposal ends.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<RT: AsyncRuntime> Group<RT> {
    /// Opens the group's log, brings the application up to the last committed entry known here, and joins in.
    ///
    /// # Errors
    /// [`GroupError`] when the configuration contradicts itself, the log cannot be trusted or the store fails.
    pub async fn start(
        config: GroupConfig,
        store: Arc<dyn KvStore>,
        transport: Arc<dyn Transport>,
        check: PeerCheck,
        app: Box<dyn Application>,
    ) -> Result<Self, GroupError> {
        let group = config.id;
        let log_error = |source| GroupError::Log { group, source };
        let openraft_config = Arc::new(config.openraft()?);
        let log = RaftLog::open(Arc::clone(&store), group, config.durability).map_err(log_error)?;
        let gate = Arc::new(Gate::new(group, app.admission()));
        let machine = StateMachine::open(store, group, app).map_err(log_error)?;
        let me = Sender { member: config.me, store_id: config.store_id };
        let network = Network::<RT> { group, me, transport, check: Arc::clone(&check), runtime: PhantomData };
        let log = LogStore::<RT>::new(Arc::new(log));
        let log = if machine.may_wait() { log.untold() } else { log };
        let started = Raft::new(config.me, openraft_config, network, log, machine.clone()).await;
        let raft = started.map_err(|e| GroupError::Stopped { group, reason: e.to_string() })?;
        Ok(Self { config, raft, machine, check, gate, in_flight: Arc::new(AtomicUsize::new(0)) })
    }

    /// The group's name.
    #[must_use]
    pub const fn id(&self) -> GroupId {
        self.config.id
    }

    /// Gives a new group its first members, all voters. Every one of them may call this, with the same list; doing so
    /// again changes nothing.
    ///
    /// # Errors
    /// [`GroupError::NotAMember`] if the list lacks this node, [`GroupError::Stopped`].
    pub async fn initialize(&self, members: &BTreeSet<MemberId>) -> Result<(), GroupError> {
        let nodes: BTreeMap<_, _> = members.iter().map(|member| (*member, EmptyNode::new())).collect();
        match self.raft.initialize(nodes).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotInMembers(_))) => {
                Err(GroupError::NotAMember { group: self.id(), me: self.config.me })
            }
            Err(RaftError::Fatal(fatal)) => Err(self.stopped(&fatal)),
        }
    }

    /// Orders an entry: returns once it is committed and this node has applied it. Without a majority it waits; put a
    /// time limit around it, and treat running out of time like [`ProposeError::Uncertain`].
    ///
    /// # Errors
    /// [`ProposeError`]; only `Uncertain` and `Stopped` leave open whether the entry will be ordered.
    pub async fn propose(&self, entry: impl Into<Bytes>) -> Result<Proposed, ProposeError> {
        let entry = entry.into();
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(ProposeError::TooLarge { bytes: entry.len(), limit: MAX_ENTRY_BYTES });
        }
        if self.gate.is_read_only() {
            return Err(ProposeError::ReadOnly);
        }
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.in_flight);
        if before >= MAX_PROPOSALS_IN_FLIGHT {
            return Err(ProposeError::Busy { in_flight: before, limit: MAX_PROPOSALS_IN_FLIGHT });
        }
        let written = self.raft.client_write(Opaque(entry)).await;
        drop(place);
        match written {
            Ok(written) => Ok(Proposed { position: position(&written.log_id), response: written.data.0 }),
            Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(forward))) => {
                Err(ProposeError::Uncertain { leader: forward.leader_id })
            }
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Err(ProposeError::NotLeader { leader: forward.leader_id })
            }
            // The rest belongs to changes of members and conditional writes, which a proposal never is.
            Err(RaftError::APIError(_)) => Err(ProposeError::NotLeader { leader: None }),
            Err(RaftError::Fatal(_)) => Err(ProposeError::Stopped),
        }
    }

    /// Answers a request of the member `from`, whom the bridge has authenticated.
    pub async fn handle(&self, from: MemberId, lane: RaftLane, request: &[u8]) -> Bytes {
        let me = Sender { member: self.config.me, store_id: self.config.store_id };
        let answering = serve::Answering { raft: &self.raft, machine: &self.machine, gate: &self.gate };
        serve::serve(&answering, me, &self.check, from, lane, request).await
    }

    /// Term, leader, and whether it is this node.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        Leadership::of(&self.raft.server_metrics().borrow_watched())
    }

    /// Hears of changes of leadership.
    #[must_use]
    pub fn watch(&self) -> LeadershipWatch<RT> {
        LeadershipWatch::new(self.raft.server_metrics())
    }

    /// The leader, if one is known.
    #[must_use]
    pub fn leader(&self) -> Option<MemberId> {
        self.leadership().leader
    }

    /// The current term.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.leadership().term
    }

    /// Whether this node leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leadership().is_leader
    }

    /// Whether this node leads and has applied everything its predecessors left: only then may it propose on top.
    #[must_use]
    pub fn is_ready_leader(&self) -> bool {
        let now = self.leadership();
        now.is_leader && self.last_applied().is_some_and(|applied| applied.term == now.term)
    }

    /// The last entry the application was given.
    #[must_use]
    pub fn last_applied(&self) -> Option<LogPosition> {
        self.raft.metrics().borrow_watched().last_applied.as_ref().map(position)
    }

    /// The voters, by the newest membership in the log.
    #[must_use]
    pub fn voters(&self) -> BTreeSet<MemberId> {
        self.raft.server_metrics().borrow_watched().membership_config.voter_ids().collect()
    }

    /// Asks another voter to take over. Returns once the request is out; watch the leadership for the outcome.
    ///
    /// # Errors
    /// [`GroupError::Stopped`].
    pub async fn transfer_leader(&self, to: MemberId) -> Result<(), GroupError> {
        self.raft.trigger().transfer_leader(to).await.map_err(|fatal| self.stopped(&fatal))
    }

    /// Hands leadership on if this node has it, and returns once another leads: to the voter that is furthest along among those
    /// heard of lately, to the next one if that does not take it. Returns early when there is nobody, and after `within` whatever
    /// comes of it. Whether this node is without the office then.
    pub async fn hand_over(&self, within: Duration) -> bool {
        if !self.is_leader() {
            return true;
        }
        let handed = RaftConfig::<RT>::timeout(within, self.ask_each_in_turn()).await;
        if handed.is_err() || self.is_leader() {
            tracing::warn!(group = %self.id(), "no other voter took over leadership; the others have to elect");
        }
        !self.is_leader()
    }

    async fn ask_each_in_turn(&self) {
        let mut asked = BTreeMap::new();
        while self.is_leader() {
            let Some(to) = self.successor(&asked) else { return };
            *asked.entry(to).or_default() += 1;
            if self.transfer_leader(to).await.is_err() {
                return;
            }
            // Who does not answer in time is asked again after the others.
            RaftConfig::<RT>::timeout(TAKE_OVER_MAX, self.another_leads()).await.ok();
        }
        self.another_leads().await;
    }

    fn successor(&self, asked: &BTreeMap<MemberId, u32>) -> Option<MemberId> {
        let receiver = self.raft.metrics();
        let metrics = receiver.borrow_watched();
        let (matched, heard) = (metrics.replication.as_ref()?, metrics.heartbeat.as_ref()?);
        let lease = Duration::from_millis(self.config.timing.election_max_ms);
        let others = metrics.membership_config.voter_ids().filter(|member| *member != self.config.me);
        successor(others.map(|member| Heir {
            member,
            matched: matched.get(&member).and_then(Option::as_ref).map(|id| id.index),
            is_heard: heard.get(&member).and_then(Option::as_ref).is_some_and(|at| at.elapsed() < lease),
            asked: asked.get(&member).copied().unwrap_or_default(),
        }))
    }

    async fn another_leads(&self) {
        let mut watch = self.watch();
        while let Some(now) = watch.changed().await {
            if now.leader.is_some_and(|leader| leader != self.config.me) {
                return;
            }
        }
    }

    /// Whether this node may write no more, for want of room on its disk: then it proposes nothing, takes no entries, votes for
    /// nobody and does not stand for election. It still hears who leads. One that leads should [hand over](Self::hand_over) as well.
    pub fn set_read_only(&self, read_only: bool) {
        self.gate.set_read_only(read_only);
        self.raft.runtime_config().elect(!read_only);
    }

    /// Lets a node follow without a vote; returns once it has caught up. Leader only.
    ///
    /// # Errors
    /// [`GroupError::NotLeader`], [`GroupError::Membership`], [`GroupError::Stopped`].
    pub async fn add_learner(&self, learner: MemberId) -> Result<(), GroupError> {
        let added = self.raft.add_learner(learner, EmptyNode::new(), true).await;
        added.map(drop).map_err(|e| self.change_error(e))
    }

    /// Changes the voters by joint consensus; each must have been added as a learner. Who is no longer a voter leaves.
    /// Leader only.
    ///
    /// # Errors
    /// [`GroupError::NotLeader`], [`GroupError::Membership`], [`GroupError::Stopped`].
    pub async fn set_voters(&self, voters: &BTreeSet<MemberId>) -> Result<(), GroupError> {
        let change = ChangeMembers::ReplaceAllVoters(voters.clone());
        let changed = self.raft.change_membership(change, false).await;
        changed.map(drop).map_err(|e| self.change_error(e))
    }

    /// Takes a snapshot now (on request, for tests and for shutting down quickly).
    ///
    /// # Errors
    /// [`GroupError::Stopped`].
    pub async fn snapshot_now(&self) -> Result<(), GroupError> {
        self.raft.trigger().snapshot().await.map_err(|fatal| self.stopped(&fatal))
    }

    /// Stops the group; proposals on their way end in [`ProposeError::Stopped`].
    pub async fn shutdown(&self) {
        // The error is that the core's task had panicked; it is stopped either way.
        if let Err(error) = self.raft.shutdown().await {
            tracing::error!(group = %self.id(), %error, "the group's core ended badly");
        }
    }

    fn stopped(&self, fatal: &openraft::errors::Fatal<RaftConfig<RT>>) -> GroupError {
        GroupError::Stopped { group: self.id(), reason: fatal.to_string() }
    }

    fn change_error(&self, error: RaftError<RaftConfig<RT>, ClientWriteError<RaftConfig<RT>>>) -> GroupError {
        match error {
            RaftError::Fatal(fatal) => self.stopped(&fatal),
            RaftError::APIError(
                ClientWriteError::ForwardToLeader(forward) | ClientWriteError::LogEntryDiscarded(forward),
            ) => GroupError::NotLeader { group: self.id(), leader: forward.leader_id },
            RaftError::APIError(other) => GroupError::Membership { group: self.id(), reason: other.to_string() },
        }
    }
}
