//! All machines of the arrival thread and what runs between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mesh30k_core::event::{EventId, LeadMachine, ParentMachine};
use mesh30k_core::hosted::{HostedAgent, HostedAgents};
use mesh30k_core::lead::Tenure;
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentId, ClusterId, Hash, NodeId, Scope, SectorId};

use super::answers::AnswerBook;
use super::book::Book;
use super::bundle::BundleBook;
use super::content::Question;
use super::measured::Measurements;
use super::quiet::Quiet;
use super::shared::Shared;
use super::thread::Input;
use super::topology::Topology;
use super::view::{ArrivalClock, Link, MeshView, Now, Rules};
use super::watching::{Ask, Watching};
use super::wire::{LedStage, Message, Sealer};
use crate::mesh::freeze::FreezeView;
use crate::roster::SharedRoster;

/// How often the roster, leases and coordinators are looked at again.
pub(super) const REFRESH_US: i64 = 500_000;
/// Messages of this node to itself that wait, at most.
const LOCAL_MAX: usize = 65_536;
/// Events remembered by where they came from and went to.
const EVENTS_MAX: usize = 512;

/// A cluster this node leads, or led until a moment ago.
pub(super) struct Led {
    machine: LeadMachine,
    /// When the machine wants to be polled, as long as nothing touched it; looking through its agents each time the thread
    /// wakes costs more than most of what it wakes for.
    wakeup: Option<Option<TimeUs>>,
    pub(super) tenure: Tenure,
    /// Since when (machine's clock) the lease is not held; what was measured is kept for a while.
    pub(super) parked_us: Option<i64>,
    pub(super) agents: u32,
    pub(super) warm: u32,
}

impl Led {
    pub(super) const fn new(machine: LeadMachine, tenure: Tenure) -> Self {
        Self { machine, wakeup: None, tenure, parked_us: None, agents: 0, warm: 0 }
    }

    pub(super) const fn machine(&self) -> &LeadMachine {
        &self.machine
    }

    pub(super) const fn machine_mut(&mut self) -> &mut LeadMachine {
        self.wakeup = None;
        &mut self.machine
    }

    pub(super) fn next_wakeup(&mut self) -> Option<TimeUs> {
        *self.wakeup.get_or_insert_with(|| self.machine.next_wakeup())
    }
}

/// A sector this node coordinates.
pub(super) struct Coordinated {
    pub(super) machine: ParentMachine,
    /// Nodes that asked for its reports, and until when (machine's clock).
    pub(super) watchers: BTreeMap<NodeId, i64>,
}

/// What the host keeps of a staged event.
#[derive(Clone, Copy)]
pub(super) struct StagedEvent {
    pub(super) target: TimeUs,
    pub(super) question: Option<Question>,
    pub(super) weightless: bool,
}

/// What an engine is made of.
pub(super) struct EngineParts {
    pub(super) me: NodeId,
    pub(super) context: ChainContext,
    pub(super) roster: SharedRoster,
    pub(super) view: Arc<dyn MeshView>,
    pub(super) link: Box<dyn Link>,
    pub(super) sealer: Sealer,
    pub(super) hosted: HostedAgents,
    pub(super) shared: Arc<Shared>,
}

