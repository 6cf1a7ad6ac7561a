//! A mesh that works, for tests that do one thing to it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_consensus::finality::Evidence;
use mesh30k_ledger::types::NodeId;
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::client::{Client, Closing, Logs};
use super::world::{ACCOUNTS, World};
use super::{Plan, now_ms};

/// Seeds of each test.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;
/// Virtual time of an attack, ms.
const ATTACK_MS: u64 = 4_000;

/// Four validators that work and clients that pay; what happens to them is the test's.
pub struct Scene {
    pub world: World,
    pub logs: Arc<Mutex<Logs>>,
    pub leader: NodeId,
}

impl Scene {
    /// Starts them; says who leads.
    pub async fn new(seed: u64) -> Self {
        // Order is a lie in some attacks: what Raft promises is not checked, only what certificates do.
        Self::with(seed, Plan { lying_disks: true, hour_ahead: false, takes_seat: false, plant: None }).await
    }

    pub async fn with(seed: u64, plan: Plan) -> Self {
        let world = World::start(seed, plan).await;
        let (logs, closing) = (Arc::new(Mutex::new(Logs::default())), Closing::default());
        for n in 0..ACCOUNTS {
            let client = Client::new(seed ^ n, n, world.common.clone(), Arc::clone(&logs), closing.clone());
            SimRuntime::spawn(client.run());
        }
        let mut scene = Self { world, logs, leader: NodeId(0) };
        scene.wait_for(10_000, |scene| scene.top() >= 5).await;
        let leads = |node: &NodeId| scene.world.common.process(*node).is_some_and(|one| one.group.is_ready_leader());
        scene.leader = scene.world.nodes().into_iter().find(leads).unwrap();
        scene
    }

    pub fn top(&self) -> u64 {
        self.world.common.truth.lock().unwrap().top().0
    }

    pub async fn wait_for(&self, most_ms: u64, done: impl Fn(&Self) -> bool) {
        let since = now_ms();
        while !done(self) {
            assert!(now_ms() < since + most_ms, "not within {most_ms} ms: {}", self.told());
            SimRuntime::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn attack(&self) {
        SimRuntime::sleep(Duration::from_millis(ATTACK_MS)).await;
    }

    pub fn told(&self) -> String {
        let truth = self.world.common.truth.lock().unwrap();
        truth.story.iter().map(|(at, line)| format!("{at:>7} ms  {line}\n")).collect()
    }

    pub fn honest(&self) -> Vec<NodeId> {
        let liars = self.world.common.truth.lock().unwrap().liars.clone();
        self.world.nodes().into_iter().filter(|node| !liars.contains(node)).collect()
    }

    /// Whom the evidence of honest validators names.
    pub fn named(&self) -> BTreeSet<NodeId> {
        let truth = self.world.common.truth.lock().unwrap();
        let (set, context) = (&truth.validators, &truth.context);
        let honest = truth.evidence.iter().filter(|(node, _)| !truth.liars.contains(node));
        let findings = honest.map(|(_, evidence)| evidence.verify(set, context).expect("reported evidence checks"));
        findings.flat_map(|finding| finding.culprits).collect()
    }

    pub fn has_evidence(&self, kind: impl Fn(&Evidence) -> bool) -> bool {
        self.world.common.truth.lock().unwrap().evidence.iter().any(|(_, one)| kind(one))
    }

    /// Holds in every attack: no breach, nobody honest is named.
    pub fn check(&self) {
        assert_eq!(self.world.common.truth.lock().unwrap().breaches, Vec::<String>::new(), "{}", self.told());
        let honest: BTreeSet<NodeId> = self.honest().into_iter().collect();
        assert!(self.named().is_disjoint(&honest), "{:?} are named", self.named());
    }

    pub fn halted(&self) -> Vec<NodeId> {
        self.world.common.truth.lock().unwrap().halts.keys().copied().collect()
    }

    /// New finals come although somebody lies.
    pub async fn goes_on(&self) {
        let before = self.top();
        self.wait_for(20_000, |scene| scene.top() >= before + 3).await;
        assert_eq!(self.halted(), [], "{}", self.told());
    }
}

pub fn each_seed<F: Future<Output = ()>>(act: impl Fn(u64) -> F) {
    for seed in SEEDS {
        SimRuntime::with_seed(seed).block_on(act(seed));
    }
}
