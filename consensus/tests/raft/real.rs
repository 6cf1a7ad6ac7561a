//! The real runtime and the real database: three members in one process, stopped and started again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh30k_consensus::group::{GroupId, MemberId, StoreId};
use mesh30k_consensus::raft::{Group, GroupSet, GroupSetConfig, ProposeError, RaftConfig, accept_any_peer};
use mesh30k_consensus::storage::{RocksStore, StoreError, abort_on_fatal};
use openraft::impls::TokioRuntime;
use openraft::type_config::{AsyncRuntime, TypeConfigExt};

use crate::recorder::{Keeps, Recorder};
use crate::wire::{Sets, Wire};

const GROUPS: [GroupId; 2] = [GroupId::global(0, 0), GroupId::sector(1, 0, 0)];
const ENTRIES: u64 = 200;

/// Members, and the wire between them.
type Life = (Vec<GroupSet<TokioRuntime>>, Sets<TokioRuntime>);

async fn start(folder: &Path) -> Life {
    let sets: Sets<TokioRuntime> = Arc::default();
    let mut all = Vec::new();
    for me in 1..=3 {
        let store = open(&folder.join(me.to_string())).await;
        let transport = Arc::new(Wire { sets: Arc::clone(&sets), me, last: Arc::default() });
        let (store, store_id, check) = (Arc::new(store), StoreId([me as u8; 32]), accept_any_peer());
        all.push((GroupSet::new(GroupSetConfig { me, store_id, store: store.clone(), transport, check }), store));
    }
    *sets.lock().unwrap() = all.iter().map(|(set, _)| set.clone()).collect();
    for (set, store) in &all {
        for id in GROUPS {
            // Both groups' applications would share a key; one of them keeps nothing.
            let keeps = if id == GROUPS[0] { Keeps::State { lag: 3 } } else { Keeps::Nothing };
            let app = Recorder::open(store.clone(), keeps, Arc::default());
            let group = set.start(set.preset(id), Box::new(app)).await.unwrap();
            group.initialize(&BTreeSet::from([1, 2, 3])).await.unwrap();
        }
    }
    (all.into_iter().map(|(set, _)| set).collect(), sets)
}

async fn leader(sets: &[GroupSet<TokioRuntime>], id: GroupId) -> (MemberId, Group<TokioRuntime>) {
    let mut watch = sets[0].get(id).unwrap().watch();
    loop {
        let seen = watch.changed().await.unwrap();
        if let Some(leader) = seen.leader {
            return (leader, sets[leader as usize - 1].get(id).unwrap());
        }
    }
}

/// Sees one entry ordered. A leader that was deposed has stored nothing, so whoever leads now is asked.
async fn propose(sets: &[GroupSet<TokioRuntime>], id: GroupId, entry: u64) -> u64 {
    loop {
        let (_, group) = leader(sets, id).await;
        match group.propose(entry.to_be_bytes().to_vec()).await {
            Ok(done) => return u64::from_be_bytes(done.response[..].try_into().unwrap()),
            Err(ProposeError::NotLeader { .. }) => TokioRuntime::sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn propose_all(sets: &[GroupSet<TokioRuntime>], id: GroupId) -> u64 {
    let counts = futures::future::join_all((0..ENTRIES).map(|entry| propose(sets, id, entry))).await;
    counts.into_iter().max().unwrap()
}

/// openraft's tasks end a little after the group has, and the lock is free once the last of them let go of the database and it is
/// closed.
async fn open(path: &Path) -> RocksStore {
    for _ in 0..1_000 {
        match RocksStore::open(path, abort_on_fatal()) {
            Err(StoreError::Locked { .. }) => TokioRuntime::sleep(Duration::from_millis(10)).await,
            opened => return opened.unwrap(),
        }
    }
    panic!("a stopped group still holds its database");
}

#[test]
fn groups_share_a_database_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    RaftConfig::<TokioRuntime>::run(async {
        for life in 1..=2 {
            let (sets, wire) = start(folder.path()).await;
            for id in GROUPS {
                let count = TokioRuntime::timeout(Duration::from_secs(60), propose_all(&sets, id)).await.unwrap();
                assert_eq!(count, life * ENTRIES, "{id} remembers its earlier life");
            }
            for set in &sets {
                set.stop_all().await;
            }
            wire.lock().unwrap().clear();
            drop(sets);
        }
    });
}