/// The machines of one node. Everything happens on its thread.
pub(super) struct Engine {
    pub(super) me: NodeId,
    pub(super) context: ChainContext,
    pub(super) source: SharedRoster,
    pub(super) topology: Topology,
    pub(super) view: Arc<dyn MeshView>,
    pub(super) link: Box<dyn Link>,
    pub(super) sealer: Sealer,
    pub(super) clock: ArrivalClock,
    pub(super) shared: Arc<Shared>,
    pub(super) rules: Arc<Rules>,
    pub(super) context_hash: Hash,
    pub(super) freezes: Arc<FreezeView>,
    corrected_us: i64,
    pub(super) hosted: HostedAgents,
    pub(super) host_list: BTreeMap<AgentId, HostedAgent>,
    pub(super) paused: BTreeSet<AgentId>,
    pub(super) measurements: Measurements,
    pub(super) quiet: Quiet,
    pub(super) staged: Book<EventId, StagedEvent>,
    /// Who acted last for the clusters of hosted agents, by their own word.
    pub(super) acting: BTreeMap<ClusterId, (NodeId, Tenure)>,
    pub(super) leads: BTreeMap<ClusterId, Led>,
    /// What led clusters need, until it is sent at the end of the same turn.
    pub(super) stages: BTreeMap<NodeId, Vec<LedStage>>,
    /// What led clusters have to say to hosts without haste, until the end of the same turn.
    pub(super) bundles: BundleBook,
    /// When hosts are told next how leads here see their agents.
    pub(super) next_estimates_us: i64,
    pub(super) sectors: BTreeMap<SectorId, Coordinated>,
    pub(super) orchestrator: ParentMachine,
    /// One parent per sector that only plans: for events that mean a sector or less.
    pub(super) planners: BTreeMap<SectorId, ParentMachine>,
    pub(super) answers: AnswerBook,
    /// From which node an event came to a part of the tree this node answers for.
    pub(super) origins: Book<(EventId, Scope), NodeId>,
    /// To which node an orchestrated event went, by sector.
    pub(super) routes: Book<(EventId, SectorId), NodeId>,
    /// Events whose signature was checked, by what exactly was checked.
    pub(super) verified: Book<EventId, Hash>,
    pub(super) watching: Watching,
    local: VecDeque<Message>,
    next_refresh_us: i64,
    pub(super) next_publish_us: i64,
}

impl Engine {
    pub(super) fn new(parts: EngineParts) -> Self {
        let (rules, freezes) = (parts.shared.rules(), parts.shared.freezes());
        let mut engine = Self {
            me: parts.me,
            context: parts.context,
            source: parts.roster,
            topology: Topology::default(),
            view: parts.view,
            link: parts.link,
            sealer: parts.sealer,
            clock: parts.shared.clock.clone(),
            context_hash: context_hash(&parts.context, &rules),
            orchestrator: ParentMachine::new(Scope::Global, rules.params),
            shared: parts.shared,
            rules,
            freezes,
            corrected_us: 0,
            hosted: parts.hosted,
            host_list: BTreeMap::new(),
            paused: BTreeSet::new(),
            measurements: Measurements::default(),
            quiet: Quiet::new(parts.me.0),
            staged: Book::new(EVENTS_MAX),
            acting: BTreeMap::new(),
            leads: BTreeMap::new(),
            stages: BTreeMap::new(),
            bundles: BundleBook::new(),
            next_estimates_us: i64::MIN,
            sectors: BTreeMap::new(),
            planners: BTreeMap::new(),
            answers: AnswerBook::default(),
            origins: Book::new(EVENTS_MAX),
            routes: Book::new(EVENTS_MAX),
            verified: Book::new(EVENTS_MAX),
            watching: Watching::default(),
            local: VecDeque::new(),
            next_refresh_us: i64::MIN,
            next_publish_us: i64::MIN,
        };
        engine.refresh();
        engine
    }

    /// One thing from outside.
    pub(super) fn on_input(&mut self, input: Input) {
        self.follow_clock();
        match input {
            Input::Frame { from, arrived_us, frame } => self.on_frame(from, arrived_us, &frame),
            Input::Plan { ask, answer } => {
                self.refresh();
                self.ask(Ask::Plan(ask, answer));
            }
            Input::Start { event, admission, answer } => {
                self.refresh();
                self.ask(Ask::Start(event, admission, answer));
            }
            Input::Cancel { event, answer } => {
                let _ = answer.send(self.cancel(event));
            }
            Input::Nudge => self.refresh(),
            Input::Stop => {}
        }
        self.deliver_local();
        self.poll_hosted();
    }

    /// Whether the instants around some T have come, in which nothing but releases should be done.
    pub(super) fn is_quiet_due(&self) -> bool {
        self.quiet.next_us().is_some_and(|at| at <= self.clock.now().wall_us)
    }

    /// Does everything that is due; around T only releases.
    pub(super) fn work(&mut self) {
        if let Some(spell) = self.quiet.enter(self.clock.now().wall_us) {
            self.release_around_target(spell);
        }
        self.follow_clock();
        self.poll_hosted();
        if self.clock.now().wall_us >= self.next_refresh_us {
            self.refresh();
        }
        self.poll_leads();
        self.poll_parents();
        self.deliver_local();
        self.answer_waiting();
        self.poll_hosted();
    }

