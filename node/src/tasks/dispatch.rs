//! The requester's side: places a part, sends it to the agent's host, checks what comes back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh30k_core::placement::{CarbonTable, Choice, PlacementError, PlacementRequest};
use mesh30k_core::registry::Capabilities;
use mesh30k_ledger::codec::{CodecError, decode, encode};
use mesh30k_ledger::ops::TaskReceipt;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Escrow, EscrowStatus, Regions};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{AgentId, EscrowId, Hash, NodeId};
use mesh30k_p2p::{Control, RequestError};

use super::assignments::{Assignee, Assignments};
use super::book::{DonePart, ReceiptBook};
use super::handle::{Dispatch, Dispatched};
use super::host::Host;
use super::refusal::TaskRefusal;
use super::wire::{REQUEST_BYTES_MAX, TaskAnswer, TaskModule, TaskRequest, WorkId};
use crate::lanes;
use crate::roster::Roster;

/// Agents asked for one part, one after the other.
const TRIES_MAX: usize = 4;
/// How long one host may take for one part.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long an escrow that is not final here yet is waited for.
const ESCROW_WAIT: Duration = Duration::from_secs(5);
/// Pause before a host that is at the same work already is asked again.
const IN_PROGRESS_PAUSE: Duration = Duration::from_millis(200);

