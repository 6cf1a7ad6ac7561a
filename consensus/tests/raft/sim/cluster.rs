//! Members with disks that outlive them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_consensus::group::{GroupId, MemberId, StoreId};
use mesh30k_consensus::raft::{Durability, Group, GroupSet, GroupSetConfig, Retention, accept_any_peer};
use mesh30k_consensus::storage::{FlushMode, KvStore, MemDisk};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::net::Net;
use crate::recorder::{History, Keeps, Recorder};

pub const GROUP: GroupId = GroupId::global(0, 0);

/// What a crash takes with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// Unsynced writes, wherever the cut falls; the group waits for its fsyncs.
    PowerCut,
    /// Only the process; the group does not wait.
    Kill,
    /// Unsynced writes, although the group does not wait for its fsyncs: entries get lost, and the checks must say so.
    PowerCutUnsynced,
}

/// A process: its groups, the one under test, and what its application has applied.
type Running = (GroupSet<SimRuntime>, Group<SimRuntime>, Arc<Mutex<Vec<Vec<u8>>>>);

struct Member {
    disk: MemDisk,
    incarnation: u64,
    running: Option<Running>,
}

pub struct Cluster {
    pub net: Net,
    pub faults: Faults,
    keeps: Keeps,
    pub all: BTreeSet<MemberId>,
    members: BTreeMap<MemberId, Member>,
    pub history: Arc<Mutex<History>>,
    /// Who led each term.
    pub leaders: BTreeMap<u64, MemberId>,
    pub rng: ChaCha8Rng,
}

impl Cluster {
    pub async fn start(seed: u64, members: u64, faults: Faults, keeps: Keeps) -> Self {
        let all: BTreeSet<MemberId> = (1..=members).collect();
        let disk = || Member { disk: MemDisk::new(FlushMode::Manual), incarnation: 0, running: None };
        let mut cluster = Self {
            net: Net::new(seed ^ 0xb05),
            faults,
            keeps,
            members: all.iter().map(|member| (*member, disk())).collect(),
            all,
            history: Arc::default(),
            leaders: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
        };
        for member in cluster.all.clone() {
            cluster.restart(member).await;
        }
        cluster
    }

    pub async fn restart(&mut self, me: MemberId) {
        let seed = self.rng.random();
        let member = self.members.get_mut(&me).unwrap();
        if member.running.is_some() {
            return;
        }
        member.incarnation += 1;
        let store: Arc<dyn KvStore> = Arc::new(member.disk.open());
        SimRuntime::spawn(flusher(member.disk.clone(), Arc::clone(&store), seed));
        let app = Recorder::open(Arc::clone(&store), self.keeps, Arc::clone(&self.history));
        let applied = Arc::clone(&app.applied);
        let (transport, check) = (self.net.port(me), accept_any_peer());
        let set = GroupSet::new(GroupSetConfig { me, store_id: StoreId([me as u8; 32]), store, transport, check });
        let mut config = set.preset(GROUP);
        config.durability = match self.faults {
            Faults::PowerCut => Durability::Synced,
            Faults::Kill | Faults::PowerCutUnsynced => Durability::Unsynced,
        };
        // Small, so that members that were away need snapshots.
        config.retention = Retention { snapshot_every: 20, keep: 4, purge_batch: 4 };
        let group = set.start(config, Box::new(app)).await.unwrap();
        group.initialize(&self.all).await.unwrap();
        self.net.connect(me, member.incarnation, set.clone());
        member.running = Some((set, group, applied));
    }

    /// Returns how many written batches were lost; `None` if it was down already.
    pub async fn crash(&mut self, me: MemberId) -> Option<usize> {
        let member = self.members.get_mut(&me).unwrap();
        let (set, ..) = member.running.take()?;
        self.net.disconnect(me);
        let keep = match self.faults {
            Faults::PowerCut | Faults::PowerCutUnsynced => self.rng.random_range(0..=member.disk.unsynced_bytes()),
            Faults::Kill => usize::MAX,
        };
        let report = member.disk.crash(keep);
        set.end_all().await;
        Some(report.lost_batches)
    }

    /// The process is told to stop, and the others hear of it.
    pub async fn stop(&mut self, me: MemberId) {
        let Some((set, ..)) = self.members.get_mut(&me).unwrap().running.take() else { return };
        set.stop_all().await;
        self.net.disconnect(me);
    }

    pub fn group(&self, member: MemberId) -> Option<Group<SimRuntime>> {
        self.members[&member].running.as_ref().map(|(_, group, _)| group.clone())
    }

    pub fn applied(&self, member: MemberId) -> Vec<Vec<u8>> {
        self.members[&member].running.as_ref().map(|(.., applied)| applied.lock().unwrap().clone()).unwrap()
    }

    /// At most one leader a term, over all members and all time.
    pub fn check_leaders(&mut self) {
        for member in &self.all {
            let Some((_, group, _)) = &self.members[member].running else { continue };
            let now = group.leadership();
            if now.is_leader {
                let first = self.leaders.entry(now.term).or_insert(*member);
                assert_eq!(first, member, "two leaders in term {}", now.term);
            }
        }
    }
}

/// The disk's own pace: syncs a little after somebody asks, until the disk crashes.
async fn flusher(disk: MemDisk, store: Arc<dyn KvStore>, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    while store.get(mesh30k_consensus::storage::Table::Misc, b"").is_ok() {
        SimRuntime::sleep(Duration::from_micros(rng.random_range(200..4_000))).await;
        if disk.pending() > 0 && store.get(mesh30k_consensus::storage::Table::Misc, b"").is_ok() {
            disk.flush();
        }
    }
}
