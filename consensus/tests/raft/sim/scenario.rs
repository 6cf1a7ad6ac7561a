//! One seeded life of a group, and what must hold in it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_consensus::app::LogPosition;
use mesh30k_consensus::group::MemberId;
use mesh30k_consensus::raft::{Group, ProposeError};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use rand::Rng;

use super::cluster::{Cluster, Faults};
use super::net::{Net, Weather};
use crate::recorder::Keeps;

/// Rounds of a life, and the looks at who leads in each.
const ROUNDS: u64 = 600;
const LOOKS: u64 = 5;
const LOOK: Duration = Duration::from_millis(10);
/// Time to settle once everything is well again.
const SETTLE_ROUNDS: u64 = 400;

pub struct Plan {
    pub members: u64,
    pub faults: Faults,
    pub keeps: Keeps,
}

/// What happened; equal for equal seeds, the hash covers every scheduling decision.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub acknowledged: u64,
    pub uncertain: u64,
    pub crashes: u64,
    pub lost_batches: u64,
    pub elections: u64,
    pub calls: u64,
    pub trace: String,
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.crashes += other.crashes;
        self.lost_batches += other.lost_batches;
        self.elections += other.elections;
    }
}

/// What the clients know.
#[derive(Default)]
struct Clients {
    acknowledged: Vec<(Vec<u8>, LogPosition)>,
    uncertain: u64,
}

pub fn run(seed: u64, plan: &Plan) -> Outcome {
    let mut runtime = SimRuntime::with_seed(seed);
    runtime.record_trace(true);
    let mut outcome = runtime.block_on(live(seed, plan));
    let mut hash = blake3::Hasher::new();
    for line in runtime.take_trace() {
        hash.update(line.as_bytes());
    }
    outcome.trace = hash.finalize().to_hex().to_string();
    outcome
}

async fn live(seed: u64, plan: &Plan) -> Outcome {
    let mut cluster = Cluster::start(seed, plan.members, plan.faults, plan.keeps).await;
    let clients = Arc::new(Mutex::new(Clients::default()));
    let mut outcome = Outcome::default();
    for round in 0..ROUNDS {
        misfortune(&mut cluster, &mut outcome).await;
        for nth in 0..cluster.rng.random_range(0..3_u64) {
            let member = pick(&mut cluster);
            if let Some(group) = cluster.group(member) {
                let entry = (round << 8 | nth).to_be_bytes().to_vec();
                SimRuntime::spawn(client(group, entry, Arc::clone(&clients)));
            }
        }
        wait(&mut cluster).await;
    }
    settle(&mut cluster, &clients).await;
    verdict(&mut cluster, &clients.lock().unwrap(), seed);
    let clients = clients.lock().unwrap();
    outcome.acknowledged = clients.acknowledged.len() as u64;
    outcome.uncertain = clients.uncertain;
    outcome.elections = cluster.leaders.len() as u64;
    outcome.calls = cluster.net.carried();
    outcome
}

async fn wait(cluster: &mut Cluster) {
    for _ in 0..LOOKS {
        SimRuntime::sleep(LOOK).await;
        cluster.check_leaders();
    }
}

fn pick(cluster: &mut Cluster) -> MemberId {
    let nth = cluster.rng.random_range(0..cluster.all.len());
    cluster.all.iter().nth(nth).copied().unwrap()
}

