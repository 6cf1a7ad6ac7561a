//! The orchestrator's side: plans, events started here, and their reports.

use std::collections::BTreeMap;

use mesh30k_core::event::{
    ClassSet, DownMessage, EventId, MAX_AHEAD_US, ParentAction, ParentMachine, PlanError,
    PlanRequest as CorePlanRequest, Prepare, SignedEvent, Strategy, UpMessage,
};
use mesh30k_core::registry::Impedance;
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::{Scope, SectorId};

use super::engine::Engine;
use super::refusal::{EventError, ppm};
use super::shared::ReportEntry;
use super::topology::{Level, total};
use super::view::Now;
use super::wire::Message;
use crate::api::types::PlanAnswer;

/// From a plan to the event's arrival at the orchestrator: reading, signing, submitting.
const PLAN_SLACK_US: i64 = 250_000;

/// What is to be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanAsk {
    /// Hold or throw.
    pub strategy: Strategy,
    /// The wanted T; none for the earliest that can be kept.
    pub target: Option<TimeUs>,
    /// One sector; none for the whole mesh.
    pub sector: Option<SectorId>,
    /// Which classes.
    pub classes: ClassSet,
}

/// What happens to an event that comes too late for a good hit rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is refused, with the earliest T that can be kept.
    InTime,
    /// It is started all the same; who is not reached in time is late or in TRANSIT.
    Anyway,
}

impl Engine {
    /// Plans an event without starting it.
    pub(super) fn plan(&self, ask: &PlanAsk) -> Result<PlanAnswer, EventError> {
        let now = self.clock.now().mesh;
        let request = CorePlanRequest {
            target: ask.target,
            classes: ask.classes,
            strategy: ask.strategy,
            weight_milli: 0,
            slack_us: PLAN_SLACK_US,
        };
        let agents = self.topology.roster().agents.values();
        let enrolled = agents
            .filter(|a| ask.classes.contains(a.class) && ask.sector.is_none_or(|sector| sector == a.cluster.sector))
            .count();
        if enrolled == 0 {
            return Err(EventError::EmptySet);
        }
        let answer = |earliest: TimeUs, at: TimeUs, hit: f64, feasible: bool, needs_us: i64| PlanAnswer {
            now_us: now.0,
            earliest_us: earliest.0,
            at_us: at.0,
            predicted_hit_ppm: ppm(hit),
            enrolled: enrolled as u64,
            feasible,
            needs_us,
        };
        match self.planner(ask.sector).plan(now, &request) {
            Ok(plan) => Ok(answer(plan.earliest, plan.target, plan.predicted_hit, true, plan.needs_us)),
            Err(PlanError::InsufficientLead { needs_ms, earliest, predicted_hit, .. }) => {
                let at = ask.target.unwrap_or(earliest);
                Ok(answer(earliest, at, predicted_hit, false, needs_ms.saturating_mul(1_000)))
            }
            Err(error @ PlanError::Nobody) => Err(error.into()),
        }
    }

    fn planner(&self, sector: Option<SectorId>) -> &ParentMachine {
        sector.and_then(|sector| self.planners.get(&sector)).unwrap_or(&self.orchestrator)
    }

    /// Starts an event: checks it, fixes its denominators, sends it down.
    pub(super) fn start(&mut self, event: SignedEvent, admission: Admission) -> Result<EventId, EventError> {
        let now = self.clock.now();
        let id = event.event.id;
        event.verify(&self.context, &self.rules.operators)?;
        self.check_times(&event, &now)?;
        if self.shared.has_report(id) {
            return Err(EventError::Duplicate(id));
        }
        let enrolments = self.topology.enrol(&event.event, Level::Sectors);
        let enrolled = total(&enrolments);
        let agents = enrolled.iter().map(|n| u64::from(*n)).sum();
        if agents == 0 {
            return Err(EventError::EmptySet);
        }
        if self.topology.selected(&event.event).all(|a| self.freezes.is_frozen(a.id, a.cluster, now.mesh)) {
            return Err(EventError::Frozen { agents });
        }
        if admission == Admission::InTime {
            self.check_lead_time(&event, &now)?;
        }
        let (target, expires) = (event.event.target, event.event.expires());
        let answers = Vec::new();
        let entry = ReportEntry { target, expires, enrolled, fold: None, answers, cancelled: false };
        self.shared.open_report(id, entry);
        self.shared.metrics.cascades.inc();
        let prepare = Prepare { fold_by: event.event.deadline, event, sent_at: now.mesh };
        let actions = self.orchestrator.on_prepare(now.mesh, &prepare, &enrolments);
        self.orchestrator_actions(actions);
        Ok(id)
    }

    fn check_times(&self, event: &SignedEvent, now: &Now) -> Result<(), EventError> {
        let event = &event.event;
        let late_us = now.mesh.since_us(event.expires());
        if late_us >= 0 {
            return Err(EventError::Expired { late_ms: late_us / 1_000 });
        }
        let ahead_us = event.target.since_us(now.mesh);
        if ahead_us <= 0 {
            return Err(EventError::InPast { past_ms: ahead_us.saturating_neg() / 1_000 });
        }
        if ahead_us > MAX_AHEAD_US {
            return Err(EventError::TooFarAhead { ahead_ms: ahead_us / 1_000, limit_ms: MAX_AHEAD_US / 1_000 });
        }
        Ok(())
    }

