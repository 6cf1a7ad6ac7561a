//! What the rest of the node sees of the ledger.

mod intake;
mod proofs;

pub(crate) use intake::Origin;
pub use intake::SubmitError;
pub use proofs::StateProofError;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use mesh30k_chain::{LedgerStore, Mempool, Shared, StoredBlock, Verdicts};
use mesh30k_consensus::finality::HaltReport;
use mesh30k_consensus::finality::halt::RECOVER_COMMAND;
use mesh30k_consensus::raft::Group;
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::outcome::Outcome;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::{ChangeSet, StateError, StateRead};
use mesh30k_ledger::topology::TopologyChanges;
use mesh30k_ledger::types::{Hash, Height, NodeId, TimeMs, TxId};
use mesh30k_p2p::Control;
use tokio::sync::{Notify, watch};

use super::admission::Admission;
use super::evidence::EvidenceDesk;
use super::halt;
use super::recent::RecentFinals;
use super::submission::Outbox;
use super::wire::{ANNOUNCED_BLOCK_BYTES_MAX, ANNOUNCED_BLOCK_TRANSACTIONS_MAX, Announcement};
use crate::clock;
use crate::disk::DiskHandle;
use crate::lanes;
use crate::raft_runtime::RaftRuntime;
use crate::roster::{Roster, RosterNode, SharedRoster};
use crate::telemetry::Metrics;

/// A chain that made no block for so long stands still, ms: twelve times the pause of an idle one.
const STALLED_MS: u64 = 60_000;

/// The last final block here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinalBlockTip {
    /// Its height.
    pub height: Height,
    /// Its block time.
    pub time: TimeMs,
    /// Its name.
    pub block: Hash,
}

/// How far a transaction has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxStatus {
    /// Not seen here.
    Unknown,
    /// Kept here until it is ordered or expires.
    Accepted,
    /// In a block that the validators ordered and that is durable; not certified yet.
    Ordered(Height),
    /// In a certified block, with what came of it.
    Final(Height, Outcome),
}

/// One look at the chain.
#[derive(Clone, Debug)]
pub struct ChainStatus {
    /// The last final block.
    pub tip: FinalBlockTip,
    /// Height of the last ordered block known here.
    pub ordered_height: Height,
    /// Whether this node votes on blocks.
    pub is_validator: bool,
    /// Who leads the global group, where known.
    pub leader: Option<NodeId>,
    /// Why the chain stands still, if it does.
    pub halted: Option<String>,
    /// Transactions waiting here.
    pub pool: usize,
}

/// The validator's side of a handle.
pub(crate) struct ValidatorSide {
    pub(crate) shared: Arc<Shared>,
    pub(crate) group: Group<RaftRuntime>,
}

struct Inner {
    context: ChainContext,
    genesis: Genesis,
    store: LedgerStore,
    roster: SharedRoster,
    verdicts: Arc<Verdicts>,
    pool: Mutex<Mempool>,
    pool_changed: Notify,
    admission: Admission,
    outbox: Outbox,
    outbox_filled: Notify,
    recent: RecentFinals,
    /// Who proposed the last final block, as far as known: most likely the leader.
    proposer: AtomicU64,
    finals: watch::Sender<FinalBlockTip>,
    halted: ArcSwapOption<String>,
    halt_path: PathBuf,
    evidence: EvidenceDesk,
    validator: ArcSwapOption<ValidatorSide>,
    control: Control,
    metrics: Metrics,
    disk: DiskHandle,
}

/// The ledger of this node.
#[derive(Clone)]
pub struct LedgerHandle(Arc<Inner>);

/// What a handle is made of.
pub(crate) struct HandleParts {
    pub(crate) genesis: Genesis,
    pub(crate) store: LedgerStore,
    pub(crate) roster: SharedRoster,
    pub(crate) tip: FinalBlockTip,
    pub(crate) halt_path: PathBuf,
    pub(crate) evidence: EvidenceDesk,
    pub(crate) control: Control,
    pub(crate) metrics: Metrics,
    pub(crate) admission: Admission,
    pub(crate) disk: DiskHandle,
}

