//! The host's side: looks, runs, measures, signs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{TaskReceipt, TaskReport, carbon_ug};
use mesh30k_ledger::query;
use mesh30k_ledger::records::{AgentRecord, NodeRecord};
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::types::{EscrowId, Hash, NodeId, TimeMs};

use super::admission::{Admission, HostView, admit};
use super::agent_keys::AgentKeys;
use super::book::{DonePart, ReceiptBook};
use super::meter::EnergyMeter;
use super::refusal::TaskRefusal;
use super::running::{Running, RunningParts};
use super::wire::{TaskAnswer, TaskRequest};
use crate::clock;
use crate::execution::{Execution, ExecutionError, HostFunction, Job, Runner};
use crate::grid::GridHandle;
use crate::ledger::LedgerHandle;
use crate::mesh::MeshHandle;
use crate::telemetry::{Metrics, TaskOutcome};

/// How long an escrow that is not final here yet is waited for: a few blocks.
const ESCROW_WAIT: Duration = Duration::from_secs(5);

/// Everything a host needs to do a part.
pub(super) struct Host {
    pub(super) ledger: LedgerHandle,
    pub(super) mesh: MeshHandle,
    pub(super) is_enabled: bool,
    pub(super) grants: Vec<HostFunction>,
    pub(super) runner: Runner,
    pub(super) host_key: SecretKey,
    pub(super) agent_keys: AgentKeys,
    pub(super) meter: EnergyMeter,
    /// The machine's own grid, if a source is set.
    pub(super) grid: Option<GridHandle>,
    pub(super) running: RunningParts,
    pub(super) done: Mutex<ReceiptBook>,
    pub(super) metrics: Metrics,
}

/// A part that may be run.
struct Admitted {
    task: Hash,
    agent: AgentRecord,
    host: NodeRecord,
    module: Bytes,
    module_hash: Hash,
}

impl Host {
    /// Does a part, or says why not.
    pub(super) async fn handle(self: Arc<Self>, request: TaskRequest) -> TaskAnswer {
        match self.run(request).await {
            Ok(part) => TaskAnswer::Done { receipt: Box::new(part.receipt), output: part.output },
            Err(refusal) => {
                tracing::debug!(%refusal, "a part of a task was not done");
                TaskAnswer::Refused(refusal)
            }
        }
    }

    /// Stops what runs for agents that are frozen now.
    pub(super) fn stop_frozen(&self) {
        let (view, now) = (self.mesh.freezes().view(), self.mesh.now());
        let stopped = self.running.stop(|agent, cluster| view.is_frozen(agent, cluster, now));
        if stopped > 0 {
            tracing::info!(stopped, "tasks of frozen agents were stopped");
        }
    }

    async fn run(&self, request: TaskRequest) -> Result<DonePart, TaskRefusal> {
        let work = request.work();
        if let Some(done) = self.book().get(&work) {
            return Ok(done.clone());
        }
        let admitted = self.admitted(&request).await.inspect_err(|_| self.refused())?;
        let agents = admitted.host.agents.iter().map(|range| range.count).fold(0, u32::saturating_add);
        let agent_key = self.agent_keys.find(&admitted.agent.key, agents);
        let agent_key = agent_key.ok_or(TaskRefusal::NoKey(admitted.agent.id))?;
        let running = self.running.enter(work, admitted.agent.id, admitted.agent.cluster);
        let running = running.ok_or(TaskRefusal::InProgress)?;
        // From here on a freeze finds it; one that came between is caught by this look.
        if let Some(reason) = self.frozen(&admitted.agent) {
            return Err(TaskRefusal::Frozen { agent: admitted.agent.id, reason });
        }
        let part = self.execute(&request, &admitted, &agent_key, &running).await?;
        self.book().insert(work, part.clone());
        Ok(part)
    }

    async fn admitted(&self, request: &TaskRequest) -> Result<Admitted, TaskRefusal> {
        let node = self.mesh.me();
        let binary = request.module.binary().ok_or_else(|| unknown_module(request))?;
        let module = Bytes::copy_from_slice(binary);
        let module_hash = Hash::of(&module);
        let mut finals = self.ledger.finals();
        let admission = tokio::time::timeout(ESCROW_WAIT, async {
            loop {
                finals.borrow_and_update();
                let (view, host) = self.look(request, node)?;
                match admit(request, module_hash, &view) {
                    Admission::Run { task, agent } => return Ok((task, agent, host)),
                    Admission::Refuse(refusal) => return Err(refusal),
                    Admission::Wait if finals.changed().await.is_err() => break,
                    Admission::Wait => {}
                }
            }
            Err(TaskRefusal::NoEscrow(request.escrow))
        });
        let (task, agent, host) = admission.await.unwrap_or(Err(TaskRefusal::NoEscrow(request.escrow)))?;
        Ok(Admitted { task, agent, host, module, module_hash })
    }

    fn look(&self, request: &TaskRequest, node: NodeId) -> Result<(HostView, NodeRecord), TaskRefusal> {
        let read = self.ledger.read(|state| read_view(state, request, node)).map_err(|error| host_fault(&error))?;
        let (mut view, host) =
            read.ok_or_else(|| TaskRefusal::Host("it is not registered on the ledger".to_owned()))?;
        view.is_enabled = self.is_enabled;
        view.frozen = view.agent.and_then(|agent| self.frozen(&agent));
        Ok((view, host))
    }

