//! The task service of a node and the handle on it.

use std::sync::{Arc, Mutex};

use mesh30k_ledger::codec::decode;
use mesh30k_ledger::ops::TaskReceipt;
use mesh30k_ledger::query;
use mesh30k_ledger::records::Escrow;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{AgentId, EscrowId};
use mesh30k_p2p::{AcceptError, Control, Inbound, Inbox};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::agent_keys::AgentKeys;
use super::assignments::Assignments;
use super::book::ReceiptBook;
use super::dispatch::{DispatchError, Dispatcher};
use super::host::Host;
use super::meter::EnergyMeter;
use super::refusal::TaskRefusal;
use super::running::RunningParts;
use super::wire::{REQUEST_BYTES_MAX, TaskAnswer, TaskModule, TaskRequest};
use crate::config::TaskSettings;
use crate::execution::{Runner, WasmiEngine};
use crate::grid::GridHandle;
use crate::identity::NodeIdentity;
use crate::lanes;
use crate::ledger::LedgerHandle;
use crate::mesh::MeshHandle;
use crate::telemetry::Metrics;

/// Requests of other nodes that are looked at or waited for at a time; further ones are refused as busy.
const REQUESTS_MAX: usize = 64;

/// One part to be done for an escrow.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The escrow that pays.
    pub escrow: EscrowId,
    /// Which part.
    pub part: u32,
    /// What runs.
    pub module: TaskModule,
    /// On what.
    pub input: Vec<u8>,
    /// Who is asked first; whom the registry and the freezes say when none is named, or that one fails.
    pub agent: Option<AgentId>,
}

/// A part that is done.
#[derive(Clone, Debug)]
pub struct Dispatched {
    /// Signed by host and agent; the opener of the escrow puts it into the release.
    pub receipt: TaskReceipt,
    /// What the module returned.
    pub output: Vec<u8>,
}

/// What the task service is made of.
pub struct TaskParts {
    /// The ledger.
    pub ledger: LedgerHandle,
    /// The network.
    pub control: Control,
    /// Registry, freezes, mesh time.
    pub mesh: MeshHandle,
    /// The node's own keys.
    pub identity: Arc<NodeIdentity>,
    /// The owner's limits.
    pub settings: TaskSettings,
    /// The machine's own grid, if a source is set.
    pub grid: Option<GridHandle>,
    /// Where tasks are counted.
    pub metrics: Metrics,
    /// Ends the service.
    pub shutdown: CancellationToken,
}

/// Dispatches tasks. Clones are the same.
#[derive(Clone)]
pub struct TaskHandle {
    dispatcher: Arc<Dispatcher>,
}

/// Starts serving the task lane and obeying freezes.
///
/// # Errors
/// When the lane is served already.
pub fn start(parts: TaskParts) -> Result<TaskHandle, AcceptError> {
    let inbox = parts.control.accept(lanes::TASK)?;
    let runner = Runner::new(Arc::new(WasmiEngine::new()), parts.settings.ceiling(), parts.settings.parallel);
    let host = Arc::new(Host {
        ledger: parts.ledger,
        mesh: parts.mesh,
        is_enabled: parts.settings.enabled,
        grants: parts.settings.granted(),
        runner,
        host_key: parts.identity.account(),
        agent_keys: AgentKeys::new(parts.identity),
        meter: EnergyMeter::new(),
        grid: parts.grid,
        running: RunningParts::default(),
        done: Mutex::new(ReceiptBook::default()),
        metrics: parts.metrics,
    });
    tokio::spawn(serve(inbox, Arc::clone(&host), parts.shutdown.clone()));
    tokio::spawn(obey_freezes(Arc::clone(&host), parts.shutdown));
    let dispatcher = Dispatcher {
        host,
        control: parts.control,
        assignments: Mutex::new(Assignments::default()),
        placing: tokio::sync::Mutex::new(()),
        done: Mutex::new(ReceiptBook::default()),
    };
    Ok(TaskHandle { dispatcher: Arc::new(dispatcher) })
}

impl TaskHandle {
    /// Has one part done by the agent that is placed for it, and by others when that one fails. The same work gets the same
    /// receipt again.
    ///
    /// # Errors
    /// [`DispatchError`].
    pub async fn dispatch(&self, order: Dispatch) -> Result<Dispatched, DispatchError> {
        self.dispatcher.dispatch(order).await
    }

    /// An escrow at the last final block, and the parts for which this node holds a receipt.
    ///
    /// # Errors
    /// State that can't be read.
    pub fn show(&self, escrow: &EscrowId) -> Result<Option<(Escrow, Vec<u32>)>, StateError> {
        let host = &self.dispatcher.host;
        let Some(record) = host.ledger.read(|state| query::escrow(state, escrow))? else { return Ok(None) };
        let mut parts = self.dispatcher.parts_of(escrow);
        parts.extend(host.parts_of(escrow));
        parts.sort_unstable();
        parts.dedup();
        Ok(Some((record, parts)))
    }

    /// The receipts of an escrow's parts that this node remembers, as host or as the requester's node, in order of part: with its
    /// own a host claims a part that its requester does not pay.
    #[must_use]
    pub fn receipts(&self, escrow: &EscrowId) -> Vec<TaskReceipt> {
        let mut receipts = self.dispatcher.host.receipts_of(escrow);
        let others = self.dispatcher.receipts_of(escrow).into_iter().filter(|receipt| !receipts.contains(receipt));
        let others: Vec<TaskReceipt> = others.collect();
        receipts.extend(others);
        receipts.sort_by_key(|receipt| (receipt.report.part, receipt.report.input));
        receipts
    }
}

async fn serve(mut inbox: Inbox, host: Arc<Host>, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        let inbound = tokio::select! {
            inbound = inbox.recv() => inbound,
            () = shutdown.cancelled() => return,
        };
        let Some(Inbound { peer, body, reply }) = inbound else { return };
        let Some(reply) = reply else { continue };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            let busy = TaskRefusal::Busy(format!("{REQUESTS_MAX} requests are being served"));
            reply.send(TaskAnswer::Refused(busy).to_bytes().into());
            continue;
        };
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            let answer = match decode::<TaskRequest>(&body, REQUEST_BYTES_MAX) {
                Ok(request) => host.handle(request).await,
                Err(error) => {
                    tracing::debug!(%peer, %error, "a task request can't be read");
                    TaskAnswer::Refused(TaskRefusal::Malformed(error.to_string()))
                }
            };
            reply.send(answer.to_bytes().into());
            drop(place);
        });
    }
}

/// The kill switch: whatever runs for an agent that becomes frozen is stopped.
async fn obey_freezes(host: Arc<Host>, shutdown: CancellationToken) {
    let mut changes = host.mesh.freezes().watch();
    loop {
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = shutdown.cancelled() => return,
        }
        changes.borrow_and_update();
        host.stop_frozen();
    }
}
