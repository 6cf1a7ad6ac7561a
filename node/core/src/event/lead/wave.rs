//! One event at one lead: who is sent what when, and what each answered (2.4).

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_ledger::types::{AgentClass, AgentId, Hash, NodeId};

use super::super::fold::ConflictReport;
use super::super::id::EventId;
use super::super::message::{ConflictKind, HostMessage, HostPrepare, MAX_BATCH, Prepare, PrepareEntry, UpMessage};
use super::super::parent::{MAX_WAVES, wave_end};
use super::super::spec::{Strategy, class_index};
use super::{LeadAction, LeadCounters, LeadMachine};
use crate::delay::{ClassPrior, DelaySummary, kappa};
use crate::time::{LocalTimeUs, MeshTimeUs, round_us};

/// Cost of one more message of a fan-out and one timer tick: g (2.4).
const FAN_OUT_US: i64 = 20;
pub(super) const TICK_US: i64 = 1_000;
/// Prepares of one host within this leave as one message.
const BUCKET_US: i64 = 1_000;

/// What is known of one agent in one event.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) class: AgentClass,
    summary: DelaySummary,
    lead_us: f64,
    sent_at: Option<MeshTimeUs>,
    pub(super) armed: Option<LocalTimeUs>,
    pub(super) released: Option<LocalTimeUs>,
    pub(super) conflict: Option<ConflictReport>,
}

impl Dispatch {
    pub(super) fn is_over(&self) -> bool {
        self.released.is_some() || self.conflict.is_some()
    }

    pub(super) fn went_unanswered(&self) -> bool {
        self.sent_at.is_some() && self.armed.is_none() && !self.is_over()
    }
}

#[derive(Debug)]
pub(super) struct Wave {
    pub(super) target: MeshTimeUs,
    weight_milli: u32,
    priority: u8,
    pub(super) fold_by: MeshTimeUs,
    pub(super) ends: MeshTimeUs,
    pub(super) prepare_delay_us: i64,
    pub(super) agents: BTreeMap<AgentId, Dispatch>,
    hosts: BTreeSet<NodeId>,
    queue: BTreeMap<(MeshTimeUs, NodeId), Vec<AgentId>>,
    pub(super) cancelled: bool,
    pub(super) folded: bool,
    pub(super) changed: bool,
}

