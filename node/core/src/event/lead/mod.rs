//! A cluster lead: measures its agents, sends each early enough, folds what comes back.

mod answering;
mod confirming;
mod folding;
mod hedging;
mod own_time;
mod probing;
mod staging;
mod survey;
mod wave;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, NodeId, Scope};

pub use self::answering::AnswerFault;
use self::probing::Outstanding;
use self::wave::Wave;
use super::hedge::HedgeBudget;
use super::id::EventId;
use super::message::{AnswerBody, HostMessage, HostReply, UpMessage};
use super::params::ArrivalParams;
use super::spec::{CLASSES, ClassSet};
use super::stage::StageReport;
use crate::clock::{AnchorVerdict, ClockEstimate, ClockSet};
use crate::delay::{ClassPrior, ClassTail, DelayModel, LeadGrowth};
use crate::time::MeshTimeUs;

/// Agents of one lead; a cluster has about 30.
pub const MAX_AGENTS: usize = 256;

/// An agent of the cluster, as the ledger names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentLink {
    /// Who.
    pub agent: AgentId,
    /// On which host.
    pub host: NodeId,
    /// Its class.
    pub class: AgentClass,
    /// Its capability bits.
    pub capabilities: u64,
}

/// What a lead wants done.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most go to hosts, and each is moved once")]
pub enum LeadAction {
    /// Send to a host of its agents.
    ToHost {
        /// Which.
        host: NodeId,
        /// What.
        message: HostMessage,
    },
    /// Send to the coordinator.
    ToParent(UpMessage),
}

/// What was dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeadCounters {
    /// Answers of agents that are not in this cluster or not on that host.
    pub foreign: u64,
    /// Answers to no known probe or event.
    pub unknown: u64,
    /// Answers for slots the agent was not asked for, or not yet.
    pub not_asked: u64,
    /// Answers given before.
    pub twice: u64,
    /// Answers that claim times which cannot be true.
    pub impossible: u64,
    /// Answers whose times contradict the agent's estimated clock, which may have been set; counted by when they can have been.
    pub unbracketed: u64,
    /// Prepares of known events.
    pub repeated: u64,
    /// Prepares refused: expired, or too many at once.
    pub refused: u64,
    /// Agents not prepared because no clock exchange with them ever worked.
    pub unmeasured: u64,
    /// Clock exchanges refused.
    pub absurd: u64,
    /// Times this lead's own clock was found to be off by its agents (coordinated shift, 2.9).
    pub anchor_alarms: u64,
    /// Agents over [`MAX_AGENTS`].
    pub overflow: u64,
}

impl LeadCounters {
    /// Every counter with its name.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 12] {
        [
            ("lead_foreign", self.foreign),
            ("lead_unknown", self.unknown),
            ("lead_not_asked", self.not_asked),
            ("lead_twice", self.twice),
            ("lead_impossible", self.impossible),
            ("lead_unbracketed", self.unbracketed),
            ("lead_repeated", self.repeated),
            ("lead_refused", self.refused),
            ("lead_unmeasured", self.unmeasured),
            ("lead_absurd", self.absurd),
            ("lead_anchor_alarms", self.anchor_alarms),
            ("lead_overflow", self.overflow),
        ]
    }

    fn bump(field: &mut u64) {
        *field = field.saturating_add(1);
    }
}

/// What a lead knows of one agent, for status pages and the registry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgentView {
    /// Who.
    pub agent: AgentId,
    /// Its clock, once measured.
    pub clock: Option<ClockEstimate>,
    /// Median of D for an event of weight zero.
    pub median_us: f64,
    /// Spread s.
    pub spread_us: f64,
    /// Lead it gets for the wanted probability.
    pub lead_us: f64,
    /// Enough samples of its own.
    pub warm: bool,
    /// Silent for too many waves.
    pub down: bool,
    /// Answers refused: given twice, for others, unasked, or with impossible times.
    pub faults: u32,
}

#[derive(Debug)]
struct Member {
    link: AgentLink,
    clock: ClockSet,
    delay: DelayModel,
    burst_left: u16,
    next_probe: MeshTimeUs,
    /// Probes in the usual rhythm since it was last heard.
    unheard: u8,
    answers: usize,
    faults: u32,
    growth: LeadGrowth,
}

