//! One event at one lead: who is sent what when (2.4).

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_ledger::types::{AgentClass, AgentId, NodeId, Scope};

use super::super::fold::ConflictReport;
use super::super::id::EventId;
use super::super::message::{HostMessage, HostPrepare, MAX_BATCH, Prepare, PrepareEntry, UpMessage};
use super::super::parent::{MAX_WAVES, wave_end};
use super::super::spec::{Reach, Strategy};
use super::survey::{Reading, Survey};
use super::{LeadAction, LeadCounters, LeadMachine};
use crate::delay::{DelaySummary, kappa};
use crate::time::{LocalTimeUs, MeshTimeUs, round_us};

/// A timer tick: g (2.4).
pub(super) const TICK_US: i64 = 1_000;
/// A prepare that is held leaves up to this much before it must: it waits at the agent without costing anything, and a lost
/// message or a lead that stalls in the meantime costs nobody's T. Not more, for clocks drift.
const EARLY_US: i64 = 5_000_000;
/// Prepares of one host within this leave as one message.
const BUCKET_US: i64 = 1_000;
/// Standbys that are due within so much leave together. None of them is so urgent, and a lead has thirty agents.
const HEDGE_BUCKET_US: i64 = 10_000;

/// One agent's part in a slot, as far as the lead knows it.
#[derive(Debug, Default)]
pub(super) struct Party {
    pub(super) sent_at: Option<MeshTimeUs>,
    /// T on the agent's clock, as it was told.
    pub(super) target: LocalTimeUs,
    pub(super) armed: Option<LocalTimeUs>,
    /// When it released, by its own clock, and when the lead heard of it.
    pub(super) released: Option<(LocalTimeUs, MeshTimeUs)>,
    /// It gave up or contradicted: nothing more comes.
    pub(super) ended: bool,
    /// It was told to give up.
    pub(super) dismissed: bool,
}

impl Party {
    /// ARMED in time by its own clock: at T the right is its own.
    pub(super) fn holds(&self) -> bool {
        !self.ended && self.armed.is_some_and(|armed| armed <= self.target)
    }

    /// Sent, and neither released nor out of it.
    pub(super) fn is_awaited(&self) -> bool {
        self.sent_at.is_some() && self.released.is_none() && !self.ended
    }
}

/// A standby and its part in another's slot.
#[derive(Debug)]
pub(super) struct StandbyParty {
    pub(super) agent: AgentId,
    pub(super) party: Party,
    pub(super) granted: bool,
}

/// What is known of one slot in one event.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) class: AgentClass,
    pub(super) summary: DelaySummary,
    /// What its work was given for p: what the conformal correction is about, however early it began.
    pub(super) start_us: f64,
    pub(super) primary: Party,
    pub(super) standby: Option<StandbyParty>,
    pub(super) conflict: Option<ConflictReport>,
    /// It was to have a standby and the budget had none.
    pub(super) unhedged: bool,
    /// The agent is down or was never measured: it is not asked, another takes its place.
    pub(super) is_substituted: bool,
}

impl Dispatch {
    fn new(class: AgentClass, reading: &Reading) -> Self {
        Self {
            class,
            summary: reading.summary,
            start_us: reading.start_us,
            primary: Party::default(),
            standby: None,
            conflict: None,
            unhedged: false,
            is_substituted: false,
        }
    }

    /// Something final is known: the slot needs no waiting for.
    pub(super) fn is_over(&self) -> bool {
        let standby = self.standby.as_ref().is_some_and(|s| s.party.released.is_some());
        self.primary.released.is_some() || self.conflict.is_some() || standby
    }

    /// Nothing more can come.
    pub(super) fn is_closed(&self) -> bool {
        self.is_over() && !self.primary.is_awaited() && !self.standby.as_ref().is_some_and(|s| s.party.is_awaited())
    }

