//! The machines, their processes, and everything that goes wrong with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_chain::{SignedRestart, StoredBlock, Verdicts};
use mesh30k_consensus::finality::Mistake;
use mesh30k_consensus::finality::sign_file::MemorySignFile;
use mesh30k_consensus::group::StoreId;
use mesh30k_consensus::raft::{Durability, GroupSet, GroupSetConfig, Retention, accept_any_peer};
use mesh30k_consensus::storage::{FlushMode, KvStore, MemDisk, ScanLimit, Table};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::types::NodeId;
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Plan;
use super::ink::Ink;
use super::malice::Malice;
use super::net::Net;
use super::now_ms;
use super::observer::{Feed, Follower, OBSERVER};
use super::plant::Plant;
use super::process::{Clock, Machine, Process};
use super::truth::Truth;

pub const ACCOUNTS: u64 = 6;
/// Small, so that members that were away need snapshots.
const RETENTION: Retention = Retention { snapshot_every: 40, keep: 10, purge_batch: 5 };

/// What a clock may be off by, ms.
const HOUR_MS: i64 = 3_600_000;

/// What everybody shares.
#[derive(Clone)]
pub struct Common {
    pub genesis: Arc<Genesis>,
    pub net: Net,
    pub truth: Arc<Mutex<Truth>>,
    /// One memory of checked signatures for all: the simulation's time is better spent.
    pub verdicts: Arc<Verdicts>,
    pub mistake: Option<Mistake>,
    pub retention: Retention,
    /// Who lies, and how.
    pub malice: Arc<Mutex<BTreeMap<NodeId, Malice>>>,
    /// The operators' order, for whoever has to obey without being stopped: the observer.
    pub order: Arc<Mutex<Option<SignedRestart>>>,
    pub(super) processes: Arc<Mutex<BTreeMap<NodeId, Process>>>,
    feed: Feed,
}

impl Common {
    pub fn process(&self, node: NodeId) -> Option<Process> {
        self.processes.lock().unwrap().get(&node).filter(|process| process.is_up()).cloned()
    }

    /// The validators without this one.
    pub fn others(&self, me: NodeId) -> Vec<NodeId> {
        self.genesis.validators.0.iter().map(|seat| seat.node).filter(|node| *node != me).collect()
    }

    /// From now on this validator lies.
    pub fn corrupt(&self, node: NodeId, malice: Malice) {
        self.malice.lock().unwrap().insert(node, malice);
        let mut truth = self.truth.lock().unwrap();
        truth.liars.insert(node);
        truth.tell(format!("{node} turns malicious: {malice:?}"));
    }

    /// Whether this validator knows that it has no seat any more.
    pub fn has_left(&self, node: NodeId) -> bool {
        self.processes.lock().unwrap().get(&node).is_some_and(Process::has_left)
    }

    pub fn is_decayed(&self, node: NodeId) -> bool {
        self.truth.lock().unwrap().decayed.contains(&node)
    }

    pub fn malice_of(&self, node: NodeId) -> Option<Malice> {
        self.malice.lock().unwrap().get(&node).copied()
    }

    pub fn announce(&self, from: NodeId, stored: &StoredBlock) {
        let (block, certificate) = (stored.block.clone(), stored.certificate.clone());
        let feed = Arc::clone(&self.feed);
        self.net.send(from.0, OBSERVER.0, move || {
            feed.lock().unwrap().push_back((from, block.clone(), certificate.clone()));
        });
    }
}

pub(super) struct Host {
    pub(super) disk: MemDisk,
    pub(super) ink: MemorySignFile,
    clock: Clock,
    incarnation: u64,
    stalled_until: Arc<Mutex<u64>>,
    /// Its disk decayed: it does not start any more, or must not be believed.
    decayed: bool,
    pub(super) refuses: bool,
}

pub struct World {
    pub common: Common,
    pub plan: Plan,
    pub rng: ChaCha8Rng,
    pub(super) hosts: BTreeMap<NodeId, Host>,
    /// Clocks that were an hour ahead at the same time, at most.
    pub most_fast: usize,
    /// Faults by name.
    pub faults: BTreeMap<&'static str, u64>,
}

