//! The orchestrator's side: plans, events started here, and their reports.

use std::collections::BTreeMap;

use mesh30k_core::event::{
    DownMessage, Event, EventError as SpecError, EventId, MAX_AHEAD_US, MAX_NAMED_AGENTS, MAX_WAVES, ParentAction,
    ParentMachine, PlanError, PlanRequest as CorePlanRequest, Prepare, Reach, SignedEvent, Strategy, UpMessage, sample,
};
use mesh30k_core::registry::Impedance;
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::{AgentId, Scope, SectorId};

use super::engine::Engine;
use super::refusal::{EventError, ppm};
use super::shared::{REPORTS_MAX, ReportEntry};
use super::topology::{Level, Selection, total};
use super::view::Now;
use super::wire::Message;
use crate::api::types::PlanAnswer;

/// From a plan to the event's arrival at the orchestrator: reading, signing, submitting.
const PLAN_SLACK_US: i64 = 250_000;

/// How often what others read is brought up to date, and how often while the mesh is forming.
const PUBLISH_US: i64 = 2_000_000;
const PUBLISH_FORMING_US: i64 = 500_000;

/// What is to be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanAsk {
    /// Hold or throw.
    pub strategy: Strategy,
    /// The wanted T; none for the earliest that can be kept.
    pub target: Option<TimeUs>,
    /// Whom it is for.
    pub selection: Selection,
    /// Only so many of them, drawn with this seed.
    pub sample: Option<(u32, u64)>,
}

impl PlanAsk {
    /// The earliest instant for everybody but people.
    #[must_use]
    pub fn everybody(strategy: Strategy) -> Self {
        Self { strategy, target: None, selection: Selection::default(), sample: None }
    }
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
        let selection = &ask.selection;
        let request = CorePlanRequest {
            target: ask.target,
            classes: selection.classes,
            strategy: ask.strategy,
            weight_milli: 0,
            slack_us: PLAN_SLACK_US,
        };
        let agents = self.resolve(ask)?;
        let enrolled = if agents.is_empty() { self.topology.matching(selection).count() } else { agents.len() };
        if enrolled == 0 {
            return Err(EventError::EmptySet);
        }
        let sector = self.sector_of_selection(selection, &agents);
        let answer = |earliest: TimeUs, at: TimeUs, hit: f64, feasible: bool, needs_us: i64| PlanAnswer {
            now_us: now.0,
            earliest_us: earliest.0,
            at_us: at.0,
            predicted_hit_ppm: ppm(hit),
            enrolled: enrolled as u64,
            feasible,
            needs_us,
            agents: agents.clone(),
        };
        match self.planner(sector).plan(now, &request) {
            Ok(plan) => Ok(answer(plan.earliest, plan.target, plan.predicted_hit, true, plan.needs_us)),
            Err(PlanError::InsufficientLead { needs_ms, earliest, predicted_hit, .. }) => {
                let at = ask.target.unwrap_or(earliest);
                Ok(answer(earliest, at, predicted_hit, false, needs_ms.saturating_mul(1_000)))
            }
            Err(error @ PlanError::Nobody) => Err(error.into()),
        }
    }

    /// The agents an event has to name: those asked for by name or drawn; nobody when it means all that match.
    fn resolve(&self, ask: &PlanAsk) -> Result<Vec<AgentId>, EventError> {
        let selection = &ask.selection;
        self.check_named(&selection.agents)?;
        let matching = || self.topology.matching(selection).map(|agent| agent.id);
        let named = match ask.sample {
            Some((count, seed)) => sample(matching(), count as usize, seed),
            None if selection.agents.is_empty() => return Ok(Vec::new()),
            None => matching().collect(),
        };
        let (value, limit) = (named.len() as u64, MAX_NAMED_AGENTS as u64);
        match named.len() {
            0 => Err(EventError::EmptySet),
            _ if value > limit => Err(SpecError::Limit { field: "number of named agents", value, limit }.into()),
            _ => Ok(named),
        }
    }

    fn check_named(&self, agents: &[AgentId]) -> Result<(), EventError> {
        match self.topology.unknown(agents) {
            Some((first, unknown)) => Err(EventError::UnknownAgents { first, unknown }),
            None => Ok(()),
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
        self.check_room(&now)?;
        self.check_named(&event.event.agents)?;
        let enrolments = self.topology.enrol(&event.event, Level::Sectors);
        let enrolled = total(&enrolments);
        let agents = enrolled.iter().map(|n| u64::from(*n)).sum();
        if agents == 0 {
            return Err(EventError::EmptySet);
        }
        if self.topology.selected(&event.event).all(|a| self.freezes.is_frozen(a.id, a.cluster, now.mesh)) {
            return Err(EventError::Frozen { agents });
        }
        // Above the agents nobody needs time to prepare.
        if admission == Admission::InTime && event.event.reach == Reach::Agents {
            self.check_lead_time(&event, &now)?;
        }
        let (target, expires) = (event.event.target, event.event.expires());
        let answers = Vec::new();
        let entry = ReportEntry { target, expires, enrolled, fold: None, answers, cancelled: false };
        self.shared.open_report(id, entry, now.mesh);
        self.shared.metrics.cascades.inc();
        let prepare = Prepare { fold_by: event.event.deadline, event, sent_at: now.mesh };
        let actions = self.orchestrator.on_prepare(now.mesh, &prepare, &enrolments);
        self.orchestrator_actions(actions);
        Ok(id)
    }

    /// Events whose time is not over are remembered, so that none can be started twice; more than that are refused.
    fn check_room(&self, now: &Now) -> Result<(), EventError> {
        let under_way = self.orchestrator.active();
        if under_way >= MAX_WAVES {
            return Err(EventError::TooMany { under_way, limit: MAX_WAVES });
        }
        if self.shared.has_room(now.mesh) {
            Ok(())
        } else {
            Err(EventError::TooMany { under_way: REPORTS_MAX, limit: REPORTS_MAX })
        }
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
        self.planner(self.sector_of(event)).plan(now.mesh, &request)?;
        Ok(())
    }

    /// The one sector that all of these `agents` of a selection are in; none when it is for several.
    pub(super) fn sector_of_selection(&self, selection: &Selection, agents: &[AgentId]) -> Option<SectorId> {
        selection.sector.or_else(|| self.topology.only_sector(agents))
    }

    /// The one sector that an event lies in; none when it is for several.
    pub(super) fn sector_of(&self, event: &Event) -> Option<SectorId> {
        match event.scope {
            Scope::Global => self.topology.only_sector(&event.agents),
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
        let warm = self.warm_up(now);
        let every_us = if warm.is_formed() { PUBLISH_US } else { PUBLISH_FORMING_US };
        self.next_publish_us = now.wall_us.saturating_add(every_us);
        self.shared.set_warm(warm);
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
