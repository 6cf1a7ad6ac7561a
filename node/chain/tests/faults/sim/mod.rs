//! The whole stack under one seed: real openraft on its simulated runtime, our log on a disk in memory, the finality layer and
//! the real ledger, with clients that keep their own books.
//!
//! Virtual time, one thread, every choice from the seed: the same seed is the same story.

pub mod checks;
pub mod client;
pub mod genesis;
pub mod ink;
pub mod linear;
pub mod malice;
#[path = "../../../../../consensus/tests/raft/sim/net.rs"]
pub mod net;
pub mod observer;
pub mod panics;
pub mod plant;
pub mod process;
pub mod recovery;
pub mod scene;
pub mod seat;
pub mod truth;
pub mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use rand::Rng;

use client::{Client, Closing, Logs};
pub use net::now_ms;
use plant::Plant;
use world::{ACCOUNTS, World};

/// Steps of misfortune, and how long one takes.
const STEPS: u64 = 160;
const STEP: Duration = Duration::from_millis(50);
/// Everything has to be settled so long after the healing, ms of virtual time.
pub const SETTLE_MS: u64 = 30_000;

/// What a seed is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Disks say that they synced and forget it at the next power cut. Nothing ordered is safe then, and the chain may
    /// stand still; two finals are still forbidden.
    pub lying_disks: bool,
    /// Clocks may jump an hour ahead.
    pub hour_ahead: bool,
    /// There are five validators, and a vote takes the seat of the last of them while everything goes wrong.
    pub takes_seat: bool,
    pub plant: Option<Plant>,
}

impl Plan {
    /// One seed in eight has lying disks, one in sixteen clocks that jump an hour ahead, one in four loses a seat by vote.
    pub const fn of(seed: u64) -> Self {
        Self { lying_disks: seed % 8 == 7, hour_ahead: seed % 16 == 3, takes_seat: seed % 4 == 1, plant: None }
    }

    /// Where it begins with five validators, four are left after the vote.
    pub const fn validators(&self) -> u64 {
        if self.takes_seat { 5 } else { 4 }
    }
}

/// How a seed ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub seed: u64,
    pub breaches: Vec<String>,
    pub height: u64,
    pub paid: u64,
    pub attempts: u64,
    pub looks: u64,
    pub acknowledged: u64,
    pub terms: u64,
    pub noops: u64,
    pub halts: u64,
    pub carried: u64,
    pub virtual_ms: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub story: Vec<(u64, String)>,
}

/// Lives one seed.
pub fn run(seed: u64, plan: Plan) -> Outcome {
    let panics = panics::so_far();
    let mut outcome = SimRuntime::with_seed(seed).block_on(live(seed, plan));
    // A task that panics ends alone; the simulation would go on without it.
    if panics::so_far() > panics {
        outcome.breaches.push(format!("nothing panics: {} did", panics::so_far() - panics));
    }
    outcome
}

async fn live(seed: u64, plan: Plan) -> Outcome {
    let mut world = World::start(seed, plan).await;
    let (logs, closing) = (Arc::new(Mutex::new(Logs::default())), Closing::default());
    // Two devices share the first accounts.
    for n in 0..ACCOUNTS + 2 {
        let (common, logs) = (world.common.clone(), Arc::clone(&logs));
        let client = Client::new(world.rng.random(), n % ACCOUNTS, common, logs, closing.clone());
        SimRuntime::spawn(client.run());
    }
    if plan.takes_seat {
        SimRuntime::spawn(seat::take(world.common.clone()));
    }
    if plan.lying_disks {
        world.lie(true);
    }
    for _ in 0..STEPS {
        world.sweep().await;
        world.misfortune().await;
        SimRuntime::sleep(STEP).await;
    }
    world.lie(false);
    world.heal().await;
    closing.close();
    checks::settle(&mut world, &logs).await;
    checks::verdict(&world, &logs.lock().unwrap());
    outcome(seed, &world, &logs.lock().unwrap())
}

fn outcome(seed: u64, world: &World, logs: &Logs) -> Outcome {
    let truth = world.common.truth.lock().unwrap();
    Outcome {
        seed,
        breaches: truth.breaches.clone(),
        height: truth.top().0,
        paid: logs.paid.len() as u64,
        attempts: logs.attempts,
        looks: logs.calls.values().flatten().filter(|call| matches!(call.op, linear::Op::Saw(_))).count() as u64,
        acknowledged: truth.acknowledged.len() as u64,
        terms: truth.leaders.len() as u64,
        noops: truth.noops,
        halts: truth.halts.len() as u64,
        carried: world.common.net.carried(),
        virtual_ms: now_ms(),
        faults: world.faults.clone(),
        story: truth.story.clone(),
    }
}
