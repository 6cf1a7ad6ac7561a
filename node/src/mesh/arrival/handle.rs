//! The arrival thread as the rest of the node sees it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh30k_core::beat::AgentReport;
use mesh30k_core::event::{ClassSet, EventId, GatherRequest, SignedEvent, Strategy};
use mesh30k_core::registry::{AgentState, Capabilities};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::NodeId;
use mesh30k_p2p::Inbox;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::mailbox::Sender;
use super::orchestrating::{Admission, PlanAsk};
use super::refusal::EventError;
use super::shared::{Shared, WarmUp};
use super::thread::Input;
use super::topology::Selection;
use super::view::RulesSource;
use crate::api::types::{EventReport, GatherAnswer, PauseRow, PlanAnswer, PlanRequest, ReleaseRow};
use crate::clock::wall_us;
use crate::ledger::FinalBlockTip;
use crate::mesh::freeze::{FreezeSink, FreezeView};
use crate::mesh::reports::{AgentReports, unmeasured};
use crate::roster::SharedRoster;

struct Inner {
    inputs: Sender<Input>,
    shared: Arc<Shared>,
    rules: RulesSource,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.inputs.try_send(Input::Stop);
    }
}

/// Plans, starts and reports events; clones are the same. The thread ends with the last of them, or by
/// [`Self::stop`].
#[derive(Clone)]
pub struct ArrivalHandle(Arc<Inner>);

impl ArrivalHandle {
    pub(super) fn new(inputs: Sender<Input>, shared: Arc<Shared>, rules: RulesSource) -> Self {
        Self(Arc::new(Inner { inputs, shared, rules }))
    }

    /// Plans an event, as asked over the API. A T that is too near is answered with `feasible: false`.
    ///
    /// # Errors
    /// [`EventError::Word`] for an unknown strategy or capability, [`EventError::UnknownAgents`], [`EventError::EmptySet`],
    /// [`EventError::NotReady`], [`EventError::Busy`], [`EventError::State`].
    pub async fn plan(&self, request: &PlanRequest) -> Result<PlanAnswer, EventError> {
        let strategy = match request.strategy.as_str() {
            "hold" => Strategy::Hold,
            "throw" => Strategy::Throw,
            other => {
                let (found, expected) = (other.chars().take(40).collect(), "hold or throw");
                return Err(EventError::Word { field: "strategy", found, expected });
            }
        };
        let classes = match (request.classes.as_slice(), request.agents.is_empty()) {
            ([], true) => ClassSet::MACHINES,
            // Whoever is called by name is meant, people too.
            ([], false) => ClassSet::ALL,
            (classes, _) => ClassSet::of(classes),
        };
        let mut agents = request.agents.clone();
        agents.sort_unstable();
        agents.dedup();
        let capabilities = capability_bits(&request.capabilities)?;
        let selection = Selection { sector: request.sector, classes, capabilities, agents };
        let sample = request.sample.map(|count| (count, random_seed()));
        self.plan_for(PlanAsk { strategy, target: request.at_us.map(TimeUs), selection, sample }).await
    }