impl LedgerHandle {
    pub(crate) fn new(parts: HandleParts) -> Self {
        Self(Arc::new(Inner {
            context: parts.genesis.context(),
            genesis: parts.genesis,
            store: parts.store,
            roster: parts.roster,
            verdicts: Arc::new(Verdicts::default()),
            pool: Mutex::new(Mempool::default()),
            pool_changed: Notify::new(),
            admission: parts.admission,
            outbox: Outbox::default(),
            outbox_filled: Notify::new(),
            recent: RecentFinals::default(),
            proposer: AtomicU64::new(0),
            finals: watch::Sender::new(parts.tip),
            halted: ArcSwapOption::empty(),
            halt_path: parts.halt_path,
            evidence: parts.evidence,
            validator: ArcSwapOption::empty(),
            control: parts.control,
            metrics: parts.metrics,
            disk: parts.disk,
        }))
    }

    /// The chain.
    #[must_use]
    pub fn context(&self) -> ChainContext {
        self.0.context
    }

    /// Its genesis.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.0.genesis
    }

    /// Reads state at the last final block: whole blocks, never half of one.
    pub fn read<T>(&self, read: impl FnOnce(&dyn StateRead) -> T) -> T {
        let _reading = self.0.store.reading();
        read(&self.0.store)
    }

    /// Final blocks and indexes.
    #[must_use]
    pub fn store(&self) -> &LedgerStore {
        &self.0.store
    }

    /// Nodes, agents and sectors at the last final block.
    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        self.0.roster.load()
    }

    /// How far a transaction has come.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn status_of(&self, id: &TxId) -> Result<TxStatus, StateError> {
        if let Some((height, outcome)) = self.0.recent.get(id) {
            return Ok(TxStatus::Final(height, outcome));
        }
        let failed = |error: mesh30k_consensus::storage::StoreError| StateError::Storage(error.to_string());
        if let Some((height, index)) = self.0.store.transaction(id).map_err(failed)? {
            let stored = self.0.store.block(height).map_err(failed)?;
            if let Some(outcome) = stored.and_then(|stored| stored.outcomes.into_iter().nth(index)) {
                return Ok(TxStatus::Final(height, outcome));
            }
        }
        if let Some(height) = self.validator().and_then(|side| side.shared.core().ordered(id)) {
            return Ok(TxStatus::Ordered(height));
        }
        Ok(if self.pool().contains(id) { TxStatus::Accepted } else { TxStatus::Unknown })
    }

    /// Waits until a transaction is final, at most `timeout`; then says how far it has come.
    ///
    /// # Errors
    /// Storage that fails.
    pub async fn wait_final(&self, id: &TxId, timeout: Duration) -> Result<TxStatus, StateError> {
        let mut finals = self.finals();
        let first = self.status_of(id)?;
        if matches!(first, TxStatus::Final(..)) || timeout.is_zero() {
            return Ok(first);
        }
        let wait = async { while self.0.recent.get(id).is_none() && finals.changed().await.is_ok() {} };
        // Either way, what is said is how far it has come.
        let _ = tokio::time::timeout(timeout, wait).await;
        self.status_of(id)
    }

    /// Waits until all of these are final, at most `timeout`; gives those that are, in no particular order.
    pub async fn wait_all(&self, ids: Vec<TxId>, timeout: Duration) -> Vec<(Height, Outcome)> {
        let mut finals = self.finals();
        let (mut left, mut done) = (ids, Vec::new());
        let wait = async {
            loop {
                left.retain(|id| self.0.recent.get(id).map(|found| done.push(found)).is_none());
                if left.is_empty() || finals.changed().await.is_err() {
                    return;
                }
            }
        };
        // What is not final in time is not among the answers.
        let _ = tokio::time::timeout(timeout, wait).await;
        done
    }

    /// Told of every block that becomes final here.
    #[must_use]
    pub fn finals(&self) -> watch::Receiver<FinalBlockTip> {
        self.0.finals.subscribe()
    }

    /// One look at the chain.
    #[must_use]
    pub fn chain_status(&self) -> ChainStatus {
        let tip = *self.0.finals.borrow();
        let side = self.validator();
        ChainStatus {
            tip,
            ordered_height: side.as_ref().map_or(tip.height, |side| side.shared.core().tip_header().0),
            is_validator: side.is_some(),
            leader: side.as_ref().and_then(|side| side.group.leader()).map(NodeId),
            halted: self.halted(),
            pool: self.pool().len(),
        }
    }

    /// What to say when no block has become final for a minute: an idle chain makes one every five seconds.
    #[must_use]
    pub fn stalled(&self) -> Option<String> {
        let tip = *self.0.finals.borrow();
        let still_ms = clock::wall_ms().saturating_sub(tip.time.0);
        let is_waiting = self.halted().is_some() || self.disk().is_read_only();
        (!is_waiting && tip.height.0 > 0 && still_ms > STALLED_MS).then(|| {
            format!(
                "no block has become final here for {} s, the last is {}: fewer than two thirds of the validators agree or can be \
                 reached; if so many are lost for good, see `{RECOVER_COMMAND}` and docs/operating/recovery.md",
                still_ms / 1_000,
                tip.height
            )
        })
    }

    /// Why the chain stands still, if it does.
    #[must_use]
    pub fn halted(&self) -> Option<String> {
        self.0.halted.load_full().map(|reason| reason.as_ref().clone())
    }

    pub(crate) fn set_halted(&self, report: &HaltReport) {
        self.0.halted.store(Some(Arc::new(report.sentence.clone())));
    }

    /// Writes down why the chain is halted here, with the evidence, and stops taking transactions.
    pub(crate) fn halt(&self, report: &HaltReport) {
        halt::write(&self.0.halt_path, report);
        for evidence in report.evidence() {
            self.keep_evidence(&evidence);
        }
        self.set_halted(report);
    }

    pub(crate) fn evidence_desk(&self) -> &EvidenceDesk {
        &self.0.evidence
    }

    pub(crate) fn halt_path(&self) -> PathBuf {
        self.0.halt_path.clone()
    }

    /// Room on the disk of this node.
    #[must_use]
    pub fn disk(&self) -> &DiskHandle {
        &self.0.disk
    }

    /// Tells the validator's side whether there is room to write; an observer's loop asks [`Self::disk`].
    pub(crate) fn set_read_only(&self, read_only: bool) {
        if let Some(side) = self.validator() {
            side.shared.core().set_read_only(read_only);
            side.shared.wake();
        }
    }

    /// What this node is in the epoch that begins: a validator, or not.
    pub(crate) fn set_validator(&self, side: Option<ValidatorSide>) {
        if let Some(side) = &side {
            side.shared.core().set_read_only(self.disk().is_read_only());
        }
        self.0.validator.store(side.map(Arc::new));
    }

    pub(crate) fn validator(&self) -> Option<Arc<ValidatorSide>> {
        self.0.validator.load_full()
    }

    pub(crate) fn verdicts(&self) -> &Arc<Verdicts> {
        &self.0.verdicts
    }

    pub(crate) fn shared_pool(&self) -> &Mutex<Mempool> {
        &self.0.pool
    }

    pub(crate) fn pool(&self) -> MutexGuard<'_, Mempool> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something new waits in the pool.
    pub(crate) async fn pool_changed(&self) {
        self.0.pool_changed.notified().await;
    }

    /// Something has to be sent to the validators.
    pub(crate) async fn outbox_filled(&self) {
        self.0.outbox_filled.notified().await;
    }

    /// What is on its way to the validators for the first time.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    /// Who most likely leads the global group.
    pub(crate) fn likely_leader(&self) -> Option<NodeId> {
        let proposer = NodeId(self.0.proposer.load(Ordering::Relaxed));
        match self.validator() {
            Some(side) => side.group.leader().map(NodeId),
            None => (proposer != NodeId(0)).then_some(proposer),
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Takes note of a block that is final now: everybody who waits is told, peers too when `announce`.
    pub(crate) fn publish(&self, stored: &StoredBlock, changes: &ChangeSet, transactions: &[TxId], announce: bool) {
        self.advance_pool(stored);
        self.0.recent.keep(stored.block.header.height, transactions, &stored.outcomes);
        self.0.proposer.store(stored.block.header.proposer.0, Ordering::Relaxed);
        self.follow_topology(changes);
        let header = stored.block.header;
        if announce {
            self.announce(stored);
        }
        self.0.metrics.blocks_final.inc();
        self.0.metrics.transactions_final.inc_by(transactions.len() as u64);
        self.0.metrics.final_height.set(i64::try_from(header.height.0).unwrap_or(i64::MAX));
        self.0.metrics.pool_transactions.set(i64::try_from(self.pool().len()).unwrap_or(i64::MAX));
        self.0.finals.send_replace(FinalBlockTip { height: header.height, time: header.time, block: header.id() });
    }

    /// Brings the roster up to a block that became final.
    fn follow_topology(&self, changes: &ChangeSet) {
        match TopologyChanges::of(changes) {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) if changes.removes => self.refresh_roster(),
            Ok(changes) => {
                let roster = self.roster().with(&changes);
                let changed = changes.nodes.iter().filter_map(|record| roster.nodes.get(&record.id));
                changed.for_each(|node| self.meet(node));
                self.0.roster.store(roster);
            }
            Err(error) => tracing::error!(%error, "what a block changed of the topology can't be read"),
        }
    }

    /// Reads the roster from state: at the start, or when state was replaced by a snapshot.
    pub(crate) fn refresh_roster(&self) {
        match self.read(Roster::read) {
            Ok(roster) => {
                roster.nodes.values().for_each(|node| self.meet(node));
                self.0.roster.store(roster);
            }
            Err(error) => tracing::error!(%error, "the topology can't be read from state"),
        }
    }

    /// Tells the network where a node can be reached.
    fn meet(&self, node: &RosterNode) {
        for address in node.addresses() {
            // An address that is refused is no use to anybody; discovery may know a better one.
            let _ = self.0.control.add_address(node.peer, address);
        }
    }

    pub(crate) fn set_tip(&self, tip: FinalBlockTip) {
        self.0.finals.send_replace(tip);
    }

    fn advance_pool(&self, stored: &StoredBlock) {
        let mut pool = self.pool();
        // Whatever came of a transaction in a block, its nonce is used.
        for signed in &stored.block.transactions {
            pool.advance(&signed.tx.account, signed.tx.nonce.saturating_add(1));
        }
        pool.expire(stored.block.header.time);
    }

    fn announce(&self, stored: &StoredBlock) {
        let is_short = stored.block.transactions.len() <= ANNOUNCED_BLOCK_TRANSACTIONS_MAX;
        let is_small = is_short && encode(&stored.block).len() <= ANNOUNCED_BLOCK_BYTES_MAX;
        let announcement = Announcement {
            header: stored.block.header,
            certificate: stored.certificate.clone(),
            block: is_small.then(|| stored.block.clone()),
        };
        // Nobody subscribed, or a full queue: observers ask for what they miss.
        let _ = self.0.control.publish(lanes::TOPIC_BLOCK, Bytes::from(encode(&announcement)));
    }
}

/// Where the report of a halt is kept.
pub(crate) fn halt_path(dir: &Path) -> PathBuf {
    dir.join("halted.json")
}
