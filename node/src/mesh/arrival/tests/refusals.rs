use bytes::Bytes;
use mesh30k_core::event::{
    ClassSet, DownMessage, FoldedAck, HostMessage, HostReply, Prepare, Probe, Strategy, Tally, UpMessage,
};
use mesh30k_core::lead::{Fencing, Rank, Tenure};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentId, Hash, NodeId, Scope, SectorId};

use super::super::wire::{Message, Sealer};
use super::super::*;
use super::fixture::{AGENTS, Trio, cluster_of, context, host_key, signed, unsigned};
use crate::clock::wall_us;

#[tokio::test]
async fn each_bad_event_has_its_own_refusal() {
    let trio = Trio::start();
    let soon = wall_us() + 60_000_000;
    let refusal = async |event| trio.nodes[0].start(event, Admission::Anyway).await.unwrap_err();

    let mut forged = signed(EventKind::Cascade, Strategy::Hold, soon, b"");
    forged.event.payload = b"more".to_vec();
    assert!(matches!(refusal(forged).await, EventError::Signature));

    let stranger = SecretKey::from_seed([9; 32]);
    let foreign = unsigned(EventKind::Cascade, Strategy::Hold, soon, b"").sign(&context(), &stranger);
    assert!(matches!(refusal(foreign).await, EventError::NotAnOperator(key) if key == stranger.public()));

    let elsewhere = ChainContext { genesis: Hash::of(b"other genesis"), ..context() };
    let other_chain =
        unsigned(EventKind::Cascade, Strategy::Hold, soon, b"").sign(&elsewhere, &super::fixture::operator());
    assert!(matches!(refusal(other_chain).await, EventError::Signature));

    let past = signed(EventKind::Cascade, Strategy::Hold, wall_us() - 1_500_000, b"");
    assert!(matches!(refusal(past).await, EventError::InPast { past_ms: 1_500.. }));
    let over = signed(EventKind::Cascade, Strategy::Hold, wall_us() - 60_000_000, b"");
    assert!(matches!(refusal(over).await, EventError::Expired { late_ms: 50_000.. }));
    let far = signed(EventKind::Cascade, Strategy::Hold, wall_us() + 90_000_000_000, b"");
    assert!(matches!(refusal(far).await, EventError::TooFarAhead { .. }));

    let large = signed(EventKind::Broadcast, Strategy::Hold, soon, &[7; 64 * 1024 + 1]);
    assert!(matches!(refusal(large).await, EventError::PayloadTooLarge { bytes: 65_537, limit: 65_536 }));

    let mut nobody = unsigned(EventKind::Cascade, Strategy::Hold, soon, b"");
    nobody.scope = Scope::Sector(SectorId(77));
    assert!(matches!(refusal(nobody.sign(&context(), &super::fixture::operator())).await, EventError::EmptySet));

    let twice = signed(EventKind::Cascade, Strategy::Hold, soon, b"twice");
    let id = trio.nodes[0].start(twice.clone(), Admission::Anyway).await.unwrap();
    assert!(matches!(refusal(twice).await, EventError::Duplicate(known) if known == id));
    assert!(trio.nodes[0].cancel(id).await.unwrap());
    assert_eq!(trio.nodes[0].report(id).unwrap().state, "cancelled");
    assert_eq!(trio.nodes[0].report(id).unwrap().enrolled, AGENTS);
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
}

/// Delivers frames to node 1 as if they came from `from`, and returns the counter once they were judged.
async fn judged(trio: &Trio, from: u64, frames: &[Bytes], counter: &str) -> u64 {
    for frame in frames {
        trio.nodes[0].deliver(NodeId(from), wall_us(), frame.clone());
    }
    // Inputs are taken in order: an answer to a later one means that the frames were judged.
    let ask = PlanAsk { strategy: Strategy::Hold, target: None, sector: None, classes: ClassSet::MACHINES };
    let _ = trio.nodes[0].plan_for(ask).await;
    trio.nodes[0].counters().get(counter).copied().unwrap_or(0)
}

fn sealed(context: ChainContext, node: u64, key: u64, at_us: i64, message: &Message) -> Bytes {
    // The time keeps message ids of different frames apart.
    let counter = u32::try_from(at_us % 1_000_000_000).unwrap();
    let mut sealer = Sealer::new(context, NodeId(node), host_key(key), counter);
    sealer.seal(&Now { wall_us: at_us, mesh: TimeUs(at_us) }, message).unwrap()
}

#[tokio::test]
async fn messages_without_the_right_to_be_sent_are_dropped_and_counted() {
    let trio = Trio::start();
    let now = wall_us();
    let led = cluster_of(3);
    let tenure = Tenure { fencing: Fencing::new(1, 1), rank: Rank::Lead };
    let probe = |cluster, agent| {
        let message = HostMessage::Probe(Probe { cluster, seq: 1, work: false, agents: vec![AgentId(agent)] });
        Message::Host { cluster, tenure, message }
    };

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
    let reply = Message::Reply { reply, said: Vec::new() };
    assert_eq!(judged(&trio, 2, &[sealed(context(), 2, 2, now + 3, &reply)], "not_host").await, 1);

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
    let mut torn = sealed(context(), 2, 2, now + 8, &up(Some(tenure))).to_vec();
    let last = torn.len() - 1;
    torn[last] ^= 1;
    assert_eq!(judged(&trio, 2, &[Bytes::from(torn)], "signature").await, 1);
}
