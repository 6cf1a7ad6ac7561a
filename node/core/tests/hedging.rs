//! Standbys: sent in time and within the budget; one slot, one right; nothing with effects happens twice or late.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use mesh30k_core::clock::HostClock;
use mesh30k_core::event::{
    AgentAnswer, AgentLink, AgentSlot, AgentState, AnswerBody, ArrivalParams, ClassSet, Event, EventId, FoldedAck,
    HostMessage, HostPrepare, HostReply, LeadAction, LeadMachine, Prepare, Probe, Reach, SignedEvent, SlotRight,
    Strategy as Way, UpMessage, Verb,
};
use mesh30k_core::time::{LocalTimeUs, MeshTimeUs};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentClass, AgentId, ChainId, ClusterId, Hash, NodeId, Scope, SectorId};
use proptest::prelude::*;

const START: i64 = 1_780_000_000_000_000;
const CLUSTER: ClusterId = ClusterId { sector: SectorId(0), index: 0 };
const WAY_US: i64 = 10_000;
const WORK_US: i64 = 30_000;

fn event(target: i64, effects: bool, nonce: u8) -> SignedEvent {
    let key = SecretKey::from_seed([3; 32]);
    let target = MeshTimeUs(target);
    Event {
        id: EventId::new(target, &[nonce; 32]),
        origin: key.public(),
        target,
        strategy: Way::Hold,
        effects,
        kind: Verb::Act,
        weight_milli: 0,
        payload: Vec::new(),
        classes: ClassSet::MACHINES,
        capabilities: 0,
        priority: 0,
        deadline: target.plus_us(1_000_000),
        ttl_ms: 4_000,
        scope: Scope::Global,
        agents: Vec::new(),
        reach: Reach::Agents,
    }
    .sign(&ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash::ZERO }, &key)
}

/// What one agent does with prepares.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Temper {
    /// Works as ever.
    Prompt,
    /// Never answers anything.
    Dead,
    /// Hears everything, works this much longer.
    Slow(i64),
}

/// A lead and agents with true clocks at one way of [`WAY_US`], half of them on each of two hosts.
struct Field {
    now: i64,
    lead: LeadMachine,
    tempers: BTreeMap<AgentId, Temper>,
    slots: BTreeMap<(AgentId, AgentId), AgentSlot>,
    effects: bool,
    agenda: BTreeMap<(i64, u64), Step>,
    turn: u64,
    /// (agent, slot, when) of every release.
    releases: Vec<(AgentId, AgentId, i64)>,
    granted: Vec<(AgentId, AgentId, i64)>,
    folds: Vec<FoldedAck>,
    /// How far the lead's own clock is off.
    lead_off: i64,
    /// Whether agents have a time service that tells their clocks' truth.
    service: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Host(HostMessage),
    Reply(AgentId, AgentId, AnswerBody),
    Done(AgentId, AgentId, EventId, LocalTimeUs),
    Due(AgentId, AgentId, EventId),
}

impl Field {
    fn new(agents: u64, params: ArrivalParams) -> Self {
        Self::with_lead_off(agents, params, 0)
    }

    fn with_lead_off(agents: u64, params: ArrivalParams, lead_off: i64) -> Self {
        let mut lead = LeadMachine::new(CLUSTER, NodeId(1), params);
        let link =
            |n: u64| AgentLink { agent: AgentId(n), host: NodeId(1 + n % 2), class: AgentClass::B, capabilities: 0 };
        lead.set_agents(MeshTimeUs(START), &(1..=agents).map(link).collect::<Vec<_>>());
        let tempers = (1..=agents).map(|n| (AgentId(n), Temper::Prompt)).collect();
        let mut field = Self {
            now: START,
            lead,
            tempers,
            slots: BTreeMap::new(),
            effects: false,
            agenda: BTreeMap::new(),
            turn: 0,
            releases: Vec::new(),
            granted: Vec::new(),
            folds: Vec::new(),
            lead_off,
            service: lead_off != 0,
        };
        field.run(START + 8_000_000);
        field
    }

    fn plan(&mut self, at: i64, step: Step) {
        self.turn += 1;
        self.agenda.insert((at, self.turn), step);
    }

    fn run(&mut self, end: i64) {
        loop {
            let lead_at = self.lead.next_wakeup().map_or(i64::MAX, |t| t.0.max(START) - self.lead_off);
            let step_at = self.agenda.keys().next().map_or(i64::MAX, |(at, _)| *at);
            let next = lead_at.min(step_at).max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            if step_at <= next {
                let (_, step) = self.agenda.pop_first().unwrap();
                self.step(step);
            } else {
                let actions = self.lead.poll(MeshTimeUs(self.now + self.lead_off));
                self.act(actions);
            }
        }
    }