impl World {
    pub async fn start(seed: u64, plan: Plan) -> Self {
        let genesis = Arc::new(super::genesis::genesis(plan.validators(), ACCOUNTS));
        let honest = !plan.lying_disks;
        let truth = Truth::new(genesis.context(), genesis.validators.clone(), honest);
        let common = Common {
            net: Net::new(seed ^ 0x6e65_7400),
            truth: Arc::new(Mutex::new(truth)),
            verdicts: Arc::default(),
            mistake: plan.plant.and_then(Plant::mistake),
            retention: RETENTION,
            malice: Arc::default(),
            order: Arc::default(),
            processes: Arc::default(),
            feed: Feed::default(),
            genesis,
        };
        let host = || Host {
            disk: MemDisk::new(FlushMode::Manual),
            ink: MemorySignFile::new(),
            clock: Clock::default(),
            incarnation: 0,
            stalled_until: Arc::default(),
            decayed: false,
            refuses: false,
        };
        let hosts = common.others(NodeId(0)).into_iter().map(|node| (node, host())).collect();
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut world = Self { common, plan, rng, hosts, most_fast: 0, faults: BTreeMap::new() };
        for node in world.nodes() {
            world.restart(node).await;
        }
        SimRuntime::spawn(Follower::new(world.common.clone(), Arc::clone(&world.common.feed)).run());
        world
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.hosts.keys().copied().collect()
    }

    /// Validators whose disks can be believed.
    pub fn sound(&self) -> Vec<NodeId> {
        let sound = self.hosts.iter().filter(|(node, host)| !host.decayed && !self.common.has_left(**node));
        sound.map(|(node, _)| *node).collect()
    }

    pub fn tell(&self, line: impl Into<String>) {
        self.common.truth.lock().unwrap().tell(line);
    }

    fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub async fn restart(&mut self, me: NodeId) {
        let seed = self.rng.random();
        let Some(host) = self.hosts.get_mut(&me) else { return };
        if self.common.process(me).is_some() || host.refuses {
            return;
        }
        host.incarnation += 1;
        let kv: Arc<dyn KvStore> = Arc::new(host.disk.open());
        SimRuntime::spawn(flusher(host.disk.clone(), Arc::clone(&kv), Arc::clone(&host.stalled_until), seed));
        let set = GroupSet::new(GroupSetConfig {
            me: me.0,
            store_id: StoreId([u8::try_from(me.0).unwrap(); 32]),
            store: Arc::clone(&kv),
            transport: self.common.net.port(me.0),
            check: accept_any_peer(),
        });
        let ink = match self.plan.plant {
            Some(Plant::VoteWithoutSignLog) => Ink::Forgetful,
            _ => Ink::Kept(host.ink.clone()),
        };
        let durability = match self.plan.plant {
            Some(Plant::AcknowledgeBeforeSync) => Durability::Unsynced,
            _ => Durability::Synced,
        };
        let machine = Machine { me, kv, ink, clock: host.clock.clone(), set: set.clone(), durability };
        match Process::start(machine, self.common.clone()).await {
            Ok(process) => {
                self.common.net.connect(me.0, host.incarnation, set);
                self.common.processes.lock().unwrap().insert(me, process);
                self.common.truth.lock().unwrap().tell(format!("{me} starts"));
            }
            Err(reason) => {
                // Only decay stops a start; then an operator has to look.
                let mut truth = self.common.truth.lock().unwrap();
                truth.tell(format!("{me} refuses to start: {reason}"));
                if !host.decayed && truth.honest_disks {
                    truth.breach(format!("a sound disk starts: {me} refuses with {reason}"));
                }
                (host.refuses, host.decayed) = (true, true);
            }
        }
    }

