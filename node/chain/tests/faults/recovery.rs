//! Too many validators are lost, or the chain halted: the operators' order lets it go on with the same history.

use std::time::Duration;

use mesh30k_consensus::finality::{HaltCause, HaltReport};
use mesh30k_ledger::types::{Hash, Height, NodeId, TimeMs};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::sim::malice::Malice;
use super::sim::scene::{Scene, each_seed};

/// Every block that was final anywhere is on these disks, and everything a client was told is ordered.
fn same_history(scene: &Scene, nodes: &[NodeId]) {
    let truth = scene.world.common.truth.lock().unwrap();
    for node in nodes {
        let store = scene.world.common.process(*node).unwrap().store;
        for (height, known) in &truth.finals {
            let stored = store.block(*height).unwrap();
            assert_eq!(stored.map(|stored| stored.block.id()), Some(known.block), "{node} at {height}");
        }
        for id in truth.acknowledged.keys() {
            let is_final = store.transaction(id).unwrap().is_some();
            assert!(is_final, "{node} lost {id}, which was acknowledged");
        }
    }
}

/// Until every one of these holds the highest final block.
async fn level(scene: &Scene, nodes: &[NodeId]) {
    let holds = |scene: &Scene, node: &NodeId, top: u64| {
        let process = scene.world.common.process(*node);
        process.is_some_and(|process| process.store.final_tip().unwrap().is_some_and(|tip| tip.height >= Height(top)))
    };
    let top = scene.top();
    scene.wait_for(20_000, |scene| nodes.iter().all(|node| holds(scene, node, top))).await;
}

#[test]
fn a_lost_majority_stands_still_and_is_recovered_with_the_same_history() {
    each_seed(|seed| async move {
        let mut scene = Scene::new(seed).await;
        let next = *scene.world.nodes().iter().find(|node| **node != scene.leader).unwrap();
        let lost = [scene.leader, next];
        for node in lost {
            scene.world.lose(node).await;
        }
        let left: Vec<NodeId> = scene.world.nodes().into_iter().filter(|node| !lost.contains(node)).collect();
        SimRuntime::sleep(Duration::from_secs(3)).await;
        let stuck = scene.top();
        SimRuntime::sleep(Duration::from_secs(20)).await;
        assert_eq!(scene.top(), stuck, "two of four certify nothing");

        scene.world.recover(&left, None).await;
        for _ in 0..3 {
            scene.goes_on().await;
        }
        level(&scene, &left).await;
        same_history(&scene, &left);
        scene.check();

        // The lost ones were only away. They are two of an old round in which nobody else votes any more.
        for node in lost {
            scene.world.find(node).await;
        }
        SimRuntime::sleep(Duration::from_secs(10)).await;
        scene.goes_on().await;
        scene.check();
    });
}

/// Whoever made a statement votes no more in that round, even if the order never comes.
#[test]
fn a_statement_is_the_last_word_in_its_round() {
    each_seed(|seed| async move {
        let mut scene = Scene::new(seed).await;
        let nodes = scene.world.nodes();
        for node in &nodes {
            scene.world.crash(*node).await;
        }
        let said: Vec<_> = nodes[..2].iter().map(|node| scene.world.statement(*node)).collect();
        assert_eq!(scene.world.statement(nodes[0]), said[0], "it stays the same");
        let heights = |scene: &Scene| scene.top();
        for node in &nodes {
            scene.world.restart(*node).await;
        }
        SimRuntime::sleep(Duration::from_secs(3)).await;
        let stuck = heights(&scene);
        SimRuntime::sleep(Duration::from_secs(20)).await;
        assert_eq!(heights(&scene), stuck, "the other two certify nothing");
        assert!(!scene.world.common.process(nodes[0]).unwrap().shared.core().tracker.is_voting());
    });
}

/// Two certify lies: nobody can certify anything any more, everybody halts, and the halt names the command.
#[test]
fn a_halted_chain_explains_itself_and_goes_on_by_the_order() {
    each_seed(|seed| async move {
        let mut scene = Scene::new(seed).await;
        let nodes = scene.world.nodes();
        for node in &nodes[..2] {
            scene.world.common.corrupt(*node, Malice::WrongRoot);
        }
        scene.wait_for(20_000, |scene| scene.honest().iter().all(|node| scene.halted().contains(node))).await;
        {
            let truth = scene.world.common.truth.lock().unwrap();
            for (node, report) in truth.halts.iter().filter(|(node, _)| nodes.contains(node)) {
                assert_eq!(report.cause, HaltCause::NoQuorum, "{node}");
                assert!(report.sentence.contains("mesh30k node recover"), "{}", report.sentence);
            }
        }
        {
            scene.world.common.malice.lock().unwrap().clear();
            let mut truth = scene.world.common.truth.lock().unwrap();
            truth.liars.clear();
            truth.halts.clear();
        }
        scene.world.recover(&nodes, Some(HaltCause::NoQuorum)).await;
        for _ in 0..3 {
            scene.goes_on().await;
        }
        level(&scene, &nodes).await;
        same_history(&scene, &nodes);
    });
}

/// A leader that is halted as one that was halted before it was started again: on its own, for its own reasons.
#[test]
fn a_leader_that_halts_alone_hands_on_and_the_others_go_on() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        let leading = scene.world.common.process(scene.leader).unwrap();
        let report = HaltReport {
            cause: HaltCause::ExecutionDiverged,
            sentence: "its disk decayed".to_owned(),
            genesis: Hash::ZERO,
            final_height: Height(scene.top()),
            final_block: Hash::ZERO,
            height: Height(scene.top() + 1),
            halted_at: TimeMs(0),
            reporter: Some(scene.leader),
            culprits: vec![scene.leader],
            evidence_hex: Vec::new(),
        };
        leading.shared.core().tracker.resume_halt(report);
        scene.goes_on().await;
        assert!(!leading.group.is_leader());
        scene.check();
    });
}