    pub(super) fn went_unanswered(&self) -> bool {
        self.primary.is_awaited() && self.primary.armed.is_none() && self.conflict.is_none()
    }

    pub(super) fn party_mut(&mut self, agent: AgentId, slot: AgentId) -> Option<&mut Party> {
        if agent == slot {
            return Some(&mut self.primary);
        }
        self.standby.as_mut().filter(|s| s.agent == agent).map(|s| &mut s.party)
    }
}

#[derive(Debug)]
pub(super) struct Wave {
    /// T by this lead's own clock.
    pub(super) target: MeshTimeUs,
    pub(super) effects: bool,
    pub(super) weight_milli: u32,
    priority: u8,
    pub(super) fold_by: MeshTimeUs,
    pub(super) ends: MeshTimeUs,
    pub(super) prepare_delay_us: i64,
    /// By slot.
    pub(super) agents: BTreeMap<AgentId, Dispatch>,
    hosts: BTreeSet<NodeId>,
    /// Who is sent when, and how long before T the work begins.
    queue: BTreeMap<(MeshTimeUs, NodeId), Vec<(AgentId, i64)>>,
    /// When which slot gets a standby, unless its agent is known to be ARMED.
    pub(super) hedges: BTreeMap<MeshTimeUs, Vec<AgentId>>,
    pub(super) cancelled: bool,
    pub(super) folded: bool,
    pub(super) changed: bool,
}

impl Wave {
    fn new(scope: Scope, prepare: &Prepare, target: MeshTimeUs, now: MeshTimeUs) -> Self {
        let event = &prepare.event.event;
        Self {
            target,
            effects: event.effects,
            weight_milli: event.weight_milli,
            priority: event.priority,
            fold_by: prepare.fold_by,
            ends: wave_end(scope, event.target, event.expires()).max(prepare.fold_by),
            prepare_delay_us: now.since_us(prepare.sent_at),
            agents: BTreeMap::new(),
            hosts: BTreeSet::new(),
            queue: BTreeMap::new(),
            hedges: BTreeMap::new(),
            cancelled: false,
            folded: false,
            changed: false,
        }
    }

    /// Another agent takes this one's place, as soon as the hosts know the event.
    fn substitute(&mut self, now: MeshTimeUs, slot: AgentId) {
        if let Some(dispatch) = self.agents.get_mut(&slot) {
            dispatch.is_substituted = true;
            self.hedges.entry(now).or_default().push(slot);
        }
    }

    pub(super) fn next_wakeup(&self) -> Option<MeshTimeUs> {
        let due = self.queue.keys().next().map(|(at, _)| *at);
        let hedge = self.hedges.keys().next().copied();
        let summary = if self.folded { self.ends } else { self.fold_by };
        due.into_iter().chain(hedge).chain([summary]).min()
    }
}

impl LeadMachine {
    /// An event from above: stage it at the hosts at once, send each agent its prepare when its lead is due.
    pub fn on_prepare(&mut self, now: MeshTimeUs, prepare: &Prepare) -> Vec<LeadAction> {
        let event = &prepare.event.event;
        if self.waves.contains_key(&event.id) || self.ended.contains(&event.id) {
            LeadCounters::bump(&mut self.counters.repeated);
            return Vec::new();
        }
        if event.reach != Reach::Agents {
            self.end(event.id);
            return vec![LeadAction::ToParent(UpMessage::Fold(Box::new(self.confirm(now, prepare))))];
        }
        self.be_busy(now);
        let refused = self.waves.len() >= MAX_WAVES || now > event.expires();
        let wave = self.enrol(now, prepare);
        if refused || wave.agents.is_empty() {
            if refused {
                LeadCounters::bump(&mut self.counters.refused);
            }
            self.end(event.id);
            return vec![LeadAction::ToParent(UpMessage::Fold(Box::new(self.fold(now, event.id, &wave, false))))];
        }
        if !wave.hedges.is_empty() {
            self.budget.open_wave(wave.agents.len(), self.params.hedge_budget_ppm);
        }
        let stage =
            |host: &NodeId| LeadAction::ToHost { host: *host, message: HostMessage::Stage(prepare.event.clone()) };
        let mut actions: Vec<LeadAction> = wave.hosts.iter().map(stage).collect();
        self.waves.insert(event.id, wave);
        actions.extend(self.dispatch_due(now));
        actions
    }

