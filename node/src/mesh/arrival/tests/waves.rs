use std::time::Duration;

use mesh30k_core::beat::AgentReport;
use mesh30k_core::event::{ArrivalParams, EventId, Strategy};
use mesh30k_core::registry::AgentState;

use super::super::*;
use super::fixture::{AGENTS, PER_NODE, Trio, signed};
use crate::api::types::EventReport;
use crate::mesh::reports::AgentReports;
use crate::mesh::tests::until::until;

const PATIENCE: Duration = Duration::from_secs(30);

async fn wave(trio: &Trio, kind: EventKind, strategy: Strategy, payload: &[u8]) -> (EventId, EventReport) {
    let word = if strategy == Strategy::Hold { "hold" } else { "throw" };
    let plan = trio.plan(word).await;
    assert!(plan.feasible && plan.enrolled == AGENTS, "{plan:?}");
    let event = signed(kind, strategy, plan.at_us + 100_000, payload);
    let id = trio.nodes[0].start(event, Admission::InTime).await.unwrap();
    let before = trio.nodes[0].report(id).unwrap();
    assert_eq!((before.enrolled, before.state.as_str()), (AGENTS, "planned"), "denominators are fixed at dispatch");
    let report = trio.nodes[0].wait_report(id, PATIENCE).await.unwrap();
    assert_eq!(report.state, "complete");
    assert_eq!(report.enrolled, AGENTS);
    assert_eq!(report.ready + report.conflict + report.transit, AGENTS);
    assert_eq!(report.classes.iter().map(|row| row.enrolled).sum::<u64>(), AGENTS);
    (id, report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_arrive_together_throws_run_and_questions_are_answered() {
    let trio = Trio::start();
    trio.warm().await;

    let (id, report) = wave(&trio, EventKind::Cascade, Strategy::Hold, b"").await;
    let releases = trio.releases(id);
    let within = |omega_us: i64| releases.iter().filter(|row| row.error_us.abs() <= omega_us).count() as u64;
    println!("hold: {} of {AGENTS} within 20 ms, {} within 5 ms", within(20_000), within(5_000));
    assert!(within(20_000) * 10 >= AGENTS * 9, "{:?}", releases.iter().map(|r| r.error_us).collect::<Vec<_>>());
    assert!(report.ready * 10 >= AGENTS * 9, "{report:?}");
    assert!(releases.iter().all(|row| row.clock_error_us.is_some()));
    assert_eq!(report.quorum, "PROCEED");

    let (id, report) = wave(&trio, EventKind::Broadcast, Strategy::Throw, b"hello").await;
    let thrown = trio.releases(id).iter().filter(|row| row.error_us.abs() <= 20_000).count();
    println!("throw: {thrown} of {AGENTS} within 20 ms, ready {}", report.ready);
    assert!(report.ready * 10 >= AGENTS * 8, "{report:?}");

    let (_, report) = wave(&trio, EventKind::Ask, Strategy::Hold, b"class").await;
    assert_eq!(report.answers.iter().map(|(_, count)| count).sum::<u64>(), report.ready, "{report:?}");
    assert_eq!(report.answers[0].0, "A", "half of them are of class A");
    let (_, report) = wave(&trio, EventKind::Ask, Strategy::Hold, b"context_hash").await;
    assert_eq!(report.answers.len(), 1, "all act by the same rules: {:?}", report.answers);

    let measured: Vec<AgentReport> = trio.nodes[0].reports();
    assert_eq!(measured.len(), PER_NODE as usize);
    assert!(measured.iter().all(|report| report.impedance.processing_p50_us > 0), "own work is measured");
    let seen = measured.iter().filter(|report| report.impedance.one_way_p50_us > 0).count();
    assert!(seen * 10 >= measured.len() * 9, "leads told {seen} of {}", measured.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_on_the_margin_moves_the_plan_and_a_dead_host_stays_in_the_denominator() {
    let trio = Trio::start();
    trio.warm().await;
    let before = trio.plan("hold").await;
    trio.rules.lock().unwrap().params = ArrivalParams::from_ledger(990_000, 3_000);
    // Asking makes each node read the rules; in a node a task does that at every final block.
    for node in &trio.nodes {
        let ask = PlanAsk::everybody(Strategy::Hold);
        node.plan_for(ask).await.unwrap();
    }
    let mut after = before.clone();
    for _ in 0..100 {
        after = trio.plan("hold").await;
        if after.needs_us - before.needs_us > 2_000_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let moved_us = after.needs_us - before.needs_us;
    assert!((2_000_000..4_000_000).contains(&moved_us), "three seconds more hold move the plan by {moved_us} us");
    trio.rules.lock().unwrap().params = ArrivalParams::from_ledger(990_000, 0);

    trio.kill(3);
    let event = signed(EventKind::Cascade, Strategy::Hold, crate::clock::wall_us() + 4_000_000, b"");
    let id = trio.nodes[0].start(event, Admission::Anyway).await.unwrap();
    let report = trio.nodes[0].wait_report(id, PATIENCE).await.unwrap();
    assert_eq!(report.enrolled, AGENTS);
    // Node 3 hosts 20 of 60 and leads a cluster with 14 more on the other two.
    assert!(report.transit >= u64::from(PER_NODE), "{report:?}");
    assert!(report.ready > 0, "the others arrive: {report:?}");
    assert_ne!(report.quorum, "PROCEED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_keeps_no_sector_watches_all_of_them_once_it_is_asked_to_plan() {
    let trio = Trio::start();
    trio.warm().await;
    let outsider = trio.outsider();
    until("the outsider knows of a sector", PATIENCE, || outsider.warm_up().known_sectors > 0).await;
    let before = outsider.warm_up();
    assert_eq!((before.watched, before.sectors), (0, 0), "nobody asked it for anything");
    let ask = PlanAsk::everybody(Strategy::Hold);
    let plan = outsider.plan_for(ask).await.unwrap();
    assert!(plan.feasible && plan.enrolled == AGENTS, "the plan waits for the reports it needs: {plan:?}");
    let event = signed(EventKind::Cascade, Strategy::Hold, plan.at_us + 100_000, b"");
    let id = outsider.start(event, Admission::InTime).await.unwrap();
    let report = outsider.wait_report(id, PATIENCE).await.unwrap();
    assert!(report.state == "complete" && report.ready * 10 >= AGENTS * 9, "{report:?}");
    let after = outsider.warm_up();
    assert_eq!((after.watched, after.sectors), (2, 2));
    assert!(after.is_warm(900_000), "{after:?}");
    outsider.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_agents_take_no_part_and_go_on_after_the_thaw() {
    use mesh30k_core::freeze::{FreezeBoard, Frozen};
    use mesh30k_core::time::TimeUs;
    use mesh30k_ledger::types::{Hash, Height, Scope, TimeMs};

    use crate::mesh::freeze::{FreezeSink, FreezeView};

    let trio = Trio::start();
    trio.warm().await;
    let freeze = |scopes: &[Scope], version: u64| {
        let mut board = FreezeBoard::new();
        let far = TimeMs(u64::MAX / 2_000);
        let frozen = |scope: &Scope| Frozen { scope: *scope, reason: "drill".to_owned(), until: far };
        board.on_ledger(Height(version), scopes.iter().map(frozen), []);
        let order = (Hash([u8::try_from(version).unwrap(); 32]), TimeUs(crate::clock::wall_us()));
        FreezeView::for_tests(board, order, version)
    };
    let all = freeze(&[Scope::Global], 1);
    trio.nodes.iter().for_each(|node| node.on_change(&all));
    let event = signed(EventKind::Cascade, Strategy::Hold, crate::clock::wall_us() + 3_000_000, b"");
    let refused = trio.nodes[0].start(event, Admission::Anyway).await;
    assert!(matches!(refused, Err(EventError::Frozen { agents: AGENTS })), "{refused:?}");
    let rows = trio.nodes[0].pauses().unwrap();
    assert_eq!((rows[0].in_scope, rows[0].paused), (u64::from(PER_NODE), u64::from(PER_NODE)));
    assert!(trio.nodes[0].reports().iter().all(|report| report.state == AgentState::Frozen));

    let one = freeze(&[Scope::Cluster(super::fixture::cluster_of(3))], 2);
    trio.nodes.iter().for_each(|node| node.on_change(&one));
    let event = signed(EventKind::Cascade, Strategy::Hold, crate::clock::wall_us() + 3_000_000, b"");
    let id = trio.nodes[1].start(event, Admission::Anyway).await.unwrap();
    let report = trio.nodes[1].wait_report(id, PATIENCE).await.unwrap();
    let frozen = trio.releases(id).iter().filter(|row| row.agent.0 % 3 == 0).count();
    assert_eq!(frozen, 0, "a frozen agent never releases");
    assert!(report.transit >= AGENTS / 3 && report.ready > AGENTS / 3, "{report:?}");
    assert_eq!(trio.nodes[1].report(EventId::new(TimeUs(1), &[0; 32])).map(|r| r.enrolled), None);
}
