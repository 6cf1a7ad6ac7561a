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
    use std::path::{Path, PathBuf};
    use std::sync::mpsc::sync_channel;

    use mesh30k_consensus::storage::{
        RocksMemory, RocksStore, ScanLimit, StoreError, Table, WriteBatch, abort_on_fatal,
    };

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
        for keys in [[[1, 7], [1, 8], [1, 9], [2, 0]], [[2, 0], [1, 9], [1, 7], [1, 8]]] {
            let each: Vec<_> = keys.iter().map(|key| store.get(Table::State, key).unwrap()).collect();
            assert_eq!(store.get_many(Table::State, &keys.each_ref().map(<[u8; 2]>::as_slice)).unwrap(), each);
        }
        assert!(store.memory_bytes() < 32 << 20);
    }

    /// RocksDB writes the options it runs with into its folder; the cache is seen by what stays in it.
    #[test]
    fn a_database_takes_the_memory_it_is_given() {
        let cached_bytes = |block_cache_bytes: usize, memtable_bytes: usize| {
            let folder = tempfile::tempdir().unwrap();
            let memory = RocksMemory { block_cache_bytes, memtable_bytes };
            let store = RocksStore::open_with(folder.path(), memory, abort_on_fatal()).unwrap();
            let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap());
            let options =
                files.filter(|file| file.file_name().to_string_lossy().starts_with("OPTIONS-")).last().unwrap();
            let options = std::fs::read_to_string(options.path()).unwrap();
            assert!(options.contains(&format!("\n  write_buffer_size={memtable_bytes}\n")), "{options}");
            assert!(options.contains(&format!("\n  db_write_buffer_size={}\n", 3 * memtable_bytes)), "{options}");
            for i in 0..4_000_u32 {
                // Not compressible: the size on disk is what the cache has to hold.
                let value: Vec<u8> = (0..32_u32).flat_map(|j| blake(i * 32 + j)).collect();
                let mut batch = WriteBatch::new();
                batch.put(Table::State, i.to_be_bytes().to_vec(), value);
                store.write(&batch).unwrap();
            }
            drop(store);
            let store = RocksStore::open_with(folder.path(), memory, abort_on_fatal()).unwrap();
            let before = store.memory_bytes();
            let whole = store.scan(Table::State, &[], None, ScanLimit::entries(4_000)).unwrap();
            let grown = store.memory_bytes().saturating_sub(before);
            assert!(whole.len() == 4_000 && grown < 256 << 10, "a walk through the table left {grown} bytes");
            (0..4_000_u32).for_each(|i| assert!(store.get(Table::State, &i.to_be_bytes()).unwrap().is_some()));
            store.memory_bytes()
        };
        let (small, large) = (cached_bytes(256 << 10, 64 << 10), cached_bytes(16 << 20, 64 << 10));
        assert!(large >= 4 << 20, "everything read fits: {large}, small {small}");
        assert!(small <= 1 << 20, "a small cache stays small: {small}");
    }

    fn blake(seed: u32) -> [u8; 32] {
        *blake3::hash(&seed.to_be_bytes()).as_bytes()
    }

    #[test]
    fn damaged_files_are_called_corrupt() {
        let folder = tempfile::tempdir().unwrap();
        drop(RocksStore::open(folder.path(), abort_on_fatal()).unwrap());
        std::fs::write(folder.path().join("CURRENT"), b"nonsense").unwrap();
        let refused = RocksStore::open(folder.path(), abort_on_fatal()).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    }

    /// The files whose names begin or end so.
    fn files(folder: &Path, name: &str) -> Vec<PathBuf> {
        let all = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let fits = |path: &PathBuf| {
            let found = path.file_name().unwrap().to_string_lossy();
            found.starts_with(name) || found.ends_with(name)
        };
        all.filter(fits).collect()
    }

    fn is_whole(store: &RocksStore) -> bool {
        (0..400_u32).all(|i| store.get(Table::State, &i.to_be_bytes()).unwrap().is_some())
            && store.get(Table::Misc, b"last").unwrap().is_some()
    }

    #[test]
    fn without_any_one_of_its_files_a_database_does_not_start_and_with_it_again_it_does() {
        let (folder, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let memory = RocksMemory { block_cache_bytes: 256 << 10, memtable_bytes: 64 << 10 };
        let open = || RocksStore::open_with(folder.path(), memory, abort_on_fatal());
        let store = open().unwrap();
        for i in 0..400_u32 {
            let mut batch = WriteBatch::new();
            batch.put(Table::State, i.to_be_bytes().to_vec(), blake(i).repeat(32));
            store.write(&batch).unwrap();
        }
        let (tx, rx) = sync_channel(1);
        let mut batch = WriteBatch::new();
        batch.put(Table::Misc, b"last".to_vec(), vec![1]);
        store.write_durable(&batch, Box::new(move |r| tx.send(r).unwrap()));
        rx.recv().unwrap().unwrap();
        assert!(is_whole(&store));
        drop(store);
        for name in ["CURRENT", "MANIFEST-", ".sst", ".log"] {
            let taken = files(folder.path(), name);
            assert!(!taken.is_empty(), "there is no {name}");
            let to = |path: &PathBuf| aside.path().join(path.file_name().unwrap());
            taken.iter().for_each(|path| std::fs::rename(path, to(path)).unwrap());
            let refused = open().map(|_| ()).expect_err(name);
            assert!(matches!(refused, StoreError::Corrupt { .. } | StoreError::Io { .. }), "{name}: {refused:?}");
            assert!(!refused.to_string().is_empty());
            taken.iter().for_each(|path| std::fs::rename(to(path), path).unwrap());
            assert!(is_whole(&open().unwrap()), "{name} is back");
        }
    }
}