    /// As [`Self::plan`], in types.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub async fn plan_for(&self, ask: PlanAsk) -> Result<PlanAnswer, EventError> {
        self.refresh_rules()?;
        self.ask(|answer| Input::Plan { ask, answer }).await?
    }

    /// Starts a signed event with this node as its orchestrator.
    ///
    /// # Errors
    /// [`EventError`]: why it was not started. Nothing was sent then.
    pub async fn start(&self, event: SignedEvent, admission: Admission) -> Result<EventId, EventError> {
        self.refresh_rules()?;
        self.ask(|answer| Input::Start { event: Box::new(event), admission, answer }).await?
    }

    /// Calls off an event that was started here; false when there is none, or T has passed.
    ///
    /// # Errors
    /// [`EventError::Busy`].
    pub async fn cancel(&self, event: EventId) -> Result<bool, EventError> {
        self.ask(|answer| Input::Cancel { event, answer }).await
    }

    /// What became of an event that was started here, as far as it is known; none for others.
    #[must_use]
    pub fn report(&self, event: EventId) -> Option<EventReport> {
        self.0.shared.report(event)
    }

    /// Judges who of an event that was started here was ready in time, once its summary is there or after `timeout`; none
    /// for other events.
    ///
    /// # Errors
    /// [`EventError::Gather`] for a window or rate out of bounds.
    pub async fn gather(
        &self,
        event: EventId,
        request: &GatherRequest,
        timeout: Duration,
    ) -> Result<Option<GatherAnswer>, EventError> {
        request.check()?;
        self.wait_report(event, timeout).await;
        Ok(self.0.shared.gather(event, request).transpose()?)
    }

    /// As [`Self::report`], once the event's summary is there, or after `timeout` as far as it is known.
    pub async fn wait_report(&self, event: EventId, timeout: Duration) -> Option<EventReport> {
        let mut changed = self.0.shared.changed.subscribe();
        let summary = async {
            loop {
                changed.borrow_and_update();
                match self.report(event) {
                    Some(report) if report.state != "complete" && report.state != "cancelled" => {}
                    settled => return settled,
                }
                if changed.changed().await.is_err() {
                    return self.report(event);
                }
            }
        };
        tokio::time::timeout(timeout, summary).await.unwrap_or_else(|_| self.report(event))
    }

    /// How far the measuring of links has come, for readiness.
    #[must_use]
    pub fn warm_up(&self) -> WarmUp {
        self.0.shared.warm()
    }

    /// True releases of the agents hosted here; none when the harness is disabled.
    #[must_use]
    pub fn releases(&self, event: EventId) -> Option<Vec<ReleaseRow>> {
        self.0.shared.harness.releases(event)
    }

    /// Freezes and thaws as they reached the agents hosted here, newest first; none when the harness is disabled.
    #[must_use]
    pub fn pauses(&self) -> Option<Vec<PauseRow>> {
        self.0.shared.harness.pauses()
    }

    /// What was dropped or refused, by a constant name of the reason.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.0.shared.counts()
    }

    /// Tells the thread that leases, coordinators or the roster changed; it finds out by itself within 200 ms.
    pub fn nudge(&self) {
        // A full queue means that it looks again soon anyway.
        let _ = self.0.inputs.try_send(Input::Nudge);
    }

    /// Ends the thread, once it has done what waits for it.
    pub fn stop(&self) {
        self.0.shared.stop();
        let _ = self.0.inputs.try_send(Input::Stop);
    }

    /// Hands over a frame of lane "event" that came at `arrived_us` by the machine's clock; never waits.
    pub fn deliver(&self, from: NodeId, arrived_us: i64, frame: Bytes) {
        if self.0.inputs.try_send(Input::Frame { from, arrived_us, frame }).is_err() {
            self.0.shared.count("inputs_full");
            self.0.shared.metrics.count_drops("arrival", 1);
        }
    }

    fn refresh_rules(&self) -> Result<(), EventError> {
        if self.0.shared.set_rules((self.0.rules)()?) {
            self.nudge();
        }
        Ok(())
    }

    async fn ask<T>(&self, input: impl FnOnce(oneshot::Sender<T>) -> Input) -> Result<T, EventError> {
        let (answer, answered) = oneshot::channel();
        self.0.inputs.try_send(input(answer)).map_err(|_| EventError::Busy)?;
        answered.await.map_err(|_| EventError::Busy)
    }
}

/// The bits of capabilities given by name.
fn capability_bits(names: &[String]) -> Result<u64, EventError> {
    let bit = |name: &String| {
        Capabilities::named(name).ok_or_else(|| EventError::Word {
            field: "capability",
            found: name.chars().take(40).collect(),
            expected: "sense, actuate, compute, infer, store, relay or review",
        })
    };
    let none = Capabilities(0);
    names.iter().try_fold(none, |sum, name| Ok(sum.union(bit(name)?))).map(|all| all.0)
}

/// Without randomness a sample is a fixed one, which is still a sample.
fn random_seed() -> u64 {
    let mut seed = [0_u8; 8];
    let _ = getrandom::fill(&mut seed);
    u64::from_le_bytes(seed)
}

impl FreezeSink for ArrivalHandle {
    fn on_change(&self, view: &FreezeView) {
        self.0.shared.set_freezes(view.clone());
        self.nudge();
    }
}

impl AgentReports for ArrivalHandle {
    fn reports(&self) -> Vec<AgentReport> {
        let (context, agents) = self.0.shared.measured();
        let report = |(agent, (impedance, frozen))| {
            let state = if frozen { AgentState::Frozen } else { AgentState::Active };
            AgentReport { impedance, state, context, ..unmeasured(agent) }
        };
        agents.into_iter().map(report).collect()
    }
}

/// Takes frames of lane "event" from the network until cancelled; they are stamped here, for clocks are measured by them.
pub async fn serve(handle: ArrivalHandle, mut inbox: Inbox, roster: SharedRoster, stop: CancellationToken) {
    loop {
        let inbound = tokio::select! {
            () = stop.cancelled() => return,
            inbound = inbox.recv() => inbound,
        };
        let Some(inbound) = inbound else { return };
        let arrived_us = wall_us();
        match roster.load().node_of(&inbound.peer) {
            Some(from) => handle.deliver(from, arrived_us, inbound.body),
            None => handle.0.shared.count("stranger"),
        }
    }
}

/// Hands votes' results to the tree as soon as they are final, until cancelled.
pub async fn follow_rules(handle: ArrivalHandle, mut finals: watch::Receiver<FinalBlockTip>, stop: CancellationToken) {
    loop {
        if let Err(error) = handle.refresh_rules() {
            tracing::warn!(%error, "the rules of events can't be read from the ledger");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = finals.changed() => if changed.is_err() { return },
        }
    }
}