/// Why a part was not done.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The ledger of this node does not have the escrow.
    #[error("escrow {0} is not on the ledger; open it first and wait until it is final")]
    UnknownEscrow(EscrowId),
    /// It pays nothing more.
    #[error("escrow {escrow} is {status}")]
    EscrowClosed {
        /// Which.
        escrow: EscrowId,
        /// In the ledger's word.
        status: &'static str,
    },
    /// There is no such part.
    #[error("part {part} does not exist: the escrow has {parts}, counted from 0")]
    UnknownPart {
        /// Which.
        part: u32,
        /// How many there are.
        parts: u32,
    },
    /// Paid already, and this node has no receipt of it.
    #[error("part {0} is paid already")]
    Released(u32),
    /// The agent it was to go to is not on the ledger.
    #[error("agent {0} is not on the ledger; leave it out, or name another")]
    UnknownAgent(AgentId),
    /// No module of that name.
    #[error("no module `{0}` ships with the node")]
    UnknownModule(String),
    /// The module is not the one the escrow pays for.
    #[error("the module is {found}, the escrow pays for {expected}")]
    OtherModule {
        /// What was given.
        found: Hash,
        /// What the escrow names.
        expected: Hash,
    },
    /// Too much to send.
    #[error("module and input have {bytes} bytes together, at most {limit} travel")]
    TooLarge {
        /// How much.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// Nobody can do it.
    #[error(transparent)]
    Nobody(#[from] PlacementError),
    /// Everybody would say the same.
    #[error(transparent)]
    Refused(TaskRefusal),
    /// Several agents were asked in vain.
    #[error("{tries} agents were asked and none did it; the last one: {last}")]
    Exhausted {
        /// How many.
        tries: usize,
        /// What the last one said.
        last: Attempt,
    },
    /// The ledger can't be read.
    #[error("the ledger can't be read")]
    State(#[from] StateError),
}

/// What came of asking one agent, when it did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum Attempt {
    /// It said why.
    #[error("{0}")]
    Refused(TaskRefusal),
    /// Its host was not reached, or did not answer in time.
    #[error("agent {agent} on node {host}: {reason}")]
    Unreachable {
        /// Which agent.
        agent: AgentId,
        /// Its host.
        host: NodeId,
        /// What the network said.
        reason: String,
    },
    /// Its receipt is not what was asked for.
    #[error("agent {agent} gave a receipt whose {field} does not hold")]
    Receipt {
        /// Which agent.
        agent: AgentId,
        /// What is wrong.
        field: &'static str,
    },
    /// Its answer can't be read.
    #[error("node {host} answered with something else than an answer")]
    Answer {
        /// Which node.
        host: NodeId,
        /// How it is broken.
        #[source]
        source: CodecError,
    },
}

/// Places parts and has them done.
pub(super) struct Dispatcher {
    pub(super) host: Arc<Host>,
    pub(super) control: Control,
    pub(super) assignments: Mutex<Assignments>,
    pub(super) placing: tokio::sync::Mutex<()>,
    pub(super) done: Mutex<ReceiptBook>,
}

impl Dispatcher {
    pub(super) async fn dispatch(&self, order: Dispatch) -> Result<Dispatched, DispatchError> {
        let module = module_hash(&order.module)?;
        let size = order.input.len().saturating_add(module_len(&order.module));
        if size > REQUEST_BYTES_MAX - REQUEST_OVERHEAD_BYTES {
            let limit = REQUEST_BYTES_MAX - REQUEST_OVERHEAD_BYTES;
            return Err(DispatchError::TooLarge { bytes: size, limit });
        }
        let work = WorkId { escrow: order.escrow, part: order.part, input: Hash::of(&order.input) };
        if let Some(done) = self.book().get(&work) {
            return Ok(Dispatched { receipt: done.receipt, output: done.output.clone() });
        }
        let escrow = self.escrow(&order.escrow).await?;
        check(&order, module, &escrow)?;
        let part = self.try_agents(&order, &escrow, work).await?;
        self.book().insert(work, part.clone());
        Ok(Dispatched { receipt: part.receipt, output: part.output })
    }

    async fn try_agents(&self, order: &Dispatch, escrow: &Escrow, work: WorkId) -> Result<DonePart, DispatchError> {
        let mut tries = 0;
        loop {
            let assignee = self.assign(order, escrow).await?;
            let request = TaskRequest {
                escrow: order.escrow,
                part: order.part,
                agent: assignee.agent,
                module: order.module.clone(),
                input: order.input.clone(),
            };
            tries += 1;
            let last = match self.ask(&request, assignee).await {
                Ok(part) => match self.check_part(&request, escrow, &work, assignee, &part) {
                    Ok(()) => return Ok(part),
                    Err(field) => Attempt::Receipt { agent: assignee.agent, field },
                },
                Err(Attempt::Refused(refusal)) if !refusal.is_local() => return Err(DispatchError::Refused(refusal)),
                Err(attempt) => attempt,
            };
            tracing::debug!(agent = %assignee.agent, error = %last, "a part is offered to the next agent");
            if tries >= TRIES_MAX {
                return Err(DispatchError::Exhausted { tries, last });
            }
            if matches!(last, Attempt::Refused(TaskRefusal::InProgress)) {
                tokio::time::sleep(IN_PROGRESS_PAUSE).await;
            } else {
                self.assignments().fail(order.escrow, assignee.agent);
            }
        }
    }

    /// The escrow at the last final block, waited for a little: whoever opened it may be a block ahead.
    async fn escrow(&self, id: &EscrowId) -> Result<Escrow, DispatchError> {
        let mut finals = self.host.ledger.finals();
        let found = tokio::time::timeout(ESCROW_WAIT, async {
            loop {
                finals.borrow_and_update();
                if let Some(escrow) = self.host.ledger.read(|state| query::escrow(state, id))? {
                    return Ok(escrow);
                }
                if finals.changed().await.is_err() {
                    return Err(DispatchError::UnknownEscrow(*id));
                }
            }
        });
        found.await.unwrap_or(Err(DispatchError::UnknownEscrow(*id)))
    }

    async fn assign(&self, order: &Dispatch, escrow: &Escrow) -> Result<Assignee, DispatchError> {
        // Parts of one escrow come together: the first places them all, the others wait for that.
        let _placing = self.placing.lock().await;
        if let Some(assignee) = self.assignments().get(&order.escrow, order.part) {
            return Ok(assignee);
        }
        let failed = self.assignments().failed(&order.escrow);
        if let Some(agent) = order.agent.filter(|agent| !failed.contains(agent)) {
            let roster = self.host.ledger.roster();
            let record = roster.agents.get(&agent).ok_or(DispatchError::UnknownAgent(agent))?;
            return Ok(Assignee { agent, host: record.node });
        }
        if failed.is_empty() {
            let choices = self.place(usize::try_from(escrow.parts).unwrap_or(usize::MAX), failed).await?;
            let mut assignments = self.assignments();
            assignments.place(order.escrow, &choices);
            return assignments.get(&order.escrow, order.part).ok_or_else(nobody);
        }
        let substitutes = self.place(1, failed).await?;
        let choice = substitutes.first().ok_or_else(nobody)?;
        Ok(Assignee { agent: choice.agent, host: choice.host })
    }

    async fn place(&self, parts: usize, exclude: BTreeSet<AgentId>) -> Result<Vec<Choice>, DispatchError> {
        let request = PlacementRequest { capabilities: Capabilities::COMPUTE, parts, exclude, ..Default::default() };
        let carbon = carbon_table(&self.host.ledger.read(|state| query::regions(state))?);
        Ok(self.host.mesh.place(&request, &carbon).await?)
    }

    async fn ask(&self, request: &TaskRequest, assignee: Assignee) -> Result<DonePart, Attempt> {
        let roster = self.host.ledger.roster();
        let unreachable = |reason: String| Attempt::Unreachable { agent: assignee.agent, host: assignee.host, reason };
        let peer =
            roster.peer_of(assignee.host).ok_or_else(|| unreachable("the ledger has no such node".to_owned()))?;
        let answer = if peer == self.control.local_peer_id() {
            let work = tokio::spawn(Arc::clone(&self.host).handle(request.clone()));
            work.await.map_err(|error| unreachable(error.to_string()))?
        } else {
            let body = Bytes::from(encode(request));
            let answered = self.control.request(peer, lanes::TASK, body, TRY_TIMEOUT).await;
            let bytes = answered.map_err(|error: RequestError| unreachable(error.to_string()))?;
            decode(&bytes, REQUEST_BYTES_MAX).map_err(|source| Attempt::Answer { host: assignee.host, source })?
        };
        match answer {
            TaskAnswer::Done { receipt, output } => Ok(DonePart { receipt: *receipt, output }),
            TaskAnswer::Refused(refusal) => Err(Attempt::Refused(refusal)),
        }
    }

    fn check_part(
        &self,
        request: &TaskRequest,
        escrow: &Escrow,
        work: &WorkId,
        assignee: Assignee,
        part: &DonePart,
    ) -> Result<(), &'static str> {
        let context = self.host.ledger.context();
        let wanted =
            Wanted { task: escrow.task, module: escrow.module, input: work.input, part: request.part, assignee };
        check_receipt(&wanted, part, &self.host.ledger.roster(), &context)
    }

    fn assignments(&self) -> MutexGuard<'_, Assignments> {
        self.assignments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self) -> MutexGuard<'_, ReceiptBook> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn parts_of(&self, escrow: &EscrowId) -> Vec<u32> {
        self.book().parts_of(escrow)
    }

    pub(super) fn receipts_of(&self, escrow: &EscrowId) -> Vec<TaskReceipt> {
        self.book().receipts_of(escrow)
    }
}