async fn misfortune(cluster: &mut Cluster, outcome: &mut Outcome) {
    let member = pick(cluster);
    match cluster.rng.random_range(0..1000) {
        0..20 => {
            if let Some(lost) = cluster.crash(member).await {
                outcome.crashes += 1;
                outcome.lost_batches += lost as u64;
            }
        }
        // All at once, as when the building loses power.
        20..24 => {
            for member in cluster.all.clone() {
                if let Some(lost) = cluster.crash(member).await {
                    outcome.crashes += 1;
                    outcome.lost_batches += lost as u64;
                }
            }
        }
        24..300 => cluster.restart(member).await,
        300..315 => {
            let all = cluster.all.clone();
            let side: BTreeSet<_> = all.iter().copied().filter(|_| cluster.rng.random()).collect();
            let one_way = cluster.rng.random_range(0..4) == 0;
            partition(&cluster.net, &side, &all, one_way);
        }
        315..400 => cluster.net.heal(),
        400..408 => cluster.net.set_weather(Weather { loss_ppm: 100_000, delay_us: 100..40_000, ..Weather::FAIR }),
        408..430 => cluster.net.set_weather(Weather::FAIR),
        430..450 => {
            if let Some(group) = cluster.group(member).filter(Group::is_leader) {
                let to = pick(cluster);
                group.transfer_leader(to).await.unwrap();
            }
        }
        _ => {}
    }
}

/// Cuts `side` off from everybody else; one-way cuts happen too.
fn partition(net: &Net, side: &BTreeSet<MemberId>, all: &BTreeSet<MemberId>, one_way: bool) {
    for inside in side {
        for outside in all.difference(side) {
            net.cut(*inside, *outside);
            if !one_way {
                net.cut(*outside, *inside);
            }
        }
    }
}

/// Tries one member for two seconds at most.
async fn client(group: Group<SimRuntime>, entry: Vec<u8>, clients: Arc<Mutex<Clients>>) {
    let tried = SimRuntime::timeout(Duration::from_secs(2), group.propose(entry.clone())).await;
    let mut clients = clients.lock().unwrap();
    match tried {
        Ok(Ok(proposed)) => clients.acknowledged.push((entry, proposed.position)),
        Ok(Err(ProposeError::NotLeader { .. } | ProposeError::Busy { .. } | ProposeError::ReadOnly)) => {}
        Ok(Err(ProposeError::Uncertain { .. } | ProposeError::Stopped)) | Err(_) => clients.uncertain += 1,
        Ok(Err(error @ ProposeError::TooLarge { .. })) => panic!("{error}"),
    }
}

/// Everything well again: a new entry is ordered, and everybody comes to have it.
async fn settle(cluster: &mut Cluster, clients: &Arc<Mutex<Clients>>) {
    cluster.net.heal();
    cluster.net.set_weather(Weather::FAIR);
    for member in cluster.all.clone() {
        cluster.restart(member).await;
    }
    let last = b"last".to_vec();
    let mut ordered = false;
    for _ in 0..SETTLE_ROUNDS {
        wait(cluster).await;
        if !ordered {
            let leader = cluster.all.iter().find_map(|member| cluster.group(*member).filter(Group::is_ready_leader));
            if let Some(leader) = leader {
                client(leader, last.clone(), Arc::clone(clients)).await;
                ordered = clients.lock().unwrap().acknowledged.iter().any(|(entry, _)| *entry == last);
            }
            continue;
        }
        if cluster.all.iter().all(|member| cluster.applied(*member).contains(&last)) {
            return;
        }
    }
    panic!("the group did not settle; ordered the last entry: {ordered}");
}

/// One history (checked as it was made), nothing acknowledged lost or moved, the same state everywhere.
fn verdict(cluster: &mut Cluster, clients: &Clients, seed: u64) {
    let history = cluster.history.lock().unwrap();
    for (entry, at) in &clients.acknowledged {
        let found = history.seen.get(&at.index);
        assert_eq!(found, Some(&(at.term, Some(entry.clone()))), "seed {seed}: acknowledged entry lost at {at}");
    }
    let whole: Vec<_> = history.seen.values().filter_map(|(_, entry)| entry.clone()).collect();
    for member in &cluster.all {
        let applied = cluster.applied(*member);
        let up_to = applied.len();
        assert!(whole.starts_with(&applied), "seed {seed}: member {member} holds another state");
        for (entry, _) in &clients.acknowledged {
            assert!(applied.contains(entry), "seed {seed}: member {member} lost {entry:?} among its {up_to}");
        }
    }
}
