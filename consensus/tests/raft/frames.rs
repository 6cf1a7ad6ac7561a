//! What a group answers to peers it should not trust, over a network that delivers at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mesh30k_consensus::group::{GroupId, MemberId, StoreId};
use mesh30k_consensus::raft::{Group, GroupError, GroupSet, GroupSetConfig, PeerCheck, ProposeError};
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_consensus::transport::{MAX_ENTRY_BYTES, RaftLane};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use crate::recorder::{Keeps, Recorder};
use crate::wire::Wire;

const GROUP: GroupId = GroupId::sector(2, 0, 0);

type Sets = crate::wire::Sets<SimRuntime>;

fn store_id(member: MemberId) -> StoreId {
    StoreId([member as u8; 32])
}

/// Three members, of whom `wiped` has a disk the others do not know.
async fn three(wiped: Option<MemberId>) -> (Vec<Group<SimRuntime>>, Sets, Arc<Mutex<Option<Bytes>>>) {
    let (sets, last): (Sets, _) = (Arc::default(), Arc::default());
    let (mut all, mut groups) = (Vec::new(), Vec::new());
    let check: PeerCheck = Arc::new(|member, store| {
        if *store == store_id(member) { Ok(()) } else { Err(format!("node {member} has a new disk: register it anew")) }
    });
    for me in 1..=3 {
        let disk = if wiped == Some(me) { StoreId([99; 32]) } else { store_id(me) };
        let transport = Arc::new(Wire { sets: Arc::clone(&sets), me, last: Arc::clone(&last) });
        let store = Arc::new(MemDisk::new(FlushMode::Immediate).open());
        all.push(GroupSet::new(GroupSetConfig { me, store_id: disk, store, transport, check: Arc::clone(&check) }));
    }
    sets.lock().unwrap().clone_from(&all);
    for set in &all {
        let store = Arc::new(MemDisk::new(FlushMode::Immediate).open());
        let app = Recorder::open(store, Keeps::Nothing, Arc::default());
        let mut config = set.preset(GROUP);
        config.retention.snapshot_every = 10;
        groups.push(set.start(config, Box::new(app)).await.unwrap());
    }
    (groups, sets, last)
}

fn simulate<T>(future: impl Future<Output = T>) -> T {
    SimRuntime::with_seed(7).block_on(future)
}

async fn leader(groups: &[Group<SimRuntime>]) -> Group<SimRuntime> {
    for _ in 0..200 {
        SimRuntime::sleep(Duration::from_millis(100)).await;
        if let Some(leader) = groups.iter().find(|group| group.is_ready_leader()) {
            return leader.clone();
        }
    }
    panic!("nobody leads");
}

#[test]
fn a_wiped_disk_counts_for_nothing_under_its_old_name() {
    simulate(async {
        let (groups, ..) = three(Some(3)).await;
        let members = BTreeSet::from([1, 2, 3]);
        for group in &groups {
            group.initialize(&members).await.unwrap();
            group.initialize(&members).await.unwrap();
        }
        let leader = leader(&groups[..2]).await;
        leader.propose(&b"with two of three"[..]).await.unwrap();
        assert!(!groups[2].is_leader());
        // Without the other honest member there is no majority: the wiped one's consent is not counted.
        let other = groups[..2].iter().find(|group| !group.is_leader()).unwrap();
        other.shutdown().await;
        let alone = SimRuntime::timeout(Duration::from_secs(30), leader.propose(&b"alone"[..])).await;
        assert!(alone.is_err() || alone.unwrap().is_err());
    });
}

#[test]
fn bad_requests_are_refused_with_a_sentence() {
    simulate(async {
        let (groups, sets, last) = three(None).await;
        groups[0].initialize(&BTreeSet::from([1, 2, 3])).await.unwrap();
        leader(&groups).await;
        let set = sets.lock().unwrap()[1].clone();
        let genuine = last.lock().unwrap().clone().unwrap();
        let says = async |from, group, lane, bytes: &[u8]| {
            String::from_utf8_lossy(&set.handle(from, group, lane, bytes).await).into_owned()
        };
        assert!(says(9, GROUP, RaftLane::Vote, &genuine).await.contains("node 9 speaks as node"));
        let elsewhere = GroupId::sector(3, 0, 0);
        assert!(says(1, elsewhere, RaftLane::Vote, &genuine).await.contains("sector-3.e0.r0 does not run here"));
        for cut in 0..genuine.len() {
            let from = MemberId::from(genuine[1]);
            let answer = says(from, GROUP, RaftLane::Vote, &genuine[..cut]).await;
            assert!(answer.contains("frame"), "{cut} bytes: {answer}");
        }
        let from = MemberId::from(genuine[1]);
        let longer = [&genuine[..], &[0]].concat();
        assert!(says(from, GROUP, RaftLane::Vote, &longer).await.contains("1 bytes too many"));
        assert!(says(from, GROUP, RaftLane::Snapshot, &genuine).await.contains("lane"));
        let huge = vec![0; RaftLane::Vote.max_request_bytes() + 1];
        assert!(says(from, GROUP, RaftLane::Vote, &huge).await.contains("the limit on this lane"));
        let mut other_version = genuine.to_vec();
        other_version[0] = 2;
        assert!(says(from, GROUP, RaftLane::Vote, &other_version).await.contains("frame version 2"));
    });
}

#[test]
fn proposals_and_starts_are_bounded_and_named() {
    simulate(async {
        let (groups, sets, _) = three(None).await;
        let refused = groups[0].initialize(&BTreeSet::from([2, 3])).await;
        assert_eq!(refused, Err(GroupError::NotAMember { group: GROUP, me: 1 }));
        groups[0].initialize(&BTreeSet::from([1, 2, 3])).await.unwrap();
        let leader = leader(&groups).await;
        let to = groups.iter().position(|group| !group.is_leader()).unwrap();
        let (follower, to) = (&groups[to], to as MemberId + 1);
        let known = leader.leader();
        assert_eq!(follower.propose(&b"x"[..]).await, Err(ProposeError::NotLeader { leader: known }));
        let (bytes, limit) = (MAX_ENTRY_BYTES + 1, MAX_ENTRY_BYTES);
        assert_eq!(leader.propose(vec![0; bytes]).await, Err(ProposeError::TooLarge { bytes, limit }));
        assert_eq!(leader.propose(vec![0; limit]).await.unwrap().response.len(), 8);

        let set = sets.lock().unwrap()[0].clone();
        let app = Recorder::open(Arc::new(MemDisk::new(FlushMode::Immediate).open()), Keeps::Nothing, Arc::default());
        let again = set.start(set.preset(GROUP), Box::new(app)).await.map(|_| ());
        assert_eq!(again, Err(GroupError::Running { group: GROUP }));

        let mut watch = follower.watch();
        assert_eq!(watch.changed().await.unwrap().leader, known);
        leader.transfer_leader(to).await.unwrap();
        while watch.changed().await.unwrap().leader != Some(to) {}
        leader.shutdown().await;
        assert_eq!(leader.propose(&b"x"[..]).await, Err(ProposeError::Stopped));
        assert_eq!(set.stop(GroupId::global(0, 0)).await, Err(GroupError::Unknown { group: GroupId::global(0, 0) }));
        set.stop_all().await;
        assert!(set.ids().is_empty());
    });
}