    /// What leads measured follows this node's mesh time where that was corrected.
    fn follow_clock(&mut self) {
        let corrected_us = self.clock.now().corrected_us;
        let by_us = corrected_us.saturating_sub(std::mem::replace(&mut self.corrected_us, corrected_us));
        if by_us != 0 {
            self.leads.values_mut().for_each(|led| led.machine_mut().correct_time(by_us));
        }
    }

    /// Whether somebody asked for the end.
    pub(super) fn is_stopped(&self) -> bool {
        self.shared.is_stopped()
    }

    /// Microseconds until there is something to do.
    pub(super) fn idle_us(&mut self) -> i64 {
        let now = self.clock.now();
        let held = self.leads.values_mut().filter(|led| led.parked_us.is_none());
        let leads = held.filter_map(Led::next_wakeup).min();
        let sectors = self.sectors.values().filter_map(|sector| sector.machine.next_wakeup());
        let mesh = leads.into_iter().chain(sectors).chain(self.orchestrator.next_wakeup()).min();
        let others = [self.hosted.next_wakeup_us(), self.quiet.next_us(), self.watching.next_us()];
        let walls = [Some(self.next_refresh_us), mesh.map(|at| now.wall_at(at))].into_iter().chain(others);
        let next_us = walls.flatten().min().unwrap_or(now.wall_us);
        if self.local.is_empty() { next_us.saturating_sub(now.wall_us).max(0) } else { 0 }
    }

    /// Looks at everything that changes outside: rules, freezes, roster, leases, coordinators.
    pub(super) fn refresh(&mut self) {
        let now = self.clock.now();
        self.next_refresh_us = now.wall_us.saturating_add(REFRESH_US);
        self.refresh_rules(&now);
        let roster = self.source.load();
        let moved = !self.topology.is_of(&roster);
        if moved {
            self.topology = Topology::new(roster, self.me);
            self.watching.on_moved();
            self.refresh_hosted(&now);
        }
        let added = self.refresh_leads(&now, moved);
        self.refresh_sectors(&now);
        let freezes = self.shared.freezes();
        let frozen = freezes.version != self.freezes.version;
        if frozen || moved || added {
            self.freezes = freezes;
            self.apply_freezes(&now);
        }
        self.watch_sectors(&now);
        if now.wall_us >= self.next_publish_us || frozen {
            self.publish_state(&now);
        }
    }

    fn refresh_rules(&mut self, now: &Now) {
        let rules = self.shared.rules();
        if rules == self.rules {
            return;
        }
        if rules.operators != self.rules.operators {
            self.verified.clear();
        }
        self.rules = rules;
        self.context_hash = context_hash(&self.context, &self.rules);
        let params = self.rules.params;
        self.orchestrator.set_params(params);
        self.planners.values_mut().for_each(|planner| planner.set_params(params));
        self.sectors.values_mut().for_each(|sector| sector.machine.set_params(params));
        for led in self.leads.values_mut() {
            led.machine_mut().set_params(params);
            led.machine_mut().set_anchor(self.rules.anchor);
        }
        self.report_stages(now);
    }

    /// Sends to a node; to this one, through the queue that the same loop empties.
    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        if to == self.me {
            if self.local.len() >= LOCAL_MAX {
                self.shared.count("local_full");
                return;
            }
            self.local.push_back(message);
            return;
        }
        let now = self.clock.now();
        match self.sealer.seal(&now, &message) {
            Ok(frame) => {
                if !self.link.send(to, frame) {
                    self.shared.count("not_sent");
                }
            }
            Err(error) => {
                tracing::debug!(%error, %to, "a message can't be sealed");
                self.shared.count("not_sealed");
            }
        }
    }

    /// Messages of this node to itself, in order.
    pub(super) fn deliver_local(&mut self) {
        while let Some(message) = self.local.pop_front() {
            let now = self.clock.now();
            if let Err(refusal) = self.accept(self.me, message, None, &now) {
                self.refuse(self.me, &refusal);
            }
        }
    }
}

/// What an agent calls its context: the chain and the rules it acts by. Hosts that know of the same votes agree.
fn context_hash(context: &ChainContext, rules: &Rules) -> Hash {
    let params = [rules.params.arm_probability.to_le_bytes(), rules.params.hold_margin_us.to_le_bytes()].concat();
    Hash::derive("mesh30k agent context v1", &[&encode(context), &encode(&rules.operators), &params])
}