    fn frozen(&self, agent: &AgentRecord) -> Option<String> {
        self.mesh.freezes().view().board().why(agent.id, agent.cluster, self.mesh.now()).map(|frozen| frozen.reason)
    }

    async fn execute(
        &self,
        request: &TaskRequest,
        admitted: &Admitted,
        agent_key: &SecretKey,
        running: &Running,
    ) -> Result<DonePart, TaskRefusal> {
        let standing = self.ledger.read(|state| query::standing(state, &request.escrow, &admitted.host));
        let job = Job {
            module: admitted.module.clone(),
            input: Bytes::copy_from_slice(&request.input),
            limits: self.runner.ceiling(),
            grants: self.grants.clone(),
            cancel: running.cancel(),
            standing: standing.map_err(|error| host_fault(&error))?,
        };
        let started = self.meter.start();
        let execution = self.runner.run(job).await.inspect_err(|error| self.count_error(error))?;
        let energy = self.meter.finish(started, &execution, admitted.agent.class);
        if execution.exit.code() != 0 {
            self.metrics.count_task(TaskOutcome::Failed, execution.wall_us, energy.energy_mj);
            return Err(TaskRefusal::Failed(execution.exit.code()));
        }
        let intensity = self.ledger.read(|state| query::intensity_mg_per_kwh(state, admitted.host.region));
        let in_force = intensity.map_err(|error| host_fault(&error))?;
        let now = TimeMs(clock::wall_ms());
        let intensity_mg_per_kwh = self.grid.as_ref().map_or(in_force, |grid| grid.choose(now, in_force));
        let renewable_ppm = admitted.host.renewable_ppm;
        let carbon_ug = carbon_ug(energy.energy_mj, intensity_mg_per_kwh, renewable_ppm)
            .ok_or_else(|| TaskRefusal::Host("its carbon figure does not fit".to_owned()))?;
        self.must_be_payable(&request.escrow, carbon_ug)?;
        let report = TaskReport {
            task: admitted.task,
            part: request.part,
            module: admitted.module_hash,
            input: Hash::of(&request.input),
            output: Hash(execution.output_hash),
            exit_code: 0,
            fuel: execution.fuel,
            wall_us: execution.wall_us,
            peak_memory_bytes: execution.peak_memory_bytes,
            energy_mj: energy.energy_mj,
            energy_method: energy.method,
            intensity_mg_per_kwh,
            renewable_ppm,
            carbon_ug,
            host: admitted.host.id,
            agent: admitted.agent.id,
        };
        self.metrics.count_task(TaskOutcome::Completed, execution.wall_us, energy.energy_mj);
        Ok(self.signed(report, agent_key, execution))
    }

    /// Work that could never be paid is not handed out.
    fn must_be_payable(&self, id: &EscrowId, carbon_ug: u64) -> Result<(), TaskRefusal> {
        let escrow = self.ledger.read(|state| query::escrow(state, id)).map_err(|error| host_fault(&error))?;
        let escrow = escrow.ok_or(TaskRefusal::NoEscrow(*id))?;
        escrow.must_cover(carbon_ug).map_err(|rejection| TaskRefusal::ReserveShort(rejection.to_string()))
    }

    fn signed(&self, report: TaskReport, agent_key: &SecretKey, execution: Execution) -> DonePart {
        let receipt = report.sign(&self.ledger.context(), &self.host_key, agent_key);
        DonePart { receipt, output: execution.output }
    }

    fn count_error(&self, error: &ExecutionError) {
        let outcome = match error {
            ExecutionError::BadModule { .. }
            | ExecutionError::NotGranted { .. }
            | ExecutionError::AboveCeiling { .. }
            | ExecutionError::Busy { .. } => TaskOutcome::Refused,
            _ => TaskOutcome::Stopped,
        };
        self.metrics.count_task(outcome, 0, 0);
    }

    fn refused(&self) {
        self.metrics.count_task(TaskOutcome::Refused, 0, 0);
    }

    pub(super) fn parts_of(&self, escrow: &EscrowId) -> Vec<u32> {
        self.book().parts_of(escrow)
    }

    pub(super) fn receipts_of(&self, escrow: &EscrowId) -> Vec<TaskReceipt> {
        self.book().receipts_of(escrow)
    }

    fn book(&self) -> MutexGuard<'_, ReceiptBook> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_view(
    state: &dyn StateRead,
    request: &TaskRequest,
    node: NodeId,
) -> Result<Option<(HostView, NodeRecord)>, StateError> {
    let Some(host) = query::node(state, node)? else { return Ok(None) };
    let escrow = query::escrow(state, &request.escrow)?;
    let now = query::tip(state)?.time;
    let frozen_ms = query::globals(state)?.frozen_ms_at(now);
    let deadline = escrow.as_ref().map_or(TimeMs(0), |escrow| escrow.effective_deadline(frozen_ms));
    let agent = query::agent(state, request.agent)?;
    Ok(Some((HostView { host: node, is_enabled: true, escrow, deadline, now, agent, frozen: None }, host)))
}

fn unknown_module(request: &TaskRequest) -> TaskRefusal {
    match &request.module {
        super::wire::TaskModule::Builtin(name) => TaskRefusal::UnknownModule(name.chars().take(64).collect()),
        super::wire::TaskModule::Bytes(_) => TaskRefusal::Malformed("no module in it".to_owned()),
    }
}

fn host_fault(error: &StateError) -> TaskRefusal {
    TaskRefusal::Host(error.to_string())
}