    /// The event is called off: what was not sent is not sent, and the hosts stop the rest if it is before T.
    pub fn on_cancel(&mut self, event: EventId) -> Vec<LeadAction> {
        let Some(wave) = self.waves.get_mut(&event) else { return Vec::new() };
        wave.queue.clear();
        wave.hedges.clear();
        wave.cancelled = true;
        let cluster = self.cluster;
        let cancel =
            |host: &NodeId| LeadAction::ToHost { host: *host, message: HostMessage::Cancel { cluster, event } };
        wave.hosts.iter().map(cancel).collect()
    }

    /// Who takes part and when each is sent: to hold, as early as may be held, with the instant at which its work begins; to
    /// throw, at T - m.
    fn enrol(&mut self, now: MeshTimeUs, prepare: &Prepare) -> Wave {
        let event = &prepare.event.event;
        let hedged = self.params.hedge && event.strategy == Strategy::Hold;
        let kappa = kappa(event.weight_milli, 0);
        let cluster = self.cluster;
        let selects = |id: AgentId, member: &super::Member| {
            event.selects(id, member.link.class, member.link.capabilities, cluster)
        };
        let mut survey = self.survey(now, kappa, hedged, |m| selects(m.link.agent, m));
        for (id, reading) in survey.readings.iter_mut().filter(|(_, r)| r.summary.warm) {
            if let Some(member) = self.members.get_mut(id) {
                // Of weight zero, so that a heavier event is no growth.
                reading.start_us = member.growth.grant(reading.start_us / kappa) * kappa;
            }
        }
        let mut wave = Wave::new(self.scope(), prepare, self.own_target(event.target), now);
        let mut unmeasured = 0_u64;
        for (id, member) in self.members.iter().filter(|(id, m)| selects(**id, m)) {
            let Some(reading) = survey.readings.get(id) else { continue };
            wave.agents.insert(*id, Dispatch::new(member.link.class, reading));
            unmeasured = unmeasured.saturating_add(u64::from(reading.clock.is_none()));
            if self.frozen.contains(id) {
                continue;
            }
            wave.hosts.insert(member.link.host);
            if hedged && (reading.clock.is_none() || member.is_down()) {
                wave.substitute(now, *id);
                continue;
            }
            let hedged_start_us = plan_hedge(&mut wave, now, &survey, &member.link);
            if reading.clock.is_none() {
                continue;
            }
            let (ahead_us, start_us) = match event.strategy {
                Strategy::Hold => {
                    let start_us = hedged_start_us.unwrap_or(reading.start_us);
                    let lead_us = round_us(reading.lead_us(start_us)).saturating_add(self.params.hold_margin_us);
                    let ahead_us = lead_us.saturating_add(TICK_US).saturating_add(EARLY_US);
                    (ahead_us, round_us(start_us).saturating_add(self.params.hold_margin_us))
                }
                // Buckets round down; half a bucket less keeps the mean.
                Strategy::Throw => (round_us(reading.summary.median_us).saturating_sub(BUCKET_US / 2), i64::MAX),
            };
            let slot = floor(wave.target.minus_us(ahead_us), BUCKET_US);
            wave.queue.entry((slot, member.link.host)).or_default().push((*id, start_us));
        }
        self.counters.unmeasured = self.counters.unmeasured.saturating_add(unmeasured);
        wave
    }

