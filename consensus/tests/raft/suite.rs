//! openraft's own storage suite, on the twin and on RocksDB.

use std::sync::{Arc, Mutex};

use mesh30k_consensus::group::GroupId;
use mesh30k_consensus::raft::{Durability, LogStore, RaftConfig, RaftLog, StateMachine};
use mesh30k_consensus::storage::{FlushMode, KvStore, MemDisk};
use openraft::StorageError;
use openraft::impls::TokioRuntime;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::{AsyncRuntime, TypeConfigExt};

use crate::recorder::{History, Keeps, Recorder};

const GROUP: GroupId = GroupId::global(0, 0);

fn build<RT: AsyncRuntime>(kv: Arc<dyn KvStore>, keeps: Keeps) -> (LogStore<RT>, StateMachine<RT>) {
    let log = RaftLog::open(Arc::clone(&kv), GROUP, Durability::Synced).unwrap();
    let app = Recorder::open(Arc::clone(&kv), keeps, Arc::new(Mutex::new(History::default()))).with_gaps();
    (LogStore::new(Arc::new(log)), StateMachine::open(kv, GROUP, Box::new(app)).unwrap())
}

struct OnTwin(Keeps);

impl<RT: AsyncRuntime> StoreBuilder<RaftConfig<RT>, LogStore<RT>, StateMachine<RT>> for OnTwin {
    async fn build(&self) -> Result<((), LogStore<RT>, StateMachine<RT>), StorageError<RaftConfig<RT>>> {
        let (log, machine) = build(Arc::new(MemDisk::new(FlushMode::Immediate).open()), self.0);
        Ok(((), log, machine))
    }
}

#[test]
fn twin_passes_openrafts_suite() {
    for keeps in [Keeps::State { lag: 0 }, Keeps::Nothing] {
        RaftConfig::<TokioRuntime>::run(Suite::<RaftConfig<TokioRuntime>, _, _, _, _>::test_all(OnTwin(keeps)))
            .unwrap();
    }
}

#[cfg(feature = "rocksdb")]
mod rocks {
    use std::sync::mpsc::sync_channel;

    use mesh30k_consensus::storage::{RocksStore, ScanLimit, StoreError, Table, WriteBatch, abort_on_fatal};

    use super::*;

    struct OnRocks;

    type Builder<RT> = (tempfile::TempDir, LogStore<RT>, StateMachine<RT>);

    impl<RT: AsyncRuntime> StoreBuilder<RaftConfig<RT>, LogStore<RT>, StateMachine<RT>, tempfile::TempDir> for OnRocks {
        async fn build(&self) -> Result<Builder<RT>, StorageError<RaftConfig<RT>>> {
            let folder = tempfile::tempdir().unwrap();
            let store = RocksStore::open(folder.path(), abort_on_fatal()).unwrap();
            let (log, machine) = build(Arc::new(store), Keeps::State { lag: 0 });
            Ok((folder, log, machine))
        }
    }

    #[test]
    fn rocksdb_passes_openrafts_suite() {
        RaftConfig::<TokioRuntime>::run(Suite::<RaftConfig<TokioRuntime>, _, _, _, _>::test_all(OnRocks)).unwrap();
    }

    #[test]
    fn a_database_is_locked_survives_and_scans() {
        let folder = tempfile::tempdir().unwrap();
        let store = RocksStore::open(folder.path(), abort_on_fatal()).unwrap();
        let second = RocksStore::open(folder.path(), abort_on_fatal()).map(|_| ());
        assert_eq!(second, Err(StoreError::Locked { path: folder.path().display().to_string() }));

        let mut batch = WriteBatch::new();
        for i in 0..20_u8 {
            batch.put(Table::State, vec![1, i], vec![i]).put(Table::Blocks, vec![i], vec![]);
        }
        let (tx, rx) = sync_channel(1);
        store.write_durable(&batch, Box::new(move |r| tx.send(r).unwrap()));
        rx.recv().unwrap().unwrap();
        let found = store.scan_prefix(Table::State, &[1], &[1, 5], ScanLimit::entries(3)).unwrap();
        assert_eq!(found, [5, 6, 7].map(|i| (vec![1, i], vec![i])));
        assert_eq!(store.last(Table::State, &[1], Some(&[1, 9])).unwrap(), Some((vec![1, 8], vec![8])));
        let mut batch = WriteBatch::new();
        batch.delete(Table::State, vec![1, 8]);
        store.write(&batch).unwrap();
        drop(store);

        let store = RocksStore::open(folder.path(), abort_on_fatal()).unwrap();
        assert_eq!(store.get(Table::State, &[1, 8]).unwrap(), None);
        assert_eq!(store.get(Table::State, &[1, 9]).unwrap(), Some(vec![9]));
        assert!(store.memory_bytes() < 32 << 20);
    }

    #[test]
    fn damaged_files_are_called_corrupt() {
        let folder = tempfile::tempdir().unwrap();
        drop(RocksStore::open(folder.path(), abort_on_fatal()).unwrap());
        std::fs::write(folder.path().join("CURRENT"), b"nonsense").unwrap();
        let refused = RocksStore::open(folder.path(), abort_on_fatal()).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    }
}