    fn act(&mut self, actions: Vec<LeadAction>) {
        for action in actions {
            match action {
                LeadAction::ToHost { message, .. } => self.plan(self.now + WAY_US, Step::Host(message)),
                LeadAction::ToParent(UpMessage::Fold(fold)) => self.folds.push(*fold),
                LeadAction::ToParent(UpMessage::Stage(_)) => {}
            }
        }
    }

    fn say(&mut self, agent: AgentId, slot: AgentId, body: AnswerBody) {
        self.plan(self.now + WAY_US, Step::Reply(agent, slot, body));
    }

    fn on_probe(&mut self, probe: &Probe) {
        let local = LocalTimeUs(self.now);
        let answering: Vec<AgentId> =
            probe.agents.iter().copied().filter(|agent| self.tempers[agent] != Temper::Dead).collect();
        for agent in answering {
            let answered = LocalTimeUs(self.now + if probe.work { WORK_US } else { 0 });
            let host_clock = self.service.then_some(HostClock { offset_us: 0, bound_us: 5_000 });
            let work_us = probe.work.then_some(WORK_US as u32);
            let body =
                AnswerBody::Probe { seq: probe.seq, received: local, answered, work_us, host_clock, waited_us: 0 };
            self.plan(answered.0 + WAY_US, Step::Reply(agent, agent, body));
        }
    }

    fn on_prepare(&mut self, prepare: HostPrepare) {
        let local = LocalTimeUs(self.now);
        for entry in prepare.entries {
            let work = match self.tempers[&entry.agent] {
                Temper::Prompt => WORK_US,
                Temper::Slow(more) => WORK_US + more,
                Temper::Dead => continue,
            };
            let slot = if entry.agent == entry.slot {
                AgentSlot::receive(Way::Hold, self.effects, entry.target, local)
            } else {
                AgentSlot::stand_by(self.effects, entry.target, local)
            };
            self.slots.insert((entry.agent, entry.slot), slot);
            let started = entry.start.0.max(self.now);
            self.plan(started + work, Step::Done(entry.agent, entry.slot, prepare.event, LocalTimeUs(started)));
        }
    }

    fn step(&mut self, step: Step) {
        let local = LocalTimeUs(self.now);
        match step {
            Step::Host(HostMessage::Probe(probe)) => self.on_probe(&probe),
            Step::Host(HostMessage::Prepare(prepare)) => self.on_prepare(prepare),
            Step::Host(HostMessage::Rights(rights)) => {
                for order in &rights.orders {
                    if self.tempers[&order.agent] == Temper::Dead {
                        continue;
                    }
                    let slot = self.slots.get_mut(&(order.agent, order.slot)).unwrap();
                    match order.right {
                        SlotRight::Grant => {
                            slot.grant(local);
                            self.granted.push((order.agent, order.slot, self.now));
                            if let Some(at) = self.slots[&(order.agent, order.slot)].next_wakeup() {
                                self.plan(at.0.max(self.now), Step::Due(order.agent, order.slot, rights.event));
                            }
                        }
                        SlotRight::GiveUp if slot.give_up(local) => {
                            self.say(order.agent, order.slot, AnswerBody::GaveUp { event: rights.event });
                        }
                        SlotRight::GiveUp => {}
                    }
                }
            }
            Step::Host(HostMessage::Stage(_) | HostMessage::Cancel { .. }) => {}
            Step::Reply(agent, slot, body) => {
                let host = NodeId(1 + agent.0 % 2);
                let reply = HostReply { cluster: CLUSTER, host, answers: vec![AgentAnswer { agent, slot, body }] };
                let actions = self.lead.on_reply(MeshTimeUs(self.now + self.lead_off), &reply);
                self.act(actions);
            }
            Step::Done(agent, slot, event, started) => {
                let machine = self.slots.get_mut(&(agent, slot)).unwrap();
                let release = machine.on_work_done(local);
                let (armed, received, next) = (machine.armed(), machine.received(), machine.next_wakeup());
                if let Some(armed) = armed {
                    self.say(agent, slot, AnswerBody::Armed { event, received, started, armed });
                }
                if let Some(release) = release {
                    self.release(agent, slot, event, release.late);
                } else if let Some(at) = next {
                    self.plan(at.0, Step::Due(agent, slot, event));
                }
            }
            Step::Due(agent, slot, event) => {
                if let Some(release) = self.slots.get_mut(&(agent, slot)).unwrap().poll(local) {
                    self.release(agent, slot, event, release.late);
                }
            }
        }
    }