/// The machine. Pure: it is told the time and returns what to send.
#[derive(Debug)]
pub struct LeadMachine {
    cluster: ClusterId,
    anchor: NodeId,
    params: ArrivalParams,
    members: BTreeMap<AgentId, Member>,
    frozen: BTreeSet<AgentId>,
    /// Tails of D, way and work.
    tails: [ClassTail; 6],
    /// Tails of the work alone.
    work_tails: [ClassTail; 6],
    waves: BTreeMap<EventId, Wave>,
    ended: VecDeque<EventId>,
    budget: HedgeBudget,
    /// How far this lead's time is off, by its agents' own time services.
    anchor_verdict: AnchorVerdict,
    next_anchor_check: MeshTimeUs,
    outstanding: Outstanding,
    next_stage: MeshTimeUs,
    /// When something was last under way that changes what the cluster needs.
    busy_at: MeshTimeUs,
    /// The last stage report, as long as nothing weighty was learned since.
    staged: Option<(MeshTimeUs, StageReport)>,
    counters: LeadCounters,
}

impl LeadMachine {
    /// A lead of `cluster` on the time of `anchor`, without agents yet.
    #[must_use]
    pub fn new(cluster: ClusterId, anchor: NodeId, params: ArrivalParams) -> Self {
        Self {
            cluster,
            anchor,
            params,
            members: BTreeMap::new(),
            frozen: BTreeSet::new(),
            tails: CLASSES.map(ClassPrior::tail),
            work_tails: CLASSES.map(|_| ClassPrior::work_tail()),
            waves: BTreeMap::new(),
            ended: VecDeque::new(),
            budget: HedgeBudget::default(),
            anchor_verdict: AnchorVerdict::default(),
            next_anchor_check: MeshTimeUs(i64::MIN),
            outstanding: Outstanding::default(),
            next_stage: MeshTimeUs(i64::MIN),
            busy_at: MeshTimeUs(i64::MIN),
            staged: None,
            counters: LeadCounters::default(),
        }
    }

    /// The cluster's agents changed: new ones are probed at once, ones that moved to another host start anew, gone ones
    /// are forgotten (events under way still count them).
    pub fn set_agents(&mut self, now: MeshTimeUs, agents: &[AgentLink]) {
        self.staged = None;
        let wanted: BTreeMap<AgentId, AgentLink> = agents.iter().take(MAX_AGENTS).map(|a| (a.agent, *a)).collect();
        let over = agents.len().saturating_sub(MAX_AGENTS) as u64;
        self.counters.overflow = self.counters.overflow.saturating_add(over);
        self.members.retain(|id, member| {
            wanted.get(id).is_some_and(|w| w.host == member.link.host && w.class == member.link.class)
        });
        for (id, link) in wanted {
            self.members.entry(id).and_modify(|m| m.link = link).or_insert_with(|| Member::new(link, now));
        }
    }

    /// Which of its agents are frozen: they are not prepared and count as in TRANSIT.
    pub fn set_frozen(&mut self, frozen: BTreeSet<AgentId>) {
        self.staged = None;
        self.frozen = frozen;
    }

    /// Parameters changed by a vote.
    pub fn set_params(&mut self, params: ArrivalParams) {
        self.staged = None;
        self.params = params;
    }

    /// The lead's own time now comes from another anchor.
    pub fn set_anchor(&mut self, anchor: NodeId) {
        self.anchor = anchor;
    }

