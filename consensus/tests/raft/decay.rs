//! One bit of one record beside the log: the group does not start, says why, and nothing panics.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_consensus::group::{GroupId, StoreId};
use mesh30k_consensus::raft::{Group, GroupError, GroupSet, GroupSetConfig, LogError, Retention, accept_any_peer};
use mesh30k_consensus::storage::{FlushMode, KvStore, MemDisk, ScanLimit, Table};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use crate::recorder::{History, Keeps, Recorder};
use crate::sim::net::Net;

const GROUP: GroupId = GroupId::global(0, 0);

async fn start(disk: &MemDisk) -> Result<(GroupSet<SimRuntime>, Group<SimRuntime>), GroupError> {
    let store: Arc<dyn KvStore> = Arc::new(disk.open());
    let app = Recorder::open(Arc::clone(&store), Keeps::State { lag: 0 }, Arc::new(Mutex::new(History::default())));
    let (transport, check) = (Net::new(1).port(1), accept_any_peer());
    let set = GroupSet::new(GroupSetConfig { me: 1, store_id: StoreId([1; 32]), store, transport, check });
    let mut config = set.preset(GROUP);
    config.retention = Retention { snapshot_every: 4, keep: 2, purge_batch: 1 };
    let group = set.start(config, Box::new(app)).await?;
    Ok((set, group))
}

/// A life long enough to leave every kind of record: head, vote, committed position, memberships, snapshot and its pieces.
async fn live(disk: &MemDisk) {
    let (set, group) = start(disk).await.unwrap();
    group.initialize(&[1].into()).await.unwrap();
    while !group.is_ready_leader() {
        SimRuntime::sleep(Duration::from_millis(10)).await;
    }
    for n in 0..20_u8 {
        group.propose(vec![n; 4]).await.unwrap();
    }
    group.snapshot_now().await.unwrap();
    SimRuntime::sleep(Duration::from_secs(1)).await;
    set.stop_all().await;
}

#[test]
fn any_flipped_bit_of_raft_meta_refuses_the_start() {
    SimRuntime::with_seed(1).block_on(async {
        let disk = MemDisk::new(FlushMode::Immediate);
        live(&disk).await;
        let records = disk.open().scan(Table::RaftMeta, &[], None, ScanLimit::entries(usize::MAX)).unwrap();
        let tags: Vec<u8> = records.iter().map(|(key, _)| key[GroupId::KEY_BYTES]).collect();
        assert_eq!(tags, [b'c', b'h', b'm', b'p', b's', b'v']);
        for (key, record) in &records {
            for bit in 0..record.len() * 8 {
                assert!(disk.flip_bit(Table::RaftMeta, key, bit));
                let refused = start(&disk).await.map(|_| ()).unwrap_err();
                let GroupError::Log { source, .. } = &refused else { panic!("bit {bit} of {key:?}: {refused:?}") };
                assert!(matches!(source, LogError::DamagedMeta { table: "raft_meta", .. }), "{source}");
                assert!(source.to_string().contains("join as a new node"), "{source}");
                assert!(disk.flip_bit(Table::RaftMeta, key, bit));
            }
        }
        start(&disk).await.unwrap();
    });
}