    /// The process ends; the disk keeps what was synced and some of the rest.
    ///
    /// Whoever has no seat any more only serves what it has. What happens to such a node is not this test's.
    pub async fn crash(&mut self, me: NodeId) {
        if self.common.has_left(me) {
            return;
        }
        let process = self.common.processes.lock().unwrap().remove(&me);
        let Some(process) = process else { return };
        process.ended.store(true, std::sync::atomic::Ordering::Relaxed);
        self.common.net.disconnect(me.0);
        let Some(host) = self.hosts.get_mut(&me) else { return };
        host.disk.fill(false);
        let keep = self.rng.random_range(0..=host.disk.unsynced_bytes());
        let report = host.disk.crash(keep);
        host.ink.lose_unsynced();
        self.tell(format!("{me} crashes: {} batches lost, {} kept", report.lost_batches, report.kept_batches));
        self.count("crash");
        process.set.end_all().await;
    }

    /// Processes that ended by themselves (their storage failed) are swept away.
    pub async fn sweep(&mut self) {
        for node in self.nodes() {
            let ended = self.common.processes.lock().unwrap().get(&node).is_some_and(|process| !process.is_up());
            if ended {
                self.tell(format!("{node} ended by itself"));
                let over = self.common.processes.lock().unwrap().get(&node).is_some_and(Process::is_epoch_over);
                // A new process takes over in the next epoch, mostly without a crash in between.
                if over && self.rng.random_range(0..4) > 0 {
                    self.hosts[&node].disk.flush();
                }
                self.crash(node).await;
            }
        }
    }

    fn pick(&mut self) -> NodeId {
        let nodes: Vec<NodeId> = self.nodes().into_iter().filter(|node| !self.common.has_left(*node)).collect();
        nodes[self.rng.random_range(0..nodes.len())]
    }

    /// What goes wrong, or right again, in one step.
    pub async fn misfortune(&mut self) {
        let node = self.pick();
        match self.rng.random_range(0..1_000) {
            0..25 => self.crash(node).await,
            // The building loses power.
            25..30 => {
                for node in self.nodes() {
                    self.crash(node).await;
                }
            }
            30..200 => self.restart(node).await,
            200..230 => self.cut_something(node),
            230..310 => self.common.net.heal(),
            310..330 => self.bad_weather(),
            330..370 => self.common.net.set_weather(super::net::Weather::FAIR),
            370..380 => self.pause(node),
            380..400 => self.jump_clock(node),
            400..420 => self.disk_fault(node).await,
            420..425 => self.decay(node).await,
            425..440 => self.hand_over(node).await,
            _ => {}
        }
    }

    fn cut_something(&mut self, node: NodeId) {
        let (kind, nodes) = (self.rng.random_range(0..3), self.nodes());
        let mut inside = vec![node];
        if self.rng.random() {
            inside.push(self.pick());
        }
        self.count("partition");
        self.tell(format!(
            "the network parts {inside:?} from the rest ({})",
            ["both ways", "one way", "one pair"][kind]
        ));
        for a in &inside {
            for b in nodes.iter().filter(|b| !inside.contains(b)) {
                self.common.net.cut(a.0, b.0);
                if kind == 0 {
                    self.common.net.cut(b.0, a.0);
                }
                if kind == 2 {
                    return;
                }
            }
        }
    }

    fn bad_weather(&mut self) {
        let most = [40_000, 400_000, 2_000_000][self.rng.random_range(0..3)];
        let weather = super::net::Weather {
            loss_ppm: self.rng.random_range(0..200_000),
            repeat_ppm: self.rng.random_range(0..200_000),
            delay_us: 100..most,
        };
        self.count("weather");
        self.tell(format!("the network loses, repeats and delays: {weather:?}"));
        self.common.net.set_weather(weather);
    }

    fn pause(&mut self, node: NodeId) {
        let ms = self.rng.random_range(500..6_000);
        self.count("pause");
        self.tell(format!("{node} stands still for {ms} ms"));
        self.common.net.freeze(node.0, now_ms() + ms);
    }

    fn jump_clock(&mut self, node: NodeId) {
        let error = match self.rng.random_range(0..6) {
            0 => -HOUR_MS,
            1 => -self.rng.random_range(1..60_000),
            2 => self.rng.random_range(1..4_000),
            3 if self.plan.hour_ahead => HOUR_MS,
            _ => 0,
        };
        self.count("clock");
        self.tell(format!("the clock of {node} is off by {error} ms"));
        self.hosts[&node].clock.set_error_ms(error);
        let fast = self.hosts.values().filter(|host| host.clock.error_ms() >= HOUR_MS).count();
        self.most_fast = self.most_fast.max(fast);
    }