    fn release(&mut self, agent: AgentId, slot: AgentId, event: EventId, late: bool) {
        self.releases.push((agent, slot, self.now));
        self.say(agent, slot, AnswerBody::Released { event, released: LocalTimeUs(self.now), late });
    }

    /// One wave; what its fold said last.
    fn wave(&mut self, effects: bool, nonce: u8) -> (i64, FoldedAck) {
        self.effects = effects;
        self.releases.clear();
        self.granted.clear();
        self.folds.clear();
        let signed = event(self.now + 1_500_000, effects, nonce);
        let (target, deadline) = (signed.event.target.0, signed.event.deadline);
        let prepare = Prepare { event: signed, fold_by: deadline, sent_at: MeshTimeUs(self.now) };
        let actions = self.lead.on_prepare(MeshTimeUs(self.now + self.lead_off), &prepare);
        self.act(actions);
        self.run(target + 5_000_000);
        (target, self.folds.last().unwrap().clone())
    }

    fn released_in_time(&self, target: i64) -> usize {
        self.releases.iter().filter(|(.., at)| *at == target).count()
    }
}

#[test]
fn the_slot_of_a_dead_agent_is_released_at_t_by_a_standby_on_the_other_host() {
    for effects in [false, true] {
        let mut field = Field::new(20, ArrivalParams::default());
        field.tempers.insert(AgentId(5), Temper::Dead);
        let (target, fold) = field.wave(effects, 1);
        assert_eq!((fold.tally.hedged, fold.tally.duplicates, fold.tally.unhedged), (1, 0, 0));
        let stood_by: Vec<AgentId> = field.releases.iter().filter(|r| r.1 == AgentId(5)).map(|r| r.0).collect();
        if effects {
            // The dead may only be silent: without its word nobody else may have the effect.
            assert_eq!(field.released_in_time(target), 19);
            assert!(stood_by.is_empty() && field.granted.is_empty());
            assert_eq!(fold.tally.sum(|c| c.transit), 1);
        } else {
            assert_eq!(field.released_in_time(target), 20);
            assert!(matches!(stood_by.as_slice(), [agent] if agent.0 % 2 == 0), "{stood_by:?}");
            assert_eq!((fold.tally.sum(|c| c.released), fold.tally.sum(|c| c.late)), (20, 0));
        }
    }
}

#[test]
fn a_slow_agent_yields_an_effect_to_its_standby_and_releases_an_answer_late() {
    let mut field = Field::new(20, ArrivalParams::default());
    field.tempers.insert(AgentId(5), Temper::Slow(900_000));
    let (target, fold) = field.wave(true, 1);
    assert_eq!(field.releases.len(), 20, "never twice");
    assert_eq!(field.released_in_time(target), 20);
    assert!(matches!(field.granted.as_slice(), [(agent, AgentId(5), at)] if agent.0 != 5 && *at <= target));
    assert_eq!((fold.tally.sum(|c| c.released), fold.tally.duplicates), (20, 0));
    let (target, fold) = field.wave(false, 2);
    assert_eq!((field.released_in_time(target), field.releases.len()), (20, 21), "both answered; the first counts");
    assert_eq!((fold.tally.sum(|c| c.released), fold.tally.sum(|c| c.late), fold.tally.duplicates), (20, 0, 1));
}

#[test]
fn a_standby_gives_up_when_the_agent_itself_is_armed_after_all() {
    let mut field = Field::new(20, ArrivalParams::default());
    // Unarmed when the standby is sent, armed before T.
    let (start_us, ahead_us) = hedge_times(&field);
    let slow = start_us - ahead_us + 10_000 - WORK_US;
    field.tempers.insert(AgentId(5), Temper::Slow(slow));
    let (target, fold) = field.wave(false, 1);
    assert_eq!((fold.tally.hedged, fold.tally.duplicates), (1, 0), "slow by {slow}");
    assert_eq!((field.released_in_time(target), field.releases.len()), (20, 20));
    assert!(field.releases.iter().all(|(agent, slot, _)| agent == slot));
}