    /// Prepares whose send slot has come, higher priority first, then standbys.
    pub(super) fn dispatch_due(&mut self, now: MeshTimeUs) -> Vec<LeadAction> {
        let due = |w: &Wave| {
            let queued = w.queue.keys().next().is_some_and(|(at, _)| *at <= now);
            queued || w.hedges.keys().next().is_some_and(|at| *at <= now)
        };
        let mut order: Vec<(std::cmp::Reverse<u8>, EventId)> =
            self.waves.iter().filter(|(_, w)| due(w)).map(|(id, w)| (std::cmp::Reverse(w.priority), *id)).collect();
        order.sort_unstable();
        let mut actions = Vec::new();
        for (_, id) in order {
            actions.extend(self.dispatch_wave(now, id));
            actions.extend(self.hedge_wave(now, id));
        }
        actions
    }

    fn dispatch_wave(&mut self, now: MeshTimeUs, id: EventId) -> Vec<LeadAction> {
        let Some(wave) = self.waves.get_mut(&id) else { return Vec::new() };
        let mut by_host: BTreeMap<NodeId, Vec<PrepareEntry>> = BTreeMap::new();
        while let Some(first) = wave.queue.first_entry().filter(|e| e.key().0 <= now) {
            let ((_, host), agents) = first.remove_entry();
            for (agent, start_us) in agents {
                let clock = self.members.get(&agent).and_then(|m| m.clock.estimate(now));
                let (Some(clock), Some(dispatch)) = (clock, wave.agents.get_mut(&agent)) else { continue };
                let target = clock.to_local(wave.target);
                dispatch.primary = Party { sent_at: Some(now), target, ..Party::default() };
                let entry = PrepareEntry { agent, slot: agent, target, start: target.minus_us(start_us) };
                by_host.entry(host).or_default().push(entry);
            }
        }
        self.prepares(now, id, by_host)
    }

    /// What an agent's work in an event under way was given for p: with the wanted probability it is done within this, counted
    /// from when it was to begin. None for an agent that is down, for which nothing is promised.
    #[must_use]
    pub fn promised_work_us(&self, event: EventId, agent: AgentId) -> Option<f64> {
        let dispatch = self.waves.get(&event)?.agents.get(&agent)?;
        let down = self.members.get(&agent).is_none_or(super::Member::is_down);
        (!down).then_some(dispatch.start_us)
    }

    pub(super) fn prepares(
        &self,
        now: MeshTimeUs,
        event: EventId,
        by_host: BTreeMap<NodeId, Vec<PrepareEntry>>,
    ) -> Vec<LeadAction> {
        let mut actions = Vec::new();
        for (host, entries) in by_host {
            for part in entries.chunks(MAX_BATCH) {
                let prepare = HostPrepare { cluster: self.cluster, event, sent_at: now, entries: part.to_vec() };
                actions.push(LeadAction::ToHost { host, message: HostMessage::Prepare(prepare) });
            }
        }
        actions
    }
}

/// Plans a slot's standby; how long before T its primary's work then begins.
fn plan_hedge(wave: &mut Wave, now: MeshTimeUs, survey: &Survey, link: &super::AgentLink) -> Option<f64> {
    let plan = survey.hedge(link.agent, link.host, link.class, wave.effects)?;
    let reading = survey.readings.get(&link.agent)?;
    let at = floor(wave.target.minus_us(round_us(plan.ahead_us)), HEDGE_BUCKET_US);
    // With less time than its usual answer takes, silence says nothing of the primary: a standby would be wasted on it.
    let usual_us = round_us(reading.summary.median_us + reading.summary.way_us);
    if at.since_us(now) >= usual_us {
        wave.hedges.entry(at).or_default().push(link.agent);
    }
    Some(plan.start_us)
}

fn floor(at: MeshTimeUs, bucket_us: i64) -> MeshTimeUs {
    MeshTimeUs(at.0.saturating_sub(at.0.checked_rem_euclid(bucket_us).unwrap_or(0)))
}