/// Bytes of a request beside module and input, generously.
const REQUEST_OVERHEAD_BYTES: usize = 1_024;

/// What a receipt must say.
struct Wanted {
    task: Hash,
    module: Hash,
    input: Hash,
    part: u32,
    assignee: Assignee,
}

fn check(order: &Dispatch, module: Hash, escrow: &Escrow) -> Result<(), DispatchError> {
    let closed = |status| Err(DispatchError::EscrowClosed { escrow: order.escrow, status });
    match escrow.status {
        EscrowStatus::Open => {}
        EscrowStatus::Settled => return closed("settled: every part is paid"),
        EscrowStatus::Refunded => return closed("refunded: its deadline has passed"),
    }
    if order.part >= escrow.parts {
        return Err(DispatchError::UnknownPart { part: order.part, parts: escrow.parts });
    }
    if escrow.is_released(order.part) {
        return Err(DispatchError::Released(order.part));
    }
    if module != escrow.module {
        return Err(DispatchError::OtherModule { found: module, expected: escrow.module });
    }
    Ok(())
}

fn check_receipt(
    wanted: &Wanted,
    part: &DonePart,
    roster: &Roster,
    context: &ChainContext,
) -> Result<(), &'static str> {
    let TaskReceipt { report, .. } = &part.receipt;
    let fields = [
        ("task", report.task == wanted.task),
        ("module", report.module == wanted.module),
        ("part", report.part == wanted.part),
        ("input", report.input == wanted.input),
        ("output", report.output == Hash::of(&part.output)),
        ("exit code", report.exit_code == 0),
        ("host", report.host == wanted.assignee.host),
        ("agent", report.agent == wanted.assignee.agent),
    ];
    if let Some((field, _)) = fields.iter().find(|(_, holds)| !holds) {
        return Err(field);
    }
    let host_key = roster.nodes.get(&report.host).map(|node| node.record.host_key);
    if !host_key.is_some_and(|key| part.receipt.is_signed_by_host(&key, context)) {
        return Err("host signature");
    }
    let agent_key = roster.agents.get(&report.agent).map(|agent| agent.key);
    if !agent_key.is_some_and(|key| part.receipt.is_signed_by_agent(&key, context)) {
        return Err("agent signature");
    }
    Ok(())
}