/// When agent 5 begins and when its standby, before T, found by a wave in which it is dead.
fn hedge_times(field: &Field) -> (i64, i64) {
    let mut probe = Field::new(20, ArrivalParams { hedge_budget_ppm: 1_000_000, ..ArrivalParams::default() }).lead;
    let signed = event(field.now + 1_500_000, false, 9);
    let (target, deadline) = (signed.event.target.0, signed.event.deadline);
    let prepare = Prepare { event: signed, fold_by: deadline, sent_at: MeshTimeUs(field.now) };
    let mut actions = probe.on_prepare(MeshTimeUs(field.now), &prepare);
    let (mut primary, mut standby) = (None, None);
    let mut at = MeshTimeUs(field.now);
    while standby.is_none() {
        for action in std::mem::take(&mut actions) {
            if let LeadAction::ToHost { message: HostMessage::Prepare(p), .. } = action {
                for entry in p.entries.iter().filter(|e| e.slot == AgentId(5)) {
                    let side = if entry.agent == entry.slot { &mut primary } else { &mut standby };
                    side.get_or_insert(target - entry.start.0.max(at.0));
                }
            }
        }
        at = probe.next_wakeup().unwrap();
        assert!(at.0 < target || standby.is_some());
        actions = probe.poll(at);
    }
    (primary.unwrap(), standby.unwrap())
}

#[test]
fn an_agent_silent_to_probes_is_not_asked_and_another_takes_its_place_at_no_cost_to_the_budget() {
    let mut field = Field::new(20, ArrivalParams { hedge_budget_ppm: 1, ..ArrivalParams::default() });
    for agent in 3..=6 {
        field.tempers.insert(AgentId(agent), Temper::Dead);
    }
    field.run(field.now + 30_000_000);
    let (target, fold) = field.wave(false, 1);
    assert_eq!(field.released_in_time(target), 20);
    assert_eq!((fold.tally.hedged, fold.tally.unhedged, fold.tally.duplicates), (4, 0, 0));
    // Back again, it is asked itself.
    field.tempers.insert(AgentId(5), Temper::Prompt);
    field.run(field.now + 6_000_000);
    let (target, fold) = field.wave(false, 2);
    assert_eq!((field.released_in_time(target), fold.tally.hedged), (20, 3));
    assert!(field.releases.iter().any(|(agent, slot, _)| *agent == AgentId(5) && agent == slot));
}

#[test]
fn above_the_budget_hedging_stops_and_says_so() {
    let mut field = Field::new(40, ArrivalParams::default());
    (1..=20).for_each(|n| {
        field.tempers.insert(AgentId(n), Temper::Dead);
    });
    let (_, fold) = field.wave(false, 1);
    assert_eq!((fold.tally.hedged, fold.tally.unhedged), (8, 12), "four waves' budget of two");
    let (_, fold) = field.wave(false, 2);
    assert_eq!((fold.tally.hedged, fold.tally.unhedged), (2, 18));
    assert!(fold.tally.is_consistent());
}

#[test]
fn a_lead_whose_time_is_off_by_a_fifth_of_a_second_finds_out_from_its_agents() {
    for lead_off in [-200_000, 200_000] {
        let mut field = Field::with_lead_off(20, ArrivalParams::default(), lead_off);
        let (target, fold) = field.wave(false, 1);
        assert_eq!(field.lead.counters().anchor_alarms, 1);
        assert!((field.lead.own_error_us() - lead_off as f64).abs() < 1_000.0);
        let errors: Vec<i64> = field.releases.iter().map(|(.., at)| at - target).collect();
        assert!(errors.len() == 20 && errors.iter().all(|e| e.abs() <= 1_000), "{errors:?}");
        assert_eq!((fold.tally.errors.within(2_000), fold.tally.hedged), (20, 0), "it knows what came of it");
    }
}

#[test]
fn switched_off_nobody_stands_by() {
    let mut field = Field::new(20, ArrivalParams::default().unhedged());
    field.tempers.insert(AgentId(5), Temper::Dead);
    let (target, fold) = field.wave(false, 1);
    assert_eq!((fold.tally.hedged, fold.tally.unhedged, field.released_in_time(target)), (0, 0, 19));
}

#[test]
fn a_set_of_one_works_without_a_standby() {
    let mut field = Field::new(1, ArrivalParams::default());
    let (target, fold) = field.wave(false, 1);
    assert_eq!((field.released_in_time(target), fold.tally.sum(|c| c.released), fold.tally.hedged), (1, 1, 0));
}