    fn check_lead_time(&self, event: &SignedEvent, now: &Now) -> Result<(), EventError> {
        let event = &event.event;
        let request = CorePlanRequest {
            target: Some(event.target),
            classes: event.classes,
            strategy: event.strategy,
            weight_milli: event.weight_milli,
            slack_us: 0,
        };
        self.planner(self.sector_of(event.scope)).plan(now.mesh, &request)?;
        Ok(())
    }

    /// The one sector that a scope lies in; none for the whole mesh.
    pub(super) fn sector_of(&self, scope: Scope) -> Option<SectorId> {
        match scope {
            Scope::Global => None,
            Scope::Sector(sector) => Some(sector),
            Scope::Cluster(cluster) => Some(cluster.sector),
            Scope::Agent(agent) => self.topology.cluster_of(agent).map(|cluster| cluster.sector),
        }
    }

    /// Calls an event off that was started here; false when there is none.
    pub(super) fn cancel(&mut self, event: EventId) -> bool {
        let now = self.clock.now().mesh;
        let mut stopped = false;
        self.shared.update_report(event, |entry| {
            stopped = now < entry.target && entry.fold.is_none();
            entry.cancelled |= stopped;
        });
        if stopped {
            let actions = self.orchestrator.on_cancel(event);
            self.orchestrator_actions(actions);
        }
        stopped
    }

    /// A coordinator's word to the orchestrator, whose right to say it was checked.
    pub(super) fn on_up_to_orchestrator(&mut self, now: &Now, sector: SectorId, message: UpMessage) {
        match message {
            UpMessage::Stage(report) => {
                if let Some(planner) = self.planners.get_mut(&sector) {
                    self.watching.on_report(sector, now.wall_us);
                    planner.on_stage(now.mesh, (*report).clone());
                    self.orchestrator.on_stage(now.mesh, *report);
                }
            }
            UpMessage::Fold(fold) => {
                let actions = self.orchestrator.on_fold(now.mesh, *fold);
                self.orchestrator_actions(actions);
            }
        }
    }

    pub(super) fn orchestrator_actions(&mut self, actions: Vec<ParentAction>) {
        for action in actions {
            match action {
                ParentAction::ToChild { child: Scope::Sector(sector), message } => self.dispatch(sector, message),
                ParentAction::ToChild { .. } | ParentAction::ToParent(UpMessage::Stage(_)) => {
                    self.shared.count("no_child");
                }
                ParentAction::ToParent(UpMessage::Fold(fold)) => {
                    let answers = self.answers.sum(fold.event, Scope::Global).ranked();
                    if !fold.correction {
                        self.shared.metrics.count_conflicts(fold.tally.trinary().conflict);
                    }
                    self.shared.update_report(fold.event, |entry| {
                        entry.answers = answers;
                        entry.fold = Some(*fold);
                    });
                }
            }
        }
    }

    fn dispatch(&mut self, sector: SectorId, message: DownMessage) {
        let event = match &message {
            DownMessage::Prepare(prepare) => prepare.event.event.id,
            DownMessage::Cancel(event) => *event,
        };
        // A call-off goes where the event went.
        let went = self.routes.get(&(event, sector)).copied();
        let Some(coordinator) = went.or_else(|| self.view.coordinator(sector)) else {
            self.shared.count("no_coordinator");
            return;
        };
        self.routes.insert_first((event, sector), coordinator);
        self.send(coordinator, Message::Down { child: Scope::Sector(sector), message });
    }

    /// What others read: warm-up and the hosted agents' figures.
    pub(super) fn publish_state(&mut self, now: &Now) {
        self.shared.set_warm(self.warm_up(now));
        let impedances = self.measurements.impedances();
        let row = |agent, impedance: Impedance| (agent, (impedance, self.paused.contains(&agent)));
        let agents = impedances.into_iter().map(|(agent, impedance)| row(agent, impedance)).collect();
        self.shared.set_measured(self.context_hash, agents);
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let held = self.leads.values().filter(|led| led.parked_us.is_none());
        self.shared.metrics.set_leads("lead", count(held.count()));
        self.shared.metrics.set_leads("coordinator", count(self.sectors.len()));
        self.publish_faults();
    }

    /// What the machines of this node refused or noticed, summed up by kind.
    fn publish_faults(&self) {
        let mut sums: BTreeMap<&'static str, u64> = BTreeMap::new();
        let leads = self.leads.values().flat_map(|led| led.machine().counters().rows());
        let sectors = self.sectors.values().flat_map(|sector| sector.machine.counters().rows());
        let rest = self.orchestrator.counters().rows().into_iter().chain(self.hosted.counters().rows());
        for (kind, number) in leads.chain(sectors).chain(rest) {
            let sum = sums.entry(kind).or_default();
            *sum = sum.saturating_add(number);
        }
        sums.into_iter().for_each(|(kind, sum)| self.shared.metrics.set_faults(kind, sum));
    }
}
