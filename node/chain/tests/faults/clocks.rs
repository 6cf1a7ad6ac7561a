//! One clock that is wrong costs seconds.

use super::sim::genesis::START_MS;
use super::sim::now_ms;
use super::sim::scene::{Scene, each_seed};

const HOUR_MS: i64 = 3_600_000;
/// Most that a final block's time lies ahead of the real time, ms: what validators let a leader order.
const AHEAD_MS: u64 = mesh30k_chain::MAX_ORDER_AHEAD_MS;

/// Its block is not ordered, it loses its office, and the others go on; again each time that it leads.
#[test]
fn a_leader_whose_clock_is_an_hour_fast_stops_nobody() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        scene.world.common.process(scene.leader).unwrap().clock.set_error_ms(HOUR_MS);
        for _ in 0..5 {
            scene.goes_on().await;
        }
        scene.check();
        // It is elected on purpose: the same again.
        let leads = |node: &mesh30k_ledger::types::NodeId| scene.world.common.process(*node).unwrap().group.is_leader();
        let now_leads = scene.world.nodes().into_iter().find(leads).unwrap();
        assert_ne!(now_leads, scene.leader, "somebody else leads");
        let group = scene.world.common.process(now_leads).unwrap().group;
        group.transfer_leader(scene.leader.0).await.unwrap();
        for _ in 0..5 {
            scene.goes_on().await;
        }
        scene.check();
        for node in scene.world.nodes() {
            let process = scene.world.common.process(node).unwrap();
            let (_, time) = process.shared.core().tip_header();
            assert!(time.0 <= START_MS + now_ms() + AHEAD_MS, "{node} executed a block of {time}");
        }
    });
}

/// The other way round: a validator whose clock is an hour slow still follows, and keeps nobody from going on.
#[test]
fn a_follower_whose_clock_is_an_hour_slow_stops_nobody() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        let slow = *scene.world.nodes().iter().find(|node| **node != scene.leader).unwrap();
        scene.world.common.process(slow).unwrap().clock.set_error_ms(-HOUR_MS);
        for _ in 0..5 {
            scene.goes_on().await;
        }
        let process = scene.world.common.process(slow).unwrap();
        scene.wait_for(20_000, |scene| process.store.final_tip().unwrap().unwrap().height.0 + 3 >= scene.top()).await;
        scene.check();
    });
}