#[test]
fn false_answers_are_refused_by_name_and_counted_against_who_gave_them() {
    let mut field = Field::new(4, ArrivalParams::default());
    // Far enough for nobody to be asked at once.
    let signed = event(field.now + 8_000_000, false, 1);
    let (id, target, deadline) = (signed.event.id, signed.event.target, signed.event.deadline);
    let prepare = Prepare { event: signed, fold_by: deadline, sent_at: MeshTimeUs(field.now) };
    field.lead.on_prepare(MeshTimeUs(field.now), &prepare);
    let answer = |lead: &mut LeadMachine, at: i64, agent: u64, slot: u64, body: AnswerBody| {
        let answers = vec![AgentAnswer { agent: AgentId(agent), slot: AgentId(slot), body }];
        lead.on_reply(MeshTimeUs(at), &HostReply { cluster: CLUSTER, host: NodeId(1 + agent % 2), answers })
    };
    let released = |at: i64| AnswerBody::Released { event: id, released: LocalTimeUs(at), late: false };
    answer(&mut field.lead, field.now, 1, 1, released(field.now));
    assert_eq!(field.lead.counters().not_asked, 1, "before it was asked");
    let mut sent = 0;
    while sent < 4 {
        let at = field.lead.next_wakeup().unwrap();
        field.now = at.0;
        for action in field.lead.poll(at) {
            if let LeadAction::ToHost { message: HostMessage::Prepare(p), .. } = action {
                sent += p.entries.len();
            }
        }
    }
    let lead = &mut field.lead;
    answer(lead, field.now + 60_000, 1, 2, released(field.now + 50_000));
    assert_eq!(lead.counters().not_asked, 2, "for another's slot");
    for absurd in [i64::MIN, 0, START, target.0 + 60_000_000, i64::MAX] {
        answer(lead, field.now + 60_000, 1, 1, released(absurd));
    }
    assert_eq!(lead.counters().impossible, 5);
    let backwards = AnswerBody::Armed {
        event: id,
        received: LocalTimeUs(field.now + 20_000),
        started: LocalTimeUs(field.now + 20_000),
        armed: LocalTimeUs(field.now + 19_000),
    };
    answer(lead, field.now + 60_000, 1, 1, backwards);
    assert_eq!(lead.counters().impossible, 6);
    answer(lead, target.0 + 20_000, 1, 1, released(target.0));
    answer(lead, target.0 + 21_000, 1, 1, released(target.0));
    assert_eq!(lead.counters().twice, 1);
    let other = EventId::new(MeshTimeUs(5), &[7; 32]);
    answer(lead, target.0 + 21_000, 2, 2, AnswerBody::GaveUp { event: other });
    assert_eq!(lead.counters().unknown, 1);
    let faults: Vec<u32> = lead.agents(target).iter().map(|view| view.faults).collect();
    assert_eq!(faults, [9, 0, 0, 0]);
}

proptest! {
    /// Whatever an agent and its standby of an event with effects hear and when, at most one of them releases, never late.
    #[test]
    fn an_effect_happens_at_most_once_and_never_late(
        armed in (0i64..400, 0i64..400), target in 100i64..300, asked in 0i64..400, ways in (0i64..60, 0i64..60),
        skew in -20i64..20,
    ) {
        let mut primary = AgentSlot::receive(Way::Hold, true, LocalTimeUs(target), LocalTimeUs(0));
        // The standby's clock is off by `skew`.
        let mut standby = AgentSlot::stand_by(true, LocalTimeUs(target + skew), LocalTimeUs(skew));
        let mut grant_at = None;
        let (mut first, mut second) = (None, None);
        for now in 0..500 {
            let local = LocalTimeUs(now + skew);
            if now == armed.0 { first = first.or(primary.on_work_done(LocalTimeUs(now)).map(|_| now)); }
            if now == armed.1 { second = second.or(standby.on_work_done(local).map(|_| now)); }
            if now == asked + ways.0 && primary.give_up(LocalTimeUs(now)) { grant_at = Some(now + ways.1); }
            if grant_at == Some(now) { standby.grant(local); }
            first = first.or(primary.poll(LocalTimeUs(now)).map(|_| now));
            second = second.or(standby.poll(local).map(|_| now));
        }
        prop_assert!(!(first.is_some() && second.is_some()), "{first:?} {second:?}");
        prop_assert!(first.is_none_or(|at| at == target) && second.is_none_or(|at| at == target));
        prop_assert!(primary.state() != AgentState::Cancelled || first.is_none());
    }
}
