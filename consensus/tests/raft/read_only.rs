//! A member without room on its disk promises nothing: no entry, no vote. It comes back by itself.

use std::time::Duration;

use mesh30k_consensus::group::MemberId;
use mesh30k_consensus::raft::{HAND_OVER_MAX, ProposeError};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use crate::recorder::Keeps;
use crate::sim::cluster::{Cluster, Faults};

const STEP: Duration = Duration::from_millis(5);
/// Many election timeouts.
const LONG: Duration = Duration::from_secs(10);

async fn leader_of(cluster: &Cluster) -> MemberId {
    loop {
        let leads = |member: &&MemberId| cluster.group(**member).is_some_and(|group| group.is_ready_leader());
        if let Some(leader) = cluster.all.iter().find(leads) {
            return *leader;
        }
        SimRuntime::sleep(STEP).await;
    }
}

/// Three members; which one leads, and the two others.
async fn three(seed: u64) -> (Cluster, MemberId, MemberId, MemberId) {
    let cluster = Cluster::start(seed, 3, Faults::PowerCut, Keeps::State { lag: 1 }).await;
    let leader = leader_of(&cluster).await;
    let others: Vec<MemberId> = cluster.all.iter().copied().filter(|member| *member != leader).collect();
    (cluster, leader, others[0], others[1])
}

fn each_seed<F: Future<Output = ()>>(act: impl Fn(u64) -> F) {
    (1..=4).for_each(|seed| SimRuntime::with_seed(seed).block_on(act(seed)));
}

#[test]
fn it_acknowledges_nothing_until_there_is_room() {
    each_seed(|seed| async move {
        let (mut cluster, leader, full, dead) = three(seed).await;
        cluster.crash(dead).await;
        let (leading, member) = (cluster.group(leader).unwrap(), cluster.group(full).unwrap());
        member.set_read_only(true);
        let tried = SimRuntime::timeout(LONG, leading.propose(&b"one"[..])).await;
        assert!(tried.is_err(), "seed {seed}: two of three are needed, and one has no room: {tried:?}");
        assert_eq!((member.leader(), leading.is_leader()), (Some(leader), true), "it still hears who leads");
        member.set_read_only(false);
        let ordered = SimRuntime::timeout(LONG, leading.propose(&b"two"[..])).await;
        assert!(matches!(ordered, Ok(Ok(_))), "seed {seed}: {ordered:?}");
        while cluster.applied(full) != [b"one".to_vec(), b"two".to_vec()] {
            SimRuntime::sleep(STEP).await;
        }
    });
}

#[test]
fn it_neither_votes_nor_stands_for_election() {
    each_seed(|seed| async move {
        let (mut cluster, leader, full, other) = three(seed).await;
        cluster.group(full).unwrap().set_read_only(true);
        let term = cluster.group(full).unwrap().term();
        cluster.crash(leader).await;
        SimRuntime::sleep(LONG).await;
        for member in [full, other] {
            let now = cluster.group(member).unwrap().leadership();
            assert!(now.leader.is_none_or(|known| known == leader) && !now.is_leader, "seed {seed}: {now:?}");
            assert_eq!(now.term, term, "seed {seed}: nobody was voted for");
        }
        cluster.group(full).unwrap().set_read_only(false);
        let next = SimRuntime::timeout(LONG, leader_of(&cluster)).await;
        assert!(next.is_ok_and(|next| next != leader), "seed {seed}");
    });
}

#[test]
fn a_leader_proposes_nothing_and_hands_on_with_its_own_vote() {
    each_seed(|seed| async move {
        let (mut cluster, leader, _, dead) = three(seed).await;
        cluster.crash(dead).await;
        SimRuntime::sleep(LONG).await;
        let leading = cluster.group(leader).unwrap();
        leading.set_read_only(true);
        assert_eq!(leading.propose(&b"x"[..]).await, Err(ProposeError::ReadOnly));
        assert!(leading.hand_over(HAND_OVER_MAX).await, "seed {seed}: with two of three its vote is needed");
        assert!(!leading.is_leader());
    });
}
