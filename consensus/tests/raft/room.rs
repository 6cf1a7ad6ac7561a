//! An application that lacks room until its group runs: the start does not wait for what only comes after it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_consensus::app::{AppSnapshot, Application, LogPosition, RestoreRefused, Room};
use mesh30k_consensus::group::{GroupId, StoreId};
use mesh30k_consensus::raft::{Group, GroupSet, GroupSetConfig, accept_any_peer};
use mesh30k_consensus::storage::{FlushMode, KvStore, MemDisk};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use crate::recorder::{History, Keeps, Recorder};
use crate::sim::net::Net;

const GROUP: GroupId = GroupId::global(0, 0);
const START_MAX: Duration = Duration::from_secs(60);
const ENTRIES: usize = 8;

/// A recorder that takes an entry only while somebody else lets it.
struct Narrow {
    recorder: Recorder,
    has_room: Arc<AtomicBool>,
}

impl Application for Narrow {
    fn room(&self) -> Option<Room> {
        let has_room = Arc::clone(&self.has_room);
        Some(Arc::new(move || has_room.load(Ordering::Relaxed)))
    }

    fn apply(&mut self, position: LogPosition, entry: &[u8]) -> Vec<u8> {
        assert!(self.has_room.load(Ordering::Relaxed), "an entry came without room for it");
        self.recorder.apply(position, entry)
    }

    fn skip(&mut self, position: LogPosition) {
        self.recorder.skip(position);
    }

    fn durable_position(&self) -> Option<LogPosition> {
        self.recorder.durable_position()
    }

    fn snapshot(&mut self) -> io::Result<AppSnapshot> {
        self.recorder.snapshot()
    }

    fn restore(&mut self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        self.recorder.restore(position, bytes)
    }
}

struct Life {
    set: GroupSet<SimRuntime>,
    group: Group<SimRuntime>,
    applied: Arc<Mutex<Vec<Vec<u8>>>>,
    has_room: Arc<AtomicBool>,
}

/// A member whose state lags behind its log by more than it was ever given.
async fn start(disk: &MemDisk, has_room: bool) -> Life {
    let store: Arc<dyn KvStore> = Arc::new(disk.open());
    let history = Arc::new(Mutex::new(History::default()));
    let recorder = Recorder::open(Arc::clone(&store), Keeps::State { lag: usize::MAX }, history);
    let (applied, has_room) = (Arc::clone(&recorder.applied), Arc::new(AtomicBool::new(has_room)));
    let app = Narrow { recorder, has_room: Arc::clone(&has_room) };
    let (transport, check) = (Net::new(1).port(1), accept_any_peer());
    let set = GroupSet::new(GroupSetConfig { me: 1, store_id: StoreId([1; 32]), store, transport, check });
    let group = SimRuntime::timeout(START_MAX, set.start(set.preset(GROUP), Box::new(app))).await;
    let group = group.unwrap_or_else(|_| panic!("the group waits for room before it runs")).unwrap();
    Life { set, group, applied, has_room }
}

#[test]
fn a_start_does_not_wait_for_room_and_all_is_applied_again_once_there_is_some() {
    SimRuntime::with_seed(1).block_on(async {
        let disk = MemDisk::new(FlushMode::Immediate);
        let first = start(&disk, true).await;
        first.group.initialize(&[1].into()).await.unwrap();
        while !first.group.is_ready_leader() {
            SimRuntime::sleep(Duration::from_millis(10)).await;
        }
        for n in 0..ENTRIES {
            first.group.propose(vec![u8::try_from(n).unwrap(); 4]).await.unwrap();
        }
        let applied = first.applied.lock().unwrap().clone();
        assert_eq!(applied.len(), ENTRIES);
        first.set.stop_all().await;

        let second = start(&disk, false).await;
        SimRuntime::sleep(Duration::from_secs(5)).await;
        assert!(second.group.is_leader() && second.applied.lock().unwrap().is_empty(), "it leads, and waits");
        second.has_room.store(true, Ordering::Relaxed);
        while !second.group.is_ready_leader() {
            SimRuntime::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(*second.applied.lock().unwrap(), applied);
    });
}