impl Wave {
    pub(super) fn next_wakeup(&self) -> Option<MeshTimeUs> {
        let due = self.queue.keys().next().map(|(at, _)| *at);
        let summary = if self.folded { self.ends } else { self.fold_by };
        due.into_iter().chain([summary]).min()
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
        let wave = self.enrol(now, prepare);
        let refused = self.waves.len() >= MAX_WAVES || now > event.expires();
        if refused || wave.agents.is_empty() {
            if refused {
                LeadCounters::bump(&mut self.counters.refused);
            }
            self.end(event.id);
            return vec![LeadAction::ToParent(UpMessage::Fold(Box::new(self.fold(now, event.id, &wave, false))))];
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
        wave.cancelled = true;
        let cluster = self.cluster;
        let cancel =
            |host: &NodeId| LeadAction::ToHost { host: *host, message: HostMessage::Cancel { cluster, event } };
        wave.hosts.iter().map(cancel).collect()
    }

    /// Who takes part and when each is sent: T - L_p - g to hold, T - m to throw.
    fn enrol(&mut self, now: MeshTimeUs, prepare: &Prepare) -> Wave {
        let event = &prepare.event.event;
        let kappa = kappa(event.weight_milli, 0);
        let mut wave = Wave {
            target: event.target,
            weight_milli: event.weight_milli,
            priority: event.priority,
            fold_by: prepare.fold_by,
            ends: wave_end(self.scope(), event.target, event.expires()).max(prepare.fold_by),
            prepare_delay_us: now.since_us(prepare.sent_at),
            agents: BTreeMap::new(),
            hosts: BTreeSet::new(),
            queue: BTreeMap::new(),
            cancelled: false,
            folded: false,
            changed: false,
        };
        let mut fan_out = 0_i64;
        for (id, member) in &self.members {
            let link = &member.link;
            if !event.selects(*id, link.class, link.capabilities, self.cluster) {
                continue;
            }
            let clock = member.clock.estimate(now);
            let summary = member.delay.summary(clock.as_ref(), &ClassPrior::of(link.class), kappa);
            let lead_us = self.lead_of(member, &summary);
            wave.agents.insert(*id, Dispatch::new(link.class, summary, lead_us));
            if clock.is_none() {
                LeadCounters::bump(&mut self.counters.unmeasured);
            }
            if clock.is_none() || self.frozen.contains(id) {
                continue;
            }
            let ahead_us = match event.strategy {
                Strategy::Hold => {
                    let g = fan_out.saturating_mul(FAN_OUT_US).saturating_add(TICK_US);
                    round_us(lead_us).saturating_add(g).saturating_add(self.params.hold_margin_us)
                }
                // Buckets round down; half a bucket less keeps the mean.
                Strategy::Throw => round_us(summary.median_us).saturating_sub(BUCKET_US / 2),
            };
            fan_out = fan_out.saturating_add(1);
            let slot = bucket(event.target.minus_us(ahead_us));
            wave.hosts.insert(link.host);
            wave.queue.entry((slot, link.host)).or_default().push(*id);
        }
        wave
    }

    pub(super) fn lead_of(&self, member: &super::Member, summary: &DelaySummary) -> f64 {
        match self.tails.get(class_index(member.link.class)) {
            Some(tail) => member.delay.lead_us(summary, tail, self.params.arm_probability),
            None => summary.median_us,
        }
    }

    /// Prepares whose send slot has come, higher priority first.
    pub(super) fn dispatch_due(&mut self, now: MeshTimeUs) -> Vec<LeadAction> {
        let mut order: Vec<(std::cmp::Reverse<u8>, EventId)> = self
            .waves
            .iter()
            .filter(|(_, w)| w.queue.keys().next().is_some_and(|(at, _)| *at <= now))
            .map(|(id, w)| (std::cmp::Reverse(w.priority), *id))
            .collect();
        order.sort_unstable();
        order.into_iter().flat_map(|(_, id)| self.dispatch_wave(now, id)).collect()
    }

    fn dispatch_wave(&mut self, now: MeshTimeUs, id: EventId) -> Vec<LeadAction> {
        let Some(wave) = self.waves.get_mut(&id) else { return Vec::new() };
        let mut by_host: BTreeMap<NodeId, Vec<PrepareEntry>> = BTreeMap::new();
        while let Some(first) = wave.queue.first_entry().filter(|e| e.key().0 <= now) {
            let ((_, host), agents) = first.remove_entry();
            for agent in agents {
                let clock = self.members.get(&agent).and_then(|m| m.clock.estimate(now));
                let (Some(clock), Some(dispatch)) = (clock, wave.agents.get_mut(&agent)) else { continue };
                dispatch.sent_at = Some(now);
                by_host.entry(host).or_default().push(PrepareEntry { agent, target: clock.to_local(wave.target) });
            }
        }
        let mut actions = Vec::new();
        for (host, entries) in by_host {
            for part in entries.chunks(MAX_BATCH) {
                let prepare = HostPrepare { cluster: self.cluster, event: id, sent_at: now, entries: part.to_vec() };
                actions.push(LeadAction::ToHost { host, message: HostMessage::Prepare(prepare) });
            }
        }
        actions
    }

    /// ARMED: the wave's lesson for this agent and, once, for its class.
    pub(super) fn on_armed(
        &mut self,
        now: MeshTimeUs,
        agent: AgentId,
        event: EventId,
        received: LocalTimeUs,
        armed: LocalTimeUs,
    ) {
        let p = self.params.arm_probability;
        let wave = self.waves.get_mut(&event);
        let dispatch =
            wave.and_then(|w| w.agents.get_mut(&agent).map(|d| (kappa(w.weight_milli, 0), &mut w.changed, d)));
        let (Some((kappa, changed, dispatch)), Some(member)) = (dispatch, self.members.get_mut(&agent)) else {
            LeadCounters::bump(&mut self.counters.unknown);
            return;
        };
        let (Some(sent_at), None, true) = (dispatch.sent_at, dispatch.armed, armed >= received) else {
            LeadCounters::bump(&mut self.counters.unknown);
            return;
        };
        dispatch.armed = Some(armed);
        *changed = true;
        member.delay.record_delay(sent_at, received);
        member.delay.record_work(armed.since_us(received) as f64, kappa);
        let Some(clock) = member.clock.estimate(now) else { return };
        let d_us = clock.to_mesh(armed).since_us(sent_at) as f64;
        member.delay.learn(d_us > dispatch.lead_us, p);
        if dispatch.summary.warm
            && let Some(tail) = self.tails.get_mut(class_index(dispatch.class))
        {
            tail.record((d_us - dispatch.summary.median_us) / dispatch.summary.spread_us);
        }
    }

    /// RELEASED, once.
    pub(super) fn on_released(&mut self, agent: AgentId, event: EventId, released: LocalTimeUs) {
        self.close(agent, event, |dispatch| dispatch.released = Some(released));
    }

    /// CONFLICT, once.
    pub(super) fn on_conflict(&mut self, agent: AgentId, event: EventId, kind: ConflictKind, detail: Hash) {
        self.close(agent, event, |dispatch| dispatch.conflict = Some(ConflictReport { agent, kind, detail }));
    }

    fn close(&mut self, agent: AgentId, event: EventId, apply: impl FnOnce(&mut Dispatch)) {
        let wave = self.waves.get_mut(&event);
        let open = wave.and_then(|w| w.agents.get_mut(&agent).filter(|d| !d.is_over()).map(|d| (d, &mut w.changed)));
        let Some((dispatch, changed)) = open.filter(|(d, _)| d.sent_at.is_some()) else {
            LeadCounters::bump(&mut self.counters.unknown);
            return;
        };
        apply(dispatch);
        *changed = true;
    }
}

impl Dispatch {
    fn new(class: AgentClass, summary: DelaySummary, lead_us: f64) -> Self {
        Self { class, summary, lead_us, sent_at: None, armed: None, released: None, conflict: None }
    }
}

fn bucket(at: MeshTimeUs) -> MeshTimeUs {
    MeshTimeUs(at.0.saturating_sub(at.0.checked_rem_euclid(BUCKET_US).unwrap_or(0)))
}
