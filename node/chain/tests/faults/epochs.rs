//! The set of validators changes by vote: the chain goes on from block to block, in a group of its own for each set.

use std::time::Duration;

use mesh30k_chain::{LedgerStore, StoredBlock};
use mesh30k_ledger::finality_proof::FinalityProof;
use mesh30k_ledger::handover::leading_to;
use mesh30k_ledger::query;
use mesh30k_ledger::types::{Epoch, Height, NodeId};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::archive::{comes_back, comes_back_between_two_epochs};
use super::sim::observer::OBSERVER;
use super::sim::scene::{Scene, each_seed};
use super::sim::{Plan, run, seat};

/// Seeds with a vote among their misfortunes.
const SEEDS: u64 = 24;

const fn plan() -> Plan {
    Plan { lying_disks: false, hour_ahead: false, takes_seat: true, plant: None }
}

/// Stopped machines are started again, as whatever the ledger says they are, until this holds.
async fn kept_running(scene: &mut Scene, most_ms: u64, done: impl Fn(&Scene) -> bool) {
    for _ in 0..most_ms / 20 {
        if done(scene) {
            return;
        }
        scene.world.sweep().await;
        for node in scene.world.nodes() {
            scene.world.restart(node).await;
        }
        SimRuntime::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within {most_ms} ms: {}", scene.told());
}

fn epoch_of(scene: &Scene, node: NodeId) -> Option<Epoch> {
    scene.world.common.process(node).map(|process| process.epoch)
}

/// Whoever has nothing but the genesis believes every final block, through the change.
fn the_genesis_is_enough(scene: &Scene, store: &LedgerStore, last: u64) {
    let (genesis, all) = (&scene.world.common.genesis, store.handovers().unwrap());
    let mut led = 0;
    for height in 1..=last {
        let StoredBlock { block, certificate, commitment, .. } = store.block(Height(height)).unwrap().unwrap();
        let handovers = leading_to(&genesis.validators, &all, &certificate).to_vec();
        led = handovers.len();
        let proof = FinalityProof { header: block.header, commitment, certificate, handovers };
        assert_eq!(proof.verify(genesis), Ok(()), "block {height}");
        // Without the way to it, nothing of the new set is believed.
        let bare = FinalityProof { handovers: Vec::new(), ..proof };
        assert_eq!(bare.verify(genesis).is_ok(), led == 0);
    }
    assert_eq!((led, all.len()), (1, 1));
    assert_eq!(comes_back(genesis, store), Height(1));
    comes_back_between_two_epochs(genesis, store);
}

#[test]
fn a_seat_is_taken_and_the_others_go_on() {
    each_seed(|seed| async move {
        let mut scene = Scene::with(seed, plan()).await;
        let loser = seat::loser(&scene.world.common);
        let stay: Vec<NodeId> = scene.world.nodes().into_iter().filter(|node| *node != loser).collect();
        SimRuntime::spawn(seat::take(scene.world.common.clone()));
        kept_running(&mut scene, 30_000, |scene| {
            let is_over = scene.world.common.has_left(loser);
            is_over && stay.iter().all(|node| epoch_of(scene, *node) == Some(Epoch(1)))
        })
        .await;
        let before = scene.top();
        kept_running(&mut scene, 20_000, |scene| scene.top() >= before + 20).await;
        scene.check();
        assert_eq!(scene.halted(), [], "{}", scene.told());
        let process = scene.world.common.process(stay[0]).unwrap();
        assert_eq!(query::validator_set(&process.store).unwrap().0.len(), 4);
        the_genesis_is_enough(&scene, &process.store, before + 10);
        let seen = |scene: &Scene| {
            let truth = scene.world.common.truth.lock().unwrap();
            let line = format!("{OBSERVER} holds block {} final", before + 20);
            truth.story.iter().any(|(_, told)| told.starts_with(&line))
        };
        kept_running(&mut scene, 20_000, seen).await;
    });
}

/// Crashes, partitions, pauses, clocks and disks, as in every seed, while the set changes.
#[test]
fn seeds_with_a_change_hold() {
    for seed in 1..=SEEDS {
        // Nothing is settled before everybody is one of the new set.
        let outcome = run(1_000 + seed, plan());
        let told = || outcome.story.iter().map(|(at, line)| format!("{at:>7} ms  {line}\n")).collect::<String>();
        assert!(outcome.breaches.is_empty(), "seed {}:\n{}{:#?}", outcome.seed, told(), outcome.breaches);
    }
}
