use std::time::Duration;

use bytes::Bytes;
use mesh30k_core::event::{
    AgentAnswer, AnswerBody, DownMessage, Event, EventError as SpecError, FoldedAck, HostReply, MAX_NAMED_AGENTS,
    MAX_WAVES, Prepare, Probe, Session, SignedEvent, StageReport, Strategy, Tally, UpMessage,
};
use mesh30k_core::lead::{Fencing, Rank, Tenure};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentId, Hash, NodeId, Scope, SectorId};

use super::super::wire::{Bundled, LedStage, Message, Sealer};
use super::super::*;
use super::fixture::{AGENTS, Trio, cluster_of, context, host_key, request, signed, unsigned};
use crate::api::types::PlanRequest;
use crate::clock::wall_us;
use crate::mesh::tests::until::holds_within;

/// Starts bad events at node 1 and remembers how each should have been counted.
struct Bench {
    trio: Trio,
    counted: Vec<&'static str>,
}

impl Bench {
    async fn refusal(&mut self, event: SignedEvent, counter: &'static str) -> EventError {
        self.counted.push(counter);
        self.trio.nodes[0].start(event, Admission::Anyway).await.unwrap_err()
    }

    /// Every refusal was counted under its own name, and nobody was sent anything.
    fn settle(&self) {
        let counters = self.trio.nodes[0].counters();
        for name in &self.counted {
            let wanted = self.counted.iter().filter(|other| *other == name).count() as u64;
            assert_eq!(counters.get(name), Some(&wanted), "{name} in {counters:?}");
            let line = format!("mesh30k_arrival_refused_total{{reason=\"{name}\"}} {wanted}");
            assert!(self.trio.metrics(1).lines().any(|found| found == line), "no {line}");
        }
        assert_eq!(self.trio.sent_down(), 0);
    }
}

fn soon_event(at_us: i64) -> Event {
    unsigned(EventKind::Cascade, Strategy::Hold, at_us, b"")
}

#[tokio::test]
async fn each_bad_event_has_its_own_refusal() {
    let mut bench = Bench { trio: Trio::start(), counted: Vec::new() };
    let soon = wall_us() + 60_000_000;
    let cascade = |at_us| signed(EventKind::Cascade, Strategy::Hold, at_us, b"");
    let sign = |event: Event| event.sign(&context(), &super::fixture::operator());

    let mut forged = cascade(soon);
    forged.event.payload = b"more".to_vec();
    assert!(matches!(bench.refusal(forged, "start_signature").await, EventError::Event(SpecError::Signature)));

    let stranger = SecretKey::from_seed([9; 32]);
    let foreign = soon_event(soon).sign(&context(), &stranger);
    let refused = bench.refusal(foreign, "start_not_an_operator").await;
    assert!(matches!(refused, EventError::Event(SpecError::NotAnOperator(key)) if key == stranger.public()));

    let elsewhere = ChainContext { genesis: Hash::of(b"other genesis"), ..context() };
    let other_chain = soon_event(soon).sign(&elsewhere, &super::fixture::operator());
    let refused = bench.refusal(other_chain, "start_foreign_chain").await;
    assert!(matches!(refused, EventError::Event(SpecError::ForeignChain { found, expected }) if found != expected));

    let past = cascade(wall_us() - 1_500_000);
    assert!(matches!(bench.refusal(past, "start_in_past").await, EventError::InPast { past_ms: 1_500.. }));
    let over = cascade(wall_us() - 60_000_000);
    assert!(matches!(bench.refusal(over, "start_expired").await, EventError::Expired { late_ms: 50_000.. }));
    let far = cascade(wall_us() + 90_000_000_000);
    assert!(matches!(bench.refusal(far, "start_too_far_ahead").await, EventError::TooFarAhead { .. }));

    let large = signed(EventKind::Broadcast, Strategy::Hold, soon, &[7; 64 * 1024 + 1]);
    let refused = bench.refusal(large, "start_payload").await;
    assert!(matches!(refused, EventError::Event(SpecError::PayloadTooLarge { bytes: 65_537, limit: 65_536 })));
    let urgent = sign(Event { priority: 4, ..soon_event(soon) });
    let refused = bench.refusal(urgent, "start_limit").await;
    assert!(matches!(refused, EventError::Event(SpecError::Limit { field: "priority", value: 4, limit: 3 })));

    let nobody = sign(Event { scope: Scope::Sector(SectorId(77)), ..soon_event(soon) });
    assert!(matches!(bench.refusal(nobody, "start_empty_set").await, EventError::EmptySet));
    bench.settle();
}

