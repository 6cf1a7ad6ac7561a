//! A leader that is told to stop hands leadership on: nobody waits for an election timeout.

use std::time::Duration;

use mesh30k_consensus::group::MemberId;
use mesh30k_consensus::raft::HAND_OVER_MAX;
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use crate::recorder::Keeps;
use crate::sim::cluster::{Cluster, Faults};
use crate::sim::net::now_ms;

/// Well below the 850 ms after which somebody stands for election by itself.
const AT_ONCE_MS: u64 = 200;
const STEP: Duration = Duration::from_millis(1);
const SEEDS: std::ops::Range<u64> = 1..9;

async fn group_of(seed: u64, members: u64) -> (Cluster, MemberId) {
    let cluster = Cluster::start(seed, members, Faults::Kill, Keeps::State { lag: 1 }).await;
    let leader = wait_for_leader(&cluster, 0).await;
    for entry in 0..20_u8 {
        cluster.group(leader).unwrap().propose(vec![entry]).await.unwrap();
    }
    (cluster, leader)
}

/// Waits until somebody other than `not` leads and has everything its predecessors left.
async fn wait_for_leader(cluster: &Cluster, not: MemberId) -> MemberId {
    loop {
        let groups = cluster.all.iter().filter_map(|member| Some((*member, cluster.group(*member)?)));
        if let Some((leader, _)) = groups.into_iter().find(|(member, group)| *member != not && group.is_ready_leader())
        {
            return leader;
        }
        SimRuntime::sleep(STEP).await;
    }
}

/// Stops the leader; how long until another one can order entries, ms.
async fn gap_ms(cluster: &mut Cluster, leader: MemberId) -> u64 {
    let from = now_ms();
    cluster.stop(leader).await;
    let next = wait_for_leader(cluster, leader).await;
    let gap = now_ms() - from;
    cluster.group(next).unwrap().propose(&b"after"[..]).await.unwrap();
    assert!(cluster.applied(next).len() == 21, "nothing was lost on the way");
    gap
}

#[test]
fn another_leads_at_once_when_the_leader_stops() {
    for seed in SEEDS {
        for members in [3, 4] {
            let gap = SimRuntime::with_seed(seed).block_on(async {
                let (mut cluster, leader) = group_of(seed, members).await;
                gap_ms(&mut cluster, leader).await
            });
            assert!(gap <= AT_ONCE_MS, "seed {seed}: {gap} ms without a leader");
        }
    }
}

/// With one of five dead, the three that stay are just enough; none of them is passed over for the dead one.
#[test]
fn a_dead_voter_is_not_the_one_asked() {
    for seed in SEEDS {
        let gap = SimRuntime::with_seed(seed).block_on(async {
            let (mut cluster, leader) = group_of(seed, 5).await;
            let dead = cluster.all.iter().copied().find(|member| *member != leader).unwrap();
            cluster.crash(dead).await;
            // Longer than it takes to notice.
            SimRuntime::sleep(Duration::from_secs(2)).await;
            gap_ms(&mut cluster, leader).await
        });
        assert!(gap <= AT_ONCE_MS, "seed {seed}: {gap} ms without a leader");
    }
}

/// A voter that died a moment ago looks alive: when it does not take over, the next one is asked.
#[test]
fn a_voter_that_just_died_costs_one_question() {
    for seed in SEEDS {
        let gap = SimRuntime::with_seed(seed).block_on(async {
            let (mut cluster, leader) = group_of(seed, 5).await;
            // The first by name is asked first, for all are equally far.
            let dead = cluster.all.iter().copied().find(|member| *member != leader).unwrap();
            cluster.crash(dead).await;
            gap_ms(&mut cluster, leader).await
        });
        assert!(gap <= 600, "seed {seed}: {gap} ms without a leader");
    }
}

#[test]
fn with_nobody_left_it_stops_after_the_bound() {
    for (seed, wait_ms) in [(1, 0), (2, 0), (3, 5_000)] {
        let took = SimRuntime::with_seed(seed).block_on(async {
            let (mut cluster, leader) = group_of(seed, 4).await;
            for other in cluster.all.clone().into_iter().filter(|member| *member != leader) {
                cluster.crash(other).await;
            }
            SimRuntime::sleep(Duration::from_millis(wait_ms)).await;
            let from = now_ms();
            cluster.stop(leader).await;
            now_ms() - from
        });
        let bound = HAND_OVER_MAX.as_millis() as u64 + 10;
        assert!(took <= bound, "seed {seed}: {took} ms");
        // Whom nobody has answered for long, it does not even ask.
        assert!(wait_ms == 0 || took <= 10, "seed {seed}: {took} ms");
    }
}