    /// Answers of a host's agents arrived at `now`.
    pub fn on_reply(&mut self, now: MeshTimeUs, reply: &HostReply) -> Vec<LeadAction> {
        let mut touched = BTreeSet::new();
        let mut actions = Vec::new();
        for answer in &reply.answers {
            let known = self.members.get(&answer.agent).is_some_and(|m| m.link.host == reply.host);
            if !known || reply.cluster != self.cluster {
                LeadCounters::bump(&mut self.counters.foreign);
                continue;
            }
            if let Some(member) = self.members.get_mut(&answer.agent) {
                member.unheard = 0;
                if member.is_unmeasured() {
                    // It is there again: the rest of its measuring need not wait for the usual rhythm.
                    member.next_probe = member.next_probe.min(now.plus_us(probing::CATCH_UP_PERIOD_US));
                }
            }
            let event = match answer.body {
                AnswerBody::Probe { seq, received, answered, work_us, host_clock, waited_us } => {
                    if waited_us > probing::MAX_WAITED_US {
                        LeadCounters::bump(&mut self.counters.absurd);
                        continue;
                    }
                    let came = now.minus_us(i64::from(waited_us));
                    self.on_probe_answer(came, answer.agent, seq, (received, answered), work_us);
                    self.on_host_clock(now, answer.agent, host_clock);
                    continue;
                }
                AnswerBody::Armed { event, .. }
                | AnswerBody::Released { event, .. }
                | AnswerBody::Conflict { event, .. }
                | AnswerBody::GaveUp { event } => event,
            };
            self.staged = None;
            match self.on_event_answer(now, (answer.agent, answer.slot), event, &answer.body) {
                Ok(orders) => actions.extend(orders),
                Err(fault) => self.refuse_answer(answer.agent, fault),
            }
            touched.insert(event);
        }
        actions.extend(touched.into_iter().filter_map(|event| self.settle(now, event)));
        actions
    }

    /// Sends what is due: prepares, probes, summaries, the stage report.
    pub fn poll(&mut self, now: MeshTimeUs) -> Vec<LeadAction> {
        self.check_own_time(now);
        let mut actions = self.dispatch_due(now);
        actions.extend(self.probe_due(now));
        let ids: Vec<EventId> = self.waves.keys().copied().collect();
        actions.extend(ids.into_iter().filter_map(|id| self.settle(now, id)));
        if now >= self.next_stage {
            self.next_stage = self.next_stage_after(now);
            actions.push(LeadAction::ToParent(UpMessage::Stage(Box::new(self.stage_again(now)))));
        }
        actions
    }

    /// When to poll next.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<MeshTimeUs> {
        let probes = self.members.values().map(|m| m.next_probe);
        let waves = self.waves.values().filter_map(Wave::next_wakeup);
        probes.chain(waves).chain([self.next_stage]).min()
    }

    /// What is known of each agent.
    #[must_use]
    pub fn agents(&self, now: MeshTimeUs) -> Vec<AgentView> {
        let tails = self.tail_readings();
        self.members.values().map(|m| self.view(m, now, &tails)).collect()
    }

    /// What is known of one agent's clock.
    #[must_use]
    pub fn clock_of(&self, agent: AgentId, now: MeshTimeUs) -> Option<ClockEstimate> {
        self.members.get(&agent)?.clock.estimate(now)
    }

    /// What was dropped.
    #[must_use]
    pub fn counters(&self) -> LeadCounters {
        self.counters
    }

    /// Its cluster.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// How far this lead's own time is off, as its agents' time services have it; zero without an alarm.
    #[must_use]
    pub fn own_error_us(&self) -> f64 {
        self.anchor_verdict.error_us
    }

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }
}

/// Probes after the burst, the last ones five seconds apart, without an answer after which an agent is down; the last may be under way.
const MAX_UNHEARD: u8 = 4;

impl Member {
    /// Its own figures do not stand yet. People take hours and are not waited for.
    fn is_unmeasured(&self) -> bool {
        ClassSet::MACHINES.contains(self.link.class) && !self.delay.is_measured()
    }

    /// Silent for too many waves or probes: no budget waits for it, another agent takes its place.
    fn is_down(&self) -> bool {
        self.delay.is_down() || self.unheard >= MAX_UNHEARD
    }

    fn new(link: AgentLink, now: MeshTimeUs) -> Self {
        Self {
            link,
            clock: ClockSet::new(),
            delay: DelayModel::new(),
            burst_left: probing::JOIN_BURST,
            next_probe: now,
            unheard: 0,
            answers: 0,
            faults: 0,
            growth: LeadGrowth::default(),
        }
    }
}
