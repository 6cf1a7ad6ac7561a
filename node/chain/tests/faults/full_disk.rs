//! Room on disks runs out: whoever is read-only writes nothing and votes for nothing, and comes back by itself.

use std::time::Duration;

use mesh30k_ledger::types::{Height, NodeId};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::sim::scene::{Scene, each_seed};

/// Long enough for what was on its way to be written.
const DRAINED: Duration = Duration::from_secs(1);
/// More blocks than the log keeps, so that whoever was away needs other means than the log.
const AWAY_BLOCKS: u64 = 80;

/// What a node does when its disk runs out of room, and when there is some again.
async fn set_read_only(scene: &Scene, node: NodeId, read_only: bool) {
    let process = scene.world.common.process(node).unwrap();
    process.shared.core().set_read_only(read_only);
    process.shared.wake();
    process.set.set_read_only(read_only);
    if read_only {
        process.set.hand_over_all().await;
    }
}

fn votes_of(scene: &Scene, node: NodeId) -> usize {
    scene.world.common.truth.lock().unwrap().votes_of(node)
}

fn height_of(scene: &Scene, node: NodeId) -> Height {
    scene.world.common.process(node).unwrap().store.final_tip().unwrap().unwrap().height
}

#[test]
fn a_leader_without_room_hands_on_writes_nothing_and_comes_back() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        let full = scene.leader;
        let process = scene.world.common.process(full).unwrap();
        set_read_only(&scene, full, true).await;
        assert!(!process.group.is_leader(), "another leads when this returns");
        let votes = votes_of(&scene, full);
        SimRuntime::sleep(DRAINED).await;
        // The proof that nothing is written: a write would fail and end the process.
        scene.world.fill(full, true);
        let (top, own) = (scene.top(), height_of(&scene, full));
        scene.wait_for(120_000, |scene| scene.top() >= top + AWAY_BLOCKS).await;
        assert!(process.is_up(), "{}", scene.told());
        assert_eq!((votes_of(&scene, full), height_of(&scene, full)), (votes, own), "it neither votes nor follows");
        assert!(!process.group.is_leader());

        scene.world.fill(full, false);
        set_read_only(&scene, full, false).await;
        let top = Height(scene.top());
        scene.wait_for(30_000, |scene| height_of(scene, full) >= top && votes_of(scene, full) > votes).await;
        scene.goes_on().await;
        scene.check();
    });
}

#[test]
fn when_nobody_has_room_the_chain_waits_and_goes_on() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        let nodes = scene.world.nodes();
        for node in &nodes {
            set_read_only(&scene, *node, true).await;
        }
        SimRuntime::sleep(DRAINED).await;
        let top = scene.top();
        nodes.iter().for_each(|node| scene.world.fill(*node, true));
        SimRuntime::sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.top(), top, "nothing becomes final");
        for node in &nodes {
            assert!(scene.world.common.process(*node).is_some_and(|process| process.is_up()), "{}", scene.told());
            scene.world.fill(*node, false);
            set_read_only(&scene, *node, false).await;
        }
        scene.goes_on().await;
        scene.check();
    });
}
