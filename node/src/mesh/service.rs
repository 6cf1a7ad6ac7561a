//! Starting and ending the mesh's loops; the one place where gossip comes in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh30k_consensus::raft::GroupSet;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::types::NodeId;
use mesh30k_p2p::{AcceptError, Control, PeerId, Token, Verdict};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::beats::{Dispatcher, LeadDesk, run_host, run_lead, serve};
use super::clock;
use super::freeze::{self, FreezeHandle};
use super::handle::MeshHandle;
use super::ledger::MeshLedger;
use super::post::{PostParts, Postbox};
use super::reports::AgentReports;
use super::trends::{self, SharedTrends};
use crate::lanes;
use crate::raft_runtime::RaftRuntime;
use crate::roster::SharedRoster;
use crate::sectors::{SectorParts, SectorService};
use crate::telemetry::Metrics;

/// Wishes of coordinators that wait for the host's loop, at most.
const HOST_SIGNALS: usize = 64;
/// How long a farewell may take to leave.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What the mesh is made of.
pub struct MeshParts {
    /// This node's number on the ledger.
    pub me: NodeId,
    /// The key the ledger has as this node's host key (`NodeIdentity::account`).
    pub key: SecretKey,
    /// The network.
    pub control: Control,
    /// Who is where, kept up to date by the ledger.
    pub roster: SharedRoster,
    /// The Raft groups of this process.
    pub groups: GroupSet<RaftRuntime>,
    /// The ledger.
    pub ledger: Arc<dyn MeshLedger>,
    /// How the hosted agents fare.
    pub reports: Arc<dyn AgentReports>,
    /// Counters.
    pub metrics: Metrics,
}

/// The running mesh of this node.
pub struct MeshService {
    handle: MeshHandle,
    control: Control,
    stop: CancellationToken,
    host: Mutex<Option<JoinHandle<()>>>,
}

impl MeshService {
    /// Starts everything. The node must stand on its own ledger (and roster) already.
    ///
    /// # Errors
    /// [`AcceptError`] when lane "beat" is taken.
    pub fn start(parts: MeshParts) -> Result<Self, AcceptError> {
        let MeshParts { me, key, control, roster, groups, ledger, reports, metrics } = parts;
        let stop = CancellationToken::new();
        let inbox = control.accept(lanes::BEAT)?;
        let context = ledger.context();
        let post = PostParts { me, context, key, control: control.clone(), roster, metrics };
        let (post, local) = Postbox::new(post);
        let sectors = SectorService::start(SectorParts {
            post: post.clone(),
            groups,
            ledger: Arc::clone(&ledger),
            stop: stop.clone(),
        });
        let freezes = FreezeHandle::new(Arc::clone(&ledger), post.clone());
        let desk = LeadDesk::default();
        let (host_signals, signals) = mpsc::channel(HOST_SIGNALS);
        let dispatcher = Dispatcher {
            post: post.clone(),
            sectors: sectors.clone(),
            ledger: Arc::clone(&ledger),
            desk: desk.clone(),
            host: host_signals,
        };
        tokio::spawn(serve(dispatcher, inbox, local, stop.clone()));
        tokio::spawn(run_lead(desk, post.clone(), sectors.clone(), stop.clone()));
        tokio::spawn(clock::run(me, ledger, post.clone(), stop.clone()));
        tokio::spawn(freeze::run(freezes.clone(), stop.clone()));
        tokio::spawn(subscribe_to_freezes(control.clone(), stop.clone()));
        let host = tokio::spawn(run_host(post.clone(), sectors.clone(), reports, signals, stop.clone()));
        let trends = SharedTrends::default();
        tokio::spawn(trends::run(trends.clone(), sectors.clone(), stop.clone()));
        let handle = MeshHandle::new(post, sectors, freezes, trends);
        Ok(Self { handle, control, stop, host: Mutex::new(Some(host)) })
    }

    /// The handle for everybody else.
    #[must_use]
    pub const fn handle(&self) -> &MeshHandle {
        &self.handle
    }

    /// Takes a gossiped message of the topics "freeze", "summary" and "sector/…" and gives its verdict; false when the
    /// topic is not the mesh's, and the verdict is left to others.
    #[must_use = "a message of another topic still needs its verdict"]
    pub fn on_gossip(&self, topic: &str, from: PeerId, data: &[u8], token: Token) -> bool {
        let verdict = match topic {
            lanes::TOPIC_FREEZE => self.handle.freezes().on_gossip(data),
            lanes::TOPIC_SUMMARY => self.handle.sectors().on_gossip(data),
            topic if topic.starts_with(lanes::TOPIC_SECTOR_PREFIX) => self.handle.sectors().on_gossip(data),
            _ => return false,
        };
        if verdict == Verdict::Reject {
            tracing::debug!(topic, %from, "a gossiped message was rejected");
        }
        if let Err(error) = self.control.validate(token, verdict) {
            tracing::debug!(topic, %error, "a verdict came to nothing");
        }
        true
    }

    /// A peer's last connection is gone: the coordinators on this node need not wait for its silence.
    pub fn on_peer_down(&self, peer: &PeerId) {
        let Some(node) = self.handle.roster().node_of(peer) else { return };
        for (_, seat) in self.handle.sectors().seats() {
            seat.lock().duties.on_down(node);
            seat.wake();
        }
    }

    /// Says farewell for the hosted agents and ends all loops. The groups are the caller's to stop.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let host = self.take_host();
        if let Some(host) = host
            && tokio::time::timeout(FAREWELL_TIMEOUT, host).await.is_err()
        {
            tracing::warn!("the farewell to the mesh took too long and was left out");
        }
    }

    /// Ends all loops without a farewell, as a crash would.
    #[cfg(test)]
    pub(crate) fn abort(&self) {
        if let Some(host) = self.take_host() {
            host.abort();
        }
        self.stop.cancel();
    }

    fn take_host(&self) -> Option<JoinHandle<()>> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How often a refused subscription is tried again.
const SUBSCRIBE_EVERY: Duration = Duration::from_secs(1);

async fn subscribe_to_freezes(control: Control, stop: CancellationToken) {
    while let Err(error) = control.subscribe(lanes::TOPIC_FREEZE).await {
        tracing::warn!(%error, "freezes can't be subscribed to");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SUBSCRIBE_EVERY) => {}
        }
    }
}