#[tokio::test]
async fn named_agents_and_sessions_are_checked_before_anything_is_sent() {
    let mut bench = Bench { trio: Trio::start(), counted: Vec::new() };
    let soon = wall_us() + 60_000_000;
    let sign = |event: Event| event.sign(&context(), &super::fixture::operator());
    let naming = |agents: Vec<u64>| {
        let agents = agents.into_iter().map(AgentId).collect();
        sign(Event { agents, ..soon_event(soon) })
    };
    let refused = bench.refusal(naming(vec![5, AGENTS + 1, AGENTS + 2]), "start_unknown_agents").await;
    assert!(matches!(refused, EventError::UnknownAgents { first: AgentId(61), unknown: 2 }), "{refused:?}");
    let refused = bench.refusal(naming(vec![5, 4]), "start_agents_out_of_order").await;
    assert!(matches!(refused, EventError::Event(SpecError::AgentsOutOfOrder(AgentId(4)))));
    let many = naming((0..=MAX_NAMED_AGENTS as u64).collect());
    let refused = bench.refusal(many, "start_limit").await;
    let limit = SpecError::Limit { field: "number of named agents", value: 4_097, limit: 4_096 };
    assert!(matches!(refused, EventError::Event(found) if found == limit));

    let helper = SecretKey::from_seed([77; 32]);
    let session = |until| Session::grant(&context(), &super::fixture::operator(), helper.public(), TimeUs(until));
    let by = |session, key: &SecretKey| soon_event(soon).sign_by_session(&context(), key, session);
    let refused = bench.refusal(by(session(soon - 1), &helper), "start_session_expired").await;
    assert!(matches!(refused, EventError::Event(SpecError::SessionExpired { expires, target }) if expires < target));
    let stranger = SecretKey::from_seed([9; 32]);
    let refused = bench.refusal(by(session(soon), &stranger), "start_forged_session").await;
    assert!(matches!(refused, EventError::Event(SpecError::ForgedSession(_))));

    let plan = PlanRequest { agents: vec![AgentId(AGENTS + 9)], ..request("hold") };
    let refused = bench.trio.nodes[0].plan(&plan).await;
    assert!(matches!(refused, Err(EventError::UnknownAgents { first: AgentId(69), unknown: 1 })));
    let plan = PlanRequest { capabilities: vec!["fly".to_owned()], ..request("hold") };
    assert!(matches!(bench.trio.nodes[0].plan(&plan).await, Err(EventError::Word { field: "capability", .. })));
    let plan = PlanRequest { capabilities: vec!["infer".to_owned()], ..request("hold") };
    assert!(matches!(bench.trio.nodes[0].plan(&plan).await, Err(EventError::EmptySet)));
    bench.settle();

    let good = by(session(soon), &helper);
    let id = bench.trio.nodes[0].start(good, Admission::Anyway).await.unwrap();
    assert_eq!(bench.trio.nodes[0].report(id).unwrap().enrolled, AGENTS, "a session that lasts is a right");
}

/// An event, or its end, goes to two coordinators and from them to their leads.
const MESSAGES_OF_EVENT: u64 = 4;

#[tokio::test]
async fn an_id_is_started_once_and_so_are_only_so_many_events() {
    let mut bench = Bench { trio: Trio::start(), counted: Vec::new() };
    let soon = wall_us() + 60_000_000;
    let twice = signed(EventKind::Cascade, Strategy::Hold, soon, b"twice");
    let id = bench.trio.nodes[0].start(twice.clone(), Admission::Anyway).await.unwrap();
    assert!(bench.trio.nodes[0].cancel(id).await.unwrap());
    assert_eq!(bench.trio.nodes[0].report(id).unwrap().state, "cancelled");
    assert_eq!(bench.trio.nodes[0].report(id).unwrap().enrolled, AGENTS);
    let other = |n: usize| signed(EventKind::Cascade, Strategy::Hold, soon + n as i64 * 1_000, b"one of many");
    for n in 1..MAX_WAVES {
        bench.trio.nodes[0].start(other(n), Admission::Anyway).await.unwrap();
    }
    // Nodes send on threads of their own: what was started and called off has to be out first.
    let sent = MESSAGES_OF_EVENT * (MAX_WAVES as u64 + 1);
    while bench.trio.sent_down() < sent {
        tokio::task::yield_now().await;
    }
    let refused = bench.refusal(twice, "start_duplicate").await;
    assert!(matches!(refused, EventError::Duplicate(known) if known == id), "called off, and still known");
    let refused = bench.refusal(other(MAX_WAVES), "start_too_many").await;
    assert!(matches!(refused, EventError::TooMany { under_way: MAX_WAVES, limit: MAX_WAVES }), "{refused:?}");
    assert_eq!(bench.trio.sent_down(), sent, "neither was sent");
}