fn module_hash(module: &TaskModule) -> Result<Hash, DispatchError> {
    match (module.binary(), module) {
        (Some(binary), _) => Ok(Hash::of(binary)),
        (None, TaskModule::Builtin(name)) => Err(DispatchError::UnknownModule(name.chars().take(64).collect())),
        (None, TaskModule::Bytes(_)) => Err(DispatchError::UnknownModule(String::new())),
    }
}

fn module_len(module: &TaskModule) -> usize {
    match module {
        TaskModule::Builtin(name) => name.len(),
        TaskModule::Bytes(bytes) => bytes.len(),
    }
}

/// The ledger's table in the unit of the placement: grams, rounded up, so that little does not become nothing.
fn carbon_table(regions: &Regions) -> CarbonTable {
    let grams = |mg: u64| u32::try_from(mg.div_ceil(1_000)).unwrap_or(u32::MAX);
    CarbonTable {
        regions: regions.intensities_mg_per_kwh.iter().map(|(region, mg)| (*region, grams(*mg))).collect(),
        default_g_per_kwh: grams(regions.default_intensity_mg_per_kwh),
    }
}

fn nobody() -> DispatchError {
    DispatchError::Nobody(PlacementError::Nobody { able: 0, active: 0, unfrozen: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::book::tests::receipt;
    use mesh30k_ledger::keys::SecretKey;
    use mesh30k_ledger::records::AgentRecord;
    use mesh30k_ledger::types::{AgentClass, ChainId, ClusterId, SectorId};

    fn context() -> ChainContext {
        ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash([1; 32]) }
    }

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    fn roster() -> Roster {
        let mut roster = Roster::default();
        let cluster = ClusterId { sector: SectorId(0), index: 0 };
        let agent = AgentRecord {
            id: AgentId(5),
            key: key(5).public(),
            class: AgentClass::A,
            capabilities: Capabilities::COMPUTE,
            node: NodeId(4),
            cluster,
        };
        roster.agents.insert(agent);
        let record = mesh30k_ledger::records::NodeRecord {
            id: NodeId(4),
            transport_key: Vec::new(),
            account: mesh30k_ledger::types::AccountId([4; 20]),
            host_key: key(4).public(),
            store_id: Hash([0; 32]),
            addresses: Vec::new(),
            region: "KE".parse().unwrap(),
            renewable_ppm: 0,
            sector: None,
            voter_seats: 0,
            agents: Vec::new(),
        };
        let seed = [9; 32];
        let peer = mesh30k_p2p::keypair_from_seed(seed).unwrap().public().to_peer_id();
        roster.nodes.insert(NodeId(4), crate::roster::RosterNode { record, peer });
        roster
    }

    fn wanted() -> Wanted {
        let report = receipt(3).report;
        let assignee = Assignee { agent: report.agent, host: report.host };
        Wanted { task: report.task, module: report.module, input: report.input, part: 3, assignee }
    }

    fn part() -> DonePart {
        let output = b"out".to_vec();
        let report = mesh30k_ledger::ops::TaskReport { output: Hash::of(&output), ..receipt(3).report };
        DonePart { receipt: report.sign(&context(), &key(4), &key(5)), output }
    }

    #[test]
    fn a_receipt_for_what_was_asked_is_taken() {
        assert_eq!(check_receipt(&wanted(), &part(), &roster(), &context()), Ok(()));
    }

    #[test]
    fn a_receipt_for_anything_else_is_not() {
        let check = |wanted: &Wanted, part: &DonePart| check_receipt(wanted, part, &roster(), &context());
        assert_eq!(check(&Wanted { part: 4, ..wanted() }, &part()), Err("part"));
        assert_eq!(check(&Wanted { input: Hash([0; 32]), ..wanted() }, &part()), Err("input"));
        let forged = DonePart { output: b"other".to_vec(), ..part() };
        assert_eq!(check(&wanted(), &forged), Err("output"));
        let report = part().receipt.report;
        let unsigned = DonePart { receipt: report.sign(&context(), &key(6), &key(5)), ..part() };
        assert_eq!(check(&wanted(), &unsigned), Err("host signature"));
        let unsigned = DonePart { receipt: report.sign(&context(), &key(4), &key(6)), ..part() };
        assert_eq!(check(&wanted(), &unsigned), Err("agent signature"));
    }

    #[test]
    fn little_carbon_does_not_become_none() {
        let regions = Regions { default_intensity_mg_per_kwh: 1, ..Regions::default() };
        assert_eq!(carbon_table(&regions).default_g_per_kwh, 1);
    }
}
