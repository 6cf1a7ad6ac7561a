//! Hosted agents: the embedded series, the truth behind them, and a lead that must find it out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use mesh30k_core::event::{
    AgentLink, AnswerBody, ArrivalParams, ClassSet, Event, EventId, FoldedAck, HostMessage, HostPrepare, LeadAction,
    LeadMachine, Prepare, PrepareEntry, Probe, Reach, SignedEvent, Strategy, UpMessage, Verb,
};
use mesh30k_core::hosted::{
    HarnessRecord, HostedAction, HostedAgent, HostedAgents, Replay, ReplayedLink, Surroundings, VirtualClock,
};
use mesh30k_core::time::MeshTimeUs;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentClass, AgentId, ChainId, ClusterId, Hash, NodeId, Scope, SectorId};
use proptest::prelude::*;

const START: i64 = 1_780_000_000_000_000;
const CLUSTER: ClusterId = ClusterId { sector: SectorId(0), index: 0 };

fn replay() -> Arc<Replay> {
    static REPLAY: OnceLock<Arc<Replay>> = OnceLock::new();
    REPLAY.get_or_init(|| Arc::new(Replay::embedded().unwrap())).clone()
}

fn event(target: i64, strategy: Strategy) -> SignedEvent {
    let key = SecretKey::from_seed([3; 32]);
    let target = MeshTimeUs(target);
    Event {
        id: EventId::new(target, &[strategy as u8; 32]),
        origin: key.public(),
        target,
        strategy,
        effects: false,
        kind: Verb::Sync,
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

/// One lead and one host with 30 agents of a class, joined without a network.
struct Pair {
    now: i64,
    lead: LeadMachine,
    host: HostedAgents,
    records: Vec<HarnessRecord>,
    ups: Vec<UpMessage>,
}

impl Pair {
    fn new(class: AgentClass) -> Self {
        let mut host = HostedAgents::new(NodeId(1), 42, replay());
        let mut lead = LeadMachine::new(CLUSTER, NodeId(1), ArrivalParams::default());
        let ids = (1..=30).map(AgentId);
        let links: Vec<AgentLink> =
            ids.map(|agent| AgentLink { agent, host: NodeId(1), class, capabilities: 0 }).collect();
        for link in &links {
            host.add(START, HostedAgent { agent: link.agent, class, capabilities: 0, cluster: CLUSTER });
        }
        lead.set_agents(MeshTimeUs(START), &links);
        Self { now: START, lead, host, records: Vec::new(), ups: Vec::new() }
    }

    fn run_until(&mut self, end: i64) {
        while self.now < end {
            let mut actions = self.lead.poll(MeshTimeUs(self.now));
            for action in self.host.poll(self.now) {
                match action {
                    HostedAction::Reply(reply) => actions.extend(self.lead.on_reply(MeshTimeUs(self.now), &reply)),
                    HostedAction::Record(record) => self.records.push(record),
                }
            }
            self.act(actions);
            let next = self.lead.next_wakeup().unwrap().0.min(self.host.next_wakeup_us().unwrap_or(i64::MAX));
            self.now = next.clamp(self.now + 1, end);
        }
    }

    fn act(&mut self, actions: Vec<LeadAction>) {
        for action in actions {
            match action {
                LeadAction::ToHost { message, .. } => self.host.on_message(self.now, &message),
                LeadAction::ToParent(message) => self.ups.push(message),
            }
        }
    }

    fn start(&mut self, strategy: Strategy, lead_us: i64) -> SignedEvent {
        let signed = event(self.now + lead_us, strategy);
        let prepare = Prepare { event: signed.clone(), fold_by: signed.event.deadline, sent_at: MeshTimeUs(self.now) };
        let actions = self.lead.on_prepare(MeshTimeUs(self.now), &prepare);
        self.act(actions);
        signed
    }

    fn within(&self, omega: i64) -> usize {
        self.records.iter().filter_map(HarnessRecord::release_error_us).filter(|e| e.abs() <= omega).count()
    }
}

#[test]
fn an_event_for_the_leads_is_answered_for_whom_they_could_prepare_and_reaches_nobody() {
    let mut pair = Pair::new(AgentClass::B);
    let key = SecretKey::from_seed([3; 32]);
    let context = ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash::ZERO };
    let ask = |pair: &mut Pair| {
        let event = Event { reach: Reach::Clusters, ..event(pair.now + 300_000, Strategy::Hold).event };
        let event = event.sign(&context, &key);
        let prepare = Prepare { fold_by: event.event.deadline, event, sent_at: MeshTimeUs(pair.now) };
        match pair.lead.on_prepare(MeshTimeUs(pair.now), &prepare).as_slice() {
            [LeadAction::ToParent(UpMessage::Fold(fold))] => fold.clone(),
            other => panic!("one summary and nothing to a host, not {other:?}"),
        }
    };
    let counts = |fold: &FoldedAck| {
        assert!(fold.tally.is_consistent());
        (fold.tally.sum(|c| c.enrolled), fold.tally.sum(|c| c.armed_by_target), fold.tally.sum(|c| c.transit))
    };
    assert_eq!(counts(&ask(&mut pair)), (30, 0, 30), "nobody is measured yet");
    pair.run_until(START + 6_500_000);
    assert_eq!(counts(&ask(&mut pair)), (30, 30, 30));
    pair.lead.set_frozen([AgentId(4), AgentId(9)].into());
    pair.now += 1_000;
    assert_eq!(counts(&ask(&mut pair)), (30, 28, 30), "who is frozen is not answered for");
    pair.run_until(START + 9_000_000);
    assert!(pair.records.is_empty(), "no agent was asked");
}

#[test]
fn every_class_has_series_to_draw_from() {
    let replay = replay();
    for class in AgentClass::ALL {
        assert!(replay.choices(class) >= 20, "{class}: {}", replay.choices(class));
    }
}

#[test]
fn asymmetry_beyond_a_tenth_is_as_common_as_measured() {
    let replay = replay();
    let (mut beyond, links) = (0, 4_000_u64);
    for agent in 0..links {
        let link = ReplayedLink::seeded(&replay, 9, agent, AgentClass::C);
        // The quietest instant of a calm link shows its floor.
        let floor = (0..64).map(|k| k * 200_000).min_by_key(|t| link.forward_us(*t) + link.return_us(*t)).unwrap();
        let (forward, back) = (link.forward_us(floor) as f64, link.return_us(floor) as f64);
        beyond += usize::from(((forward - back) / (forward + back)).abs() > 0.1);
    }
    let share = beyond as f64 / links as f64;
    assert!((share - 0.11).abs() < 0.03, "{share}");
}

#[test]
fn a_lead_finds_thirty_hidden_clocks_within_six_seconds() {
    let mut pair = Pair::new(AgentClass::B);
    pair.run_until(START + 6_500_000);
    for view in pair.lead.agents(MeshTimeUs(pair.now)) {
        let truth = pair.host.true_offset_us(view.agent, pair.now).unwrap() as f64;
        let clock = view.clock.unwrap();
        assert!(view.warm);
        assert!((clock.offset_us - truth).abs() <= clock.bound_us, "{view:?} against {truth}");
        assert!((clock.offset_us - truth).abs() <= 10_000.0, "{view:?} against {truth}");
    }
}

#[test]
fn hold_lands_where_throw_scatters_and_the_fold_knows() {
    let mut pair = Pair::new(AgentClass::C);
    pair.run_until(START + 7_000_000);
    pair.start(Strategy::Hold, 2_500_000);
    pair.run_until(START + 12_000_000);
    let (hold, folds) = (pair.within(10_000), pair.ups.iter().filter(|u| matches!(u, UpMessage::Fold(_))).count());
    assert!(hold >= 28 && pair.records.len() == 30, "{hold} of {}", pair.records.len());
    assert_eq!(folds, 1, "complete at once: no correction");
    pair.records.clear();
    pair.start(Strategy::Throw, 2_500_000);
    pair.run_until(START + 20_000_000);
    assert!(pair.within(10_000) + 8 < hold);
}

/// Thirty prepares, beginnings and ends of work and thirty ARMED are a hundred and twenty instants; the host wakes once a round for all that
/// fall into it, and each agent was ARMED at an instant of its own all the same.
#[test]
fn a_host_sees_to_its_agents_in_rounds_until_they_act() {
    let mut pair = Pair::new(AgentClass::B);
    pair.run_until(START + 7_000_000);
    let target = pair.start(Strategy::Hold, 3_000_000).event.target.0;
    let mut wakes = Vec::new();
    while let Some(at) = pair.host.next_wakeup_us().filter(|at| *at < target - 100_000) {
        pair.run_until(at + 1);
        wakes.push(at);
    }
    assert!(wakes.len() < 50, "{} wake-ups", wakes.len());
    pair.run_until(target + 2_000_000);
    let armed: BTreeSet<i64> = pair.records.iter().filter_map(|record| record.armed_us).collect();
    assert_eq!((pair.records.len(), armed.len()), (30, 30));
    assert!(armed.iter().any(|at| *at < target - 100_000 && !wakes.contains(at)), "as of instants at which it slept");
}

#[test]
fn the_frozen_do_nothing_and_stay_in_the_denominator() {
    let mut pair = Pair::new(AgentClass::A);
    pair.run_until(START + 7_000_000);
    assert_eq!(pair.host.set_frozen(|agent, _| agent.0 <= 10).paused, 10);
    assert_eq!(pair.host.set_frozen(|agent, _| agent.0 <= 10).paused, 0);
    pair.lead.set_frozen((1..=10).map(AgentId).collect());
    let signed = pair.start(Strategy::Hold, 1_000_000);
    pair.run_until(signed.event.target.0 + 5_000_000);
    assert_eq!(pair.records.len(), 20);
    let fold = pair.ups.iter().find_map(|u| if let UpMessage::Fold(f) = u { Some(f) } else { None }).unwrap();
    let counts = fold.tally.class(AgentClass::A);
    assert_eq!((counts.enrolled, counts.released, counts.transit), (30, 20, 10));
    assert_eq!(pair.host.set_frozen(|_, _| false).resumed, 10);
}

#[test]
fn a_cancelled_event_releases_nothing() {
    let mut pair = Pair::new(AgentClass::A);
    pair.run_until(START + 7_000_000);
    let signed = pair.start(Strategy::Hold, 2_000_000);
    pair.run_until(signed.event.target.0 - 50_000);
    let actions = pair.lead.on_cancel(signed.event.id);
    pair.act(actions);
    pair.run_until(signed.event.target.0 + 5_000_000);
    assert!(pair.records.is_empty());
}

#[test]
fn a_prepare_waits_at_the_agent_and_its_work_begins_when_it_must() {
    let mut pair = Pair::new(AgentClass::B);
    pair.run_until(START + 20_000_000);
    let target = pair.start(Strategy::Hold, 6_000_000).event.target.0;
    pair.run_until(target + 3_000_000);
    assert_eq!(pair.records.len(), 30);
    for record in &pair.records {
        let (waited_us, held_us) = (target - record.received_us, target - record.armed_us.unwrap());
        assert!(waited_us > 4_000_000, "received {waited_us} us before T");
        assert!(held_us < 1_000_000, "held for {held_us} us");
    }
}

#[test]
fn what_is_called_off_before_its_work_begins_costs_no_work() {
    let mut pair = Pair::new(AgentClass::B);
    pair.run_until(START + 20_000_000);
    let signed = pair.start(Strategy::Hold, 6_000_000);
    pair.run_until(signed.event.target.0 - 2_000_000);
    let actions = pair.lead.on_cancel(signed.event.id);
    pair.act(actions);
    pair.run_until(signed.event.target.0 + 3_000_000);
    assert!(pair.records.is_empty());
    let fold = pair.ups.iter().rev().find_map(|up| match up {
        UpMessage::Fold(fold) => Some(fold),
        UpMessage::Stage(_) => None,
    });
    assert_eq!(fold.unwrap().tally.sum(|c| c.armed_by_target), 0);
}

#[test]
fn a_prepare_without_its_signed_event_is_not_obeyed() {
    let mut pair = Pair::new(AgentClass::A);
    let event = event(START + 1_000_000, Strategy::Hold).event.id;
    let entries = vec![PrepareEntry {
        agent: AgentId(1),
        slot: AgentId(1),
        target: mesh30k_core::time::LocalTimeUs(START + 1_000_000),
        start: mesh30k_core::time::LocalTimeUs(START),
    }];
    let prepare = HostPrepare { cluster: CLUSTER, event, sent_at: MeshTimeUs(START), entries };
    pair.host.on_message(START, &HostMessage::Prepare(prepare));
    pair.run_until(START + 2_000_000);
    assert!(pair.records.is_empty());
    assert_eq!(pair.host.counters().unstaged, 1);
}

proptest! {
    #[test]
    fn a_virtual_clock_reads_back(seed in any::<u64>(), agent in 0u64..1000, elapsed in 0i64..10_000_000_000) {
        let clock = VirtualClock::seeded(seed, agent, START);
        let now = START + elapsed;
        prop_assert!(clock.true_offset_us(START).abs() <= 200_000);
        prop_assert!((clock.true_time_of(clock.read(now)) - now).abs() <= 2);
    }

    #[test]
    fn replayed_ways_are_never_negative_and_the_same_twice(seed in any::<u64>(), agent in 0u64..500, at in 0i64..1_000_000_000_000) {
        let replay = replay();
        let link = ReplayedLink::seeded(&replay, seed, agent, AgentClass::E);
        prop_assert!(link.forward_us(at) >= 0 && link.return_us(at) >= 0);
        prop_assert_eq!(link.forward_us(at), ReplayedLink::seeded(&replay, seed, agent, AgentClass::E).forward_us(at));
    }
}

#[test]
fn a_host_wakes_once_for_a_probe_and_the_answer_is_that_of_the_replayed_way() {
    let mut pair = Pair::new(AgentClass::C);
    for (seq, agent) in (0..).zip((1..=30).map(AgentId)) {
        let probe = Probe { cluster: CLUSTER, seq, work: true, agents: vec![agent] };
        pair.host.on_message(START, &HostMessage::Probe(probe));
        let leaves_us = pair.host.next_wakeup_us().unwrap();
        assert!(pair.host.poll(leaves_us - 1).is_empty(), "nothing is due before the answer leaves");
        let actions = pair.host.poll(leaves_us);
        let [HostedAction::Reply(reply)] = actions.as_slice() else { panic!("one reply, not {actions:?}") };
        let AnswerBody::Probe { received, answered, work_us, waited_us, .. } = reply.answers[0].body else {
            panic!("{reply:?}")
        };
        let mut around = pair.host.around(agent).unwrap().clone();
        let came_us = START + around.forward_us(START).unwrap();
        let done_us = around.true_time_of(answered);
        assert_eq!(received, around.read(came_us));
        assert_eq!(i64::from(work_us.unwrap()), answered.since_us(received));
        // The instant is known from the agent's clock, to a microsecond: it may lie in the next slice of weather.
        let back = [done_us - 1, done_us, done_us + 1].map(|at| at + around.return_us(at).unwrap());
        // It leaves with others, and says how long it waited for them.
        let came_back_us = leaves_us - i64::from(waited_us);
        assert!(back.iter().any(|at| at.abs_diff(came_back_us) <= 1), "{back:?} {leaves_us} {waited_us}");
        assert_eq!(pair.host.next_wakeup_us(), None);
    }
}