#[tokio::test]
async fn an_event_that_comes_too_late_is_refused_with_the_earliest_instant() {
    let trio = Trio::start();
    trio.warm().await;
    let asked = wall_us() + 20_000;
    let event = signed(EventKind::Cascade, Strategy::Hold, asked, b"");
    match trio.nodes[0].start(event, Admission::InTime).await {
        Err(EventError::InsufficientLead { needs_ms, has_ms, earliest_us, .. }) => {
            assert!(needs_ms > has_ms && earliest_us > asked, "needs {needs_ms} has {has_ms}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(trio.nodes[0].counters().get("start_insufficient_lead"), Some(&1));
    assert_eq!(trio.sent_down(), 0);
}

/// Delivers frames to node 1 as if they came from `from`, and returns the counter once they were judged.
async fn judged(trio: &Trio, from: u64, frames: &[Bytes], counter: &str) -> u64 {
    for frame in frames {
        trio.nodes[0].deliver(NodeId(from), wall_us(), frame.clone());
    }
    // Inputs are taken in order: an answer to a later one means that the frames were judged.
    let _ = trio.nodes[0].plan_for(PlanAsk::everybody(Strategy::Hold)).await;
    trio.nodes[0].counters().get(counter).copied().unwrap_or(0)
}

fn sealed(context: ChainContext, node: u64, key: u64, at_us: i64, message: &Message) -> Bytes {
    // The time keeps message ids of different frames apart.
    let counter = u32::try_from(at_us % 1_000_000_000).unwrap();
    let mut sealer = Sealer::new(context, NodeId(node), host_key(key), counter);
    sealer.seal(&Now { wall_us: at_us, mesh: TimeUs(at_us), corrected_us: 0 }, message).unwrap()
}

#[tokio::test]
async fn messages_without_the_right_to_be_sent_are_dropped_and_counted() {
    let trio = Trio::start();
    let now = wall_us();
    let led = cluster_of(3);
    let tenure = Tenure { fencing: Fencing::new(1, 1), rank: Rank::Lead };
    let item = |cluster, agent| Bundled::Probe {
        tenure,
        probe: Probe { cluster, seq: 1, work: false, agents: vec![AgentId(agent)] },
    };
    let probe = |cluster, agent| Message::Bundle { items: vec![item(cluster, agent)] };

    assert_eq!(judged(&trio, 2, &[Bytes::from_static(b"\x01\x00garbage")], "malformed").await, 1);
    assert_eq!(judged(&trio, 2, &[Bytes::new()], "malformed").await, 2);
    assert_eq!(judged(&trio, 2, &[Bytes::from_static(b"\x63\x00later")], "version").await, 1);

    let good = sealed(context(), 2, 2, now, &probe(led, 3));
    assert_eq!(judged(&trio, 2, &[good.clone(), good.clone()], "duplicate").await, 1);
    assert_eq!(judged(&trio, 99, std::slice::from_ref(&good), "stranger").await, 1);
    let elsewhere = ChainContext { genesis: Hash::of(b"other genesis"), ..context() };
    assert_eq!(judged(&trio, 2, &[sealed(elsewhere, 2, 2, now, &probe(led, 3))], "wrong_chain").await, 1);
    let stale = sealed(context(), 2, 2, now - 60_000_000, &probe(led, 3));
    assert_eq!(judged(&trio, 2, &[stale], "expired").await, 1);

    assert_eq!(judged(&trio, 3, &[sealed(context(), 3, 3, now + 1, &probe(led, 3))], "not_lead").await, 1);
    assert_eq!(judged(&trio, 2, &[sealed(context(), 2, 2, now + 2, &probe(led, 4))], "foreign_agent").await, 1);

    let reply = HostReply { cluster: cluster_of(2), host: NodeId(3), answers: Vec::new() };
    let bundle = Message::Bundle { items: vec![item(led, 4), Bundled::Answers(reply.clone()), item(led, 4)] };
    let reply = Message::Reply { reply, said: Vec::new() };
    assert_eq!(judged(&trio, 2, &[sealed(context(), 2, 2, now + 3, &reply)], "not_host").await, 1);
    assert_eq!(judged(&trio, 2, &[sealed(context(), 2, 2, now + 10, &bundle)], "not_host").await, 2);
    assert_eq!(judged(&trio, 2, &[], "foreign_agent").await, 3, "each item of a frame is judged");

    let mut forged = signed(EventKind::Cascade, Strategy::Hold, now + 60_000_000, b"");
    forged.event.payload = b"x".to_vec();
    let prepare = Prepare { fold_by: forged.event.deadline, event: forged, sent_at: TimeUs(now) };
    let down = |child| Message::Down { child, message: DownMessage::Prepare(prepare.clone()) };
    let to_sector = sealed(context(), 3, 3, now + 4, &down(Scope::Sector(SectorId(0))));
    assert_eq!(judged(&trio, 3, &[to_sector], "event").await, 1);
    let to_lead = sealed(context(), 3, 3, now + 5, &down(Scope::Cluster(cluster_of(2))));
    assert_eq!(judged(&trio, 3, &[to_lead], "not_coordinator").await, 1);

    let event = mesh30k_core::event::EventId::new(TimeUs(now), &[3; 32]);
    let from = Scope::Cluster(led);
    let fold = FoldedAck {
        event,
        from,
        correction: false,
        sent_at: TimeUs(now),
        prepare_delay_us: 0,
        tally: Tally::default(),
    };
    let up = |tenure| Message::Up { tenure, message: UpMessage::Fold(Box::new(fold.clone())), answers: Vec::new() };
    assert_eq!(judged(&trio, 2, &[sealed(context(), 2, 3, now + 6, &up(Some(tenure)))], "wrong_signer").await, 1);
    assert_eq!(judged(&trio, 2, &[sealed(context(), 2, 2, now + 7, &up(None))], "no_right").await, 1);
    let stage =
        |cluster| LedStage { tenure, report: Box::new(StageReport::empty(Scope::Cluster(cluster), TimeUs(now))) };
    let stages = Message::Stages { reports: vec![stage(cluster_of(1)), stage(led)] };
    assert_eq!(
        judged(&trio, 2, &[sealed(context(), 2, 2, now + 9, &stages)], "not_lead").await,
        2,
        "one is not its own"
    );
    let mut torn = sealed(context(), 2, 2, now + 8, &up(Some(tenure))).to_vec();
    let last = torn.len() - 1;
    torn[last] ^= 1;
    assert_eq!(judged(&trio, 2, &[Bytes::from(torn)], "signature").await, 1);
}

/// Whatever children say that cannot be is refused, counted, and shown in the metrics of the lead that heard it.
#[tokio::test]
async fn children_that_answer_wrongly_are_counted_in_the_metrics() {
    let trio = Trio::start();
    trio.warm().await;
    // Cluster 0-0 is led by node 2; agents 3 and 6 are on node 1, agent 21 is on node 2 itself.
    let cluster = cluster_of(3);
    let now = wall_us();
    let event = signed(EventKind::Cascade, Strategy::Hold, now + 20_000_000, b"");
    let id = trio.nodes[0].start(event, Admission::Anyway).await.unwrap();
    let unknown = mesh30k_core::event::EventId::new(TimeUs(now), &[3; 32]);
    let at = mesh30k_core::time::LocalTimeUs(now);
    let released = |agent: u64, slot: u64, event| {
        let body = AnswerBody::Released { event, released: at, late: false };
        AgentAnswer { agent: AgentId(agent), slot: AgentId(slot), body }
    };
    // To an event nobody has heard of; for an agent of another host; for another's slot; long before it was asked.
    let answers = vec![released(3, 3, unknown), released(21, 21, id), released(3, 6, id), released(6, 6, id)];
    let reply = Message::Reply { reply: HostReply { cluster, host: NodeId(1), answers }, said: Vec::new() };
    let frame = sealed(context(), 1, 1, now, &reply);
    let wanted = ["lead_unknown\"} 1", "lead_foreign\"} 1", "lead_not_asked\"} 2"];
    // The event has reached the lead once its coordinator, node 1, and it have answered something later.
    for node in [0, 1] {
        trio.nodes[node].plan_for(PlanAsk::everybody(Strategy::Hold)).await.unwrap();
    }
    trio.nodes[1].deliver(NodeId(1), wall_us(), frame);
    let counted = || wanted.iter().all(|line| trio.metrics(2).contains(line));
    if holds_within(Duration::from_secs(5), counted).await {
        return;
    }
    let text = trio.metrics(2);
    let faults: Vec<&str> = text.lines().filter(|line| line.contains("lead_")).collect();
    panic!("{wanted:?} are not in {faults:?}");
}
