//! Too many validators are lost, or the chain halted: the operators' order lets it go on with the same history.

use std::sync::Arc;
use std::time::Duration;

use mesh30k_chain::{FinalBlock, LedgerStore, StoredBlock, Succession, Successor};
use mesh30k_consensus::finality::{FinalTip, HaltCause, HaltReport};
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_ledger::execute::{Execution, execute};
use mesh30k_ledger::finality_proof::FinalityProof;
use mesh30k_ledger::handover::leading_to;
use mesh30k_ledger::query;
use mesh30k_ledger::types::{Epoch, Hash, Height, NodeId, Round, TimeMs};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::archive::comes_back;
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

/// The final block at a height, from whichever of these nodes holds most votes for it: one that was behind took it from others' last
/// words, with few.
fn stored(scene: &Scene, nodes: &[NodeId], height: Height) -> StoredBlock {
    let held = nodes.iter().filter_map(|node| scene.world.common.process(*node)?.store.block(height).unwrap());
    held.max_by_key(|stored| stored.certificate.signatures.len()).unwrap()
}

/// Whoever has nothing but the genesis believes every final block, and begins with it and comes to the same state.
fn the_genesis_is_enough(scene: &Scene, nodes: &[NodeId]) {
    let genesis = &scene.world.common.genesis;
    let peer = scene.world.common.process(nodes[0]).unwrap().store;
    let (top, handovers) = (peer.final_tip().unwrap().unwrap(), peer.handovers().unwrap());
    assert_eq!(handovers.len(), 1);
    let newcomer = LedgerStore::new(Arc::new(MemDisk::new(FlushMode::Immediate).open()));
    newcomer.replace_state(&genesis.initial_changes().unwrap(), None).unwrap();
    let at = query::tip(&newcomer).unwrap();
    let mut tip = FinalTip { height: at.height, block: at.block, commitment: Hash::ZERO, time: at.time };
    let certificate = stored(scene, nodes, top.height).certificate;
    let shown = Succession { handovers: handovers.clone(), certificate };
    let mut successor = Successor::default();
    assert_eq!(successor.on_succession(&shown, genesis, &tip, (Epoch(0), Round(0))), Ok(true));
    for height in (1..=top.height.0).map(Height) {
        let StoredBlock { block, certificate, commitment, .. } = stored(scene, nodes, height);
        let handovers = leading_to(&genesis.validators, &handovers, &certificate).to_vec();
        let proof = FinalityProof { header: block.header, commitment, certificate: certificate.clone(), handovers };
        assert_eq!(proof.verify(genesis), Ok(()), "block {height}");

        if let Some(handover) = successor.due(&tip) {
            newcomer.carry_out(&handover).unwrap();
        }
        let validators = query::validator_set(&newcomer).unwrap();
        let is_certified = certificate.verify(&validators, &genesis.context()).is_ok();
        assert!(is_certified || successor.keeps(&tip, &block, &certificate), "block {height} would not be taken");
        tip = FinalTip::of(&block.header, &certificate);
        let Execution { changes, outcomes, due, commitment, transactions, .. } = execute(&newcomer, &block).unwrap();
        let stored = StoredBlock { block, certificate, outcomes, due, commitment };
        let (changes, transactions) = (&changes, transactions.as_slice());
        newcomer.commit(&FinalBlock { stored: &stored, changes, transactions, position: None }).unwrap();
    }
    assert_eq!(query::tip(&newcomer).unwrap().state_root, query::tip(&peer).unwrap().state_root);
    assert_eq!(newcomer.handovers().unwrap(), peer.handovers().unwrap());
    for node in nodes {
        comes_back(genesis, &scene.world.common.process(*node).unwrap().store);
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
        the_genesis_is_enough(&scene, &left);
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
        the_genesis_is_enough(&scene, &nodes);
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