    async fn disk_fault(&mut self, node: NodeId) {
        let kind = self.rng.random_range(0..3);
        match kind {
            0 => {
                let ms = self.rng.random_range(100..5_000);
                self.count("stall");
                self.tell(format!("the disk of {node} stalls for {ms} ms"));
                *self.hosts[&node].stalled_until.lock().unwrap() = now_ms() + ms;
            }
            1 => {
                self.count("full disk");
                self.tell(format!("the disk of {node} is full"));
                self.hosts[&node].disk.fill(true);
                SimRuntime::sleep(Duration::from_millis(self.rng.random_range(5..50))).await;
                self.crash(node).await;
                self.hosts[&node].disk.fill(false);
            }
            _ => {
                self.count("fsync error");
                self.tell(format!("an fsync of {node} fails"));
                self.hosts[&node].disk.fail_flush();
                self.crash(node).await;
            }
        }
    }

    /// One bit on one disk, once in a seed: as many as may fail for good.
    async fn decay(&mut self, node: NodeId) {
        if self.plan.lying_disks || self.hosts.values().any(|host| host.decayed) {
            return;
        }
        self.crash(node).await;
        let Some(host) = self.hosts.get_mut(&node) else { return };
        let table = [Table::RaftLog, Table::RaftMeta, Table::State, Table::Blocks][self.rng.random_range(0..4)];
        let keys = host.disk.open().scan(table, &[], None, ScanLimit::entries(usize::MAX)).unwrap_or_default();
        if keys.is_empty() {
            return;
        }
        let (key, value) = &keys[self.rng.random_range(0..keys.len())];
        if value.is_empty() {
            return;
        }
        let bit = self.rng.random_range(0..value.len() * 8);
        host.decayed = host.disk.flip_bit(table, key, bit);
        self.common.truth.lock().unwrap().decayed.insert(node);
        self.count("bit flip");
        self.tell(format!("a bit flips in table {} of {node}", table.name()));
    }

    async fn hand_over(&mut self, node: NodeId) {
        let to = self.pick();
        if let Some(process) = self.common.process(node).filter(|process| process.group.is_leader()) {
            process.group.transfer_leader(to.0).await.ok();
        }
    }

    /// No write succeeds on this disk any more, or they do again.
    pub fn fill(&self, node: NodeId, full: bool) {
        self.hosts[&node].disk.fill(full);
        self.tell(format!("the disk of {node} {}", if full { "is full" } else { "has room" }));
    }

    /// All disks tell lies about syncs from now on, or the truth.
    pub fn lie(&self, lies: bool) {
        for host in self.hosts.values() {
            host.disk.lie_about_syncs(lies);
        }
    }

    /// An hour passes in which nothing happens: all clocks say so. Nothing else in the simulation looks at the time of day.
    pub fn pass_an_hour(&mut self) {
        self.tell("an hour passes");
        self.count("hour");
        for host in self.hosts.values() {
            host.clock.set_error_ms(HOUR_MS);
        }
    }

    /// Everything is well again.
    pub async fn heal(&mut self) {
        self.tell("everything heals");
        self.common.net.heal();
        self.common.net.set_weather(super::net::Weather::FAIR);
        for host in self.hosts.values() {
            host.clock.set_error_ms(0);
            host.disk.fill(false);
            *host.stalled_until.lock().unwrap() = 0;
        }
        self.sweep().await;
        for node in self.nodes() {
            self.restart(node).await;
        }
    }
}

/// The disk's own pace: syncs a little after somebody asks, until the disk crashes.
async fn flusher(disk: MemDisk, store: Arc<dyn KvStore>, stalled_until: Arc<Mutex<u64>>, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    while store.get(Table::Misc, b"").is_ok() {
        SimRuntime::sleep(Duration::from_micros(rng.random_range(200..4_000))).await;
        let stalled = *stalled_until.lock().unwrap() > now_ms();
        if !stalled && disk.pending() > 0 && store.get(Table::Misc, b"").is_ok() {
            disk.flush();
        }
    }
}
