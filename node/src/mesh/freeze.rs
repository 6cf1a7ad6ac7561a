//! Freezes and thaws: obeyed on receipt, gossiped at once, recorded on the ledger, which has the last word.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh30k_core::freeze::{FreezeBoard, Frozen, MAX_PENDING_ORDERS, Merged};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::ops::freeze::{FreezeOrder, OrderError, verify_order};
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{AgentId, ClusterId, Scope, TimeMs, TxId};
use mesh30k_p2p::Verdict;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ledger::MeshLedger;
use super::post::Postbox;
use crate::lanes;
use crate::ledger::SubmitError;

/// Even when nothing is to expire, the board is compared with the ledger this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why a freeze or thaw was not obeyed, or not recorded.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// It is none that the operators signed.
    #[error("the order is not obeyed")]
    Order(#[from] OrderError),
    /// The operators can't be read.
    #[error("the ledger can't be read")]
    State(#[from] StateError),
    /// It is in force by the operators' signatures, but the ledger does not take it.
    #[error("the order is in force, but the ledger does not record it")]
    NotRecorded(#[from] SubmitError),
}

/// What is frozen, at one instant. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct FreezeView {
    board: Arc<FreezeBoard>,
    /// The newest order that was received here, and when (mesh time); none before the first.
    pub last_order: Option<(TxId, TimeUs)>,
    /// Rises with every change.
    pub version: u64,
}

impl FreezeView {
    /// The board, for placement.
    #[must_use]
    pub fn board(&self) -> &FreezeBoard {
        &self.board
    }

    /// Whether an agent is frozen at `now`, by itself or by what it is part of.
    #[must_use]
    pub fn is_frozen(&self, agent: AgentId, cluster: ClusterId, now: TimeUs) -> bool {
        self.board.is_frozen(agent, cluster, now)
    }

    /// Whether a scope, or something that contains it, is frozen at `now`.
    #[must_use]
    pub fn covers(&self, scope: Scope, now: TimeUs) -> bool {
        let cluster_in = |cluster: ClusterId| [Scope::Cluster(cluster), Scope::Sector(cluster.sector)];
        let wider = match scope {
            Scope::Global => Vec::new(),
            Scope::Sector(_) | Scope::Agent(_) => vec![scope],
            Scope::Cluster(cluster) => cluster_in(cluster).to_vec(),
        };
        wider.into_iter().chain([Scope::Global]).any(|scope| self.board.scope(scope, now).is_some())
    }

    /// A view of a given board.
    #[cfg(test)]
    pub(in crate::mesh) fn for_tests(board: FreezeBoard, order: (TxId, TimeUs), version: u64) -> Self {
        Self { board: Arc::new(board), last_order: Some(order), version }
    }

    /// Everything frozen at `now`.
    #[must_use]
    pub fn list(&self, now: TimeUs) -> Vec<Frozen> {
        self.board.list(now)
    }
}

/// Is called at every change, before anything else is done, on the thread that learned of it; it must not wait.
pub trait FreezeSink: Send + Sync {
    /// What is frozen now.
    fn on_change(&self, view: &FreezeView);
}

#[derive(Default)]
struct Orders {
    board: FreezeBoard,
    /// Orders obeyed that the ledger did not have when last asked.
    unrecorded: BTreeSet<TxId>,
    last_order: Option<(TxId, TimeUs)>,
    /// What the last view said was frozen when it was published.
    published: Vec<Frozen>,
    version: u64,
}

struct Inner {
    ledger: Arc<dyn MeshLedger>,
    post: Postbox,
    orders: Mutex<Orders>,
    views: watch::Sender<FreezeView>,
    sink: Mutex<Option<Arc<dyn FreezeSink>>>,
}

/// The freezes of this node. Clones are the same.
#[derive(Clone)]
pub struct FreezeHandle(Arc<Inner>);

impl FreezeHandle {
    pub(super) fn new(ledger: Arc<dyn MeshLedger>, post: Postbox) -> Self {
        let views = watch::Sender::new(FreezeView::default());
        let orders = Mutex::new(Orders::default());
        Self(Arc::new(Inner { ledger, post, orders, views, sink: Mutex::new(None) }))
    }

    /// Whether a transaction is a freeze or thaw, which goes through [`Self::submit`].
    #[must_use]
    pub const fn is_order(signed: &SignedTransaction) -> bool {
        matches!(signed.tx.op, Operation::Freeze(_) | Operation::Thaw(_))
    }

    /// Obeys an order here, tells the mesh, and has it recorded.
    ///
    /// # Errors
    /// [`FreezeError`]; with [`FreezeError::NotRecorded`] it is in force all the same.
    pub fn submit(&self, signed: SignedTransaction) -> Result<TxId, FreezeError> {
        self.obey(&signed)?;
        self.0.post.publish_bytes(lanes::TOPIC_FREEZE, signed.to_bytes());
        Ok(self.0.ledger.submit(signed)?)
    }

    /// Obeys an order that came by gossip; the verdict says whether to relay it.
    #[must_use]
    pub fn on_gossip(&self, data: &[u8]) -> Verdict {
        let Ok(signed) = SignedTransaction::from_bytes(data) else { return Verdict::Reject };
        match self.obey(&signed) {
            Ok(_) => Verdict::Accept,
            Err(FreezeError::Order(OrderError::Expired { .. }) | FreezeError::State(_)) => Verdict::Ignore,
            Err(error) => {
                tracing::warn!(%error, "a gossiped freeze order was refused");
                Verdict::Reject
            }
        }
    }

    /// What is frozen now.
    #[must_use]
    pub fn view(&self) -> FreezeView {
        self.0.views.borrow().clone()
    }

    /// Told of every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<FreezeView> {
        self.0.views.subscribe()
    }

    /// Sets who is called at every change, and calls it once.
    pub fn set_sink(&self, sink: Arc<dyn FreezeSink>) {
        sink.on_change(&self.view());
        *self.0.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    fn obey(&self, signed: &SignedTransaction) -> Result<Merged, FreezeError> {
        let operators = self.0.ledger.operators()?;
        let now = self.0.post.now();
        let order = verify_order(signed, &operators, &self.0.ledger.context(), block_time(now))?;
        // An order that the ledger has is past: a thaw after it may already be in force.
        if self.0.ledger.is_recorded(&order.id)? {
            return Ok(Merged::Known);
        }
        Ok(self.merge(order, now))
    }

    fn merge(&self, order: FreezeOrder, now: TimeUs) -> Merged {
        let mut orders = self.orders();
        let id = order.id;
        let merged = orders.board.on_order(order, now);
        if merged == Merged::New {
            orders.unrecorded.insert(id);
            while orders.unrecorded.len() > MAX_PENDING_ORDERS {
                orders.unrecorded.pop_first();
            }
            orders.last_order = Some((id, now));
            self.0.post.metrics().freezes.inc();
            self.publish(&mut orders, now);
        }
        merged
    }

    /// Compares with the ledger at its last final block, and lets what has ended end.
    fn look(&self) -> Result<(), StateError> {
        let unrecorded = self.orders().unrecorded.clone();
        let height = self.0.ledger.finals().borrow().height;
        let mut recorded = Vec::new();
        for id in unrecorded {
            if self.0.ledger.is_recorded(&id)? {
                recorded.push(id);
            }
        }
        // Read after that: what was recorded by then is among them, so that no freeze is let go between the two.
        let active: Vec<Frozen> = self.0.ledger.freezes()?.into_iter().map(frozen).collect();
        let now = self.0.post.now();
        let mut orders = self.orders();
        orders.unrecorded.retain(|id| !recorded.contains(id));
        orders.board.on_ledger(height, active, recorded);
        if orders.board.list(now) != orders.published {
            self.publish(&mut orders, now);
        }
        Ok(())
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes under the lock, so that views come in the order of their versions.
    fn publish(&self, orders: &mut Orders, now: TimeUs) {
        orders.version = orders.version.saturating_add(1);
        let view = FreezeView {
            board: Arc::new(orders.board.clone()),
            last_order: orders.last_order,
            version: orders.version,
        };
        if let Some(sink) = self.0.sink.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            sink.on_change(&view);
        }
        orders.published = view.list(now);
        self.0.post.metrics().frozen_scopes.set(i64::try_from(orders.published.len()).unwrap_or(i64::MAX));
        self.0.views.send_replace(view);
    }

    fn next_change(&self, now: TimeUs) -> Option<TimeUs> {
        self.orders().board.next_change(now)
    }
}

fn block_time(now: TimeUs) -> TimeMs {
    TimeMs(u64::try_from(now.0 / 1_000).unwrap_or(0))
}

fn frozen(record: mesh30k_ledger::records::FreezeRecord) -> Frozen {
    Frozen { scope: record.scope, reason: record.reason, until: record.until }
}

/// Follows the ledger until cancelled.
pub(super) async fn run(freezes: FreezeHandle, stop: CancellationToken) {
    let mut finals = freezes.0.ledger.finals();
    loop {
        if let Err(error) = freezes.look() {
            tracing::warn!(%error, "freezes can't be read from the ledger");
        }
        let now = freezes.0.post.now();
        let until_end =
            freezes.next_change(now).map(|end| Duration::from_micros(u64::try_from(end.since_us(now)).unwrap_or(0)));
        tokio::select! {
            () = stop.cancelled() => return,
            changed = finals.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(until_end.map_or(LOOK_EVERY, |end| end.min(LOOK_EVERY))) => {}
        }
    }
}
