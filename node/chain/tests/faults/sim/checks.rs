//! What must hold once everything has healed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_ledger::query;
use mesh30k_ledger::restore::restore;
use mesh30k_ledger::state::StateRead;
use mesh30k_ledger::types::{Height, NodeId};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::client::Logs;
use super::genesis::{ENDOWMENT, account_of, key};
use super::linear::is_linearizable;
use super::process::Process;
use super::world::{ACCOUNTS, World};
use super::{SETTLE_MS, now_ms};

/// How long seeds with lying disks wait, ms.
const LYING_MS: u64 = 4_000;

/// Waits until every payment has its answer and every sound validator holds every final block; not longer than the bound.
/// With lying disks no liveness is promised: waits a little and lets be.
pub async fn settle(world: &mut World, logs: &Arc<Mutex<Logs>>) {
    if world.plan.lying_disks {
        settles_within(world, logs, LYING_MS).await;
        return;
    }
    if settles_within(world, logs, SETTLE_MS).await {
        return;
    }
    if owes_an_hour(world) {
        world.pass_an_hour();
        if settles_within(world, logs, SETTLE_MS).await {
            return;
        }
    }
    let (open, behind) = (logs.lock().unwrap().open, stragglers(world));
    let line = format!(
        "liveness after healing: {open} payments are open, validators {behind:?} lack final blocks or a new set"
    );
    world.common.truth.lock().unwrap().breach(line);
}

async fn settles_within(world: &mut World, logs: &Arc<Mutex<Logs>>, most_ms: u64) -> bool {
    let since = now_ms();
    while now_ms() < since + most_ms {
        SimRuntime::sleep(Duration::from_millis(20)).await;
        world.sweep().await;
        for node in world.nodes() {
            world.restart(node).await;
        }
        if logs.lock().unwrap().open == 0 && stragglers(world).is_empty() {
            world.tell(format!("settled {} ms after the healing", now_ms() - since));
            return true;
        }
    }
    false
}

/// Where more clocks were an hour ahead at once than may fail, or one was and a disk is gone for good, a block of that time may
/// have been ordered, or lie in so many logs that nobody without it can be elected; nobody votes before its time has come.
fn owes_an_hour(world: &World) -> bool {
    let lost = world.nodes().len() - world.sound().len();
    world.most_fast > 0 && world.most_fast + lost > 1
}

/// Sound validators that are down, do not hold the highest final block, or belong to a set of the past.
fn stragglers(world: &World) -> Vec<NodeId> {
    let (top, epoch) = {
        let truth = world.common.truth.lock().unwrap();
        (truth.top(), truth.newest())
    };
    let on_disk = |process: &Process| query::tip(&process.store).is_ok_and(|tip| tip.height >= top);
    let holds =
        |node: &NodeId| world.common.process(*node).is_some_and(|process| process.epoch == epoch && on_disk(&process));
    world.sound().into_iter().filter(|node| !holds(node)).collect()
}

pub fn verdict(world: &World, logs: &Logs) {
    let mut breaches = Vec::new();
    if !world.plan.lying_disks {
        breaches.extend(lost_writes(world));
        breaches.extend(balances(world, logs));
        breaches.extend(halts(world));
    }
    breaches.extend(equal_roots(world));
    breaches.extend(histories(world, logs));
    let mut truth = world.common.truth.lock().unwrap();
    for breach in breaches {
        truth.breach(breach);
    }
}

/// What a client was told is ordered is final.
fn lost_writes(world: &World) -> Vec<String> {
    let truth = world.common.truth.lock().unwrap();
    let lost = truth.acknowledged.iter().filter(|(id, _)| !truth.where_final.contains_key(id));
    lost.map(|(id, at)| format!("no acknowledged write lost: {id} was ordered at {at} ms and is not final")).collect()
}

/// The state stored for a final block is the one the certificate names, on every sound validator, as it is on disk.
fn equal_roots(world: &World) -> Vec<String> {
    let truth = world.common.truth.lock().unwrap();
    let mut breaches = Vec::new();
    for node in world.sound() {
        let Some(process) = world.common.process(node) else { continue };
        let Ok(tip) = query::tip(&process.store) else {
            breaches.push(format!("equal roots: the state of {node} cannot be read"));
            continue;
        };
        if tip.height == Height(0) {
            continue;
        }
        let known = truth.finals.get(&tip.height).map(|known| known.block);
        if known != Some(tip.block) {
            breaches.push(format!("equal roots: {node} stands on another block at {}", tip.height));
        }
        let stored = process.store.block(tip.height).ok().flatten();
        let certified = stored.as_ref().map(|stored| stored.commitment.state_root);
        let found = stored.and_then(|stored| {
            let pairs = process.store.scan(&[], &[], usize::MAX).ok()?;
            restore(pairs, &stored.block.header).ok().map(|restored| restored.state_root)
        });
        if found.is_none() || found != certified {
            breaches.push(format!("equal roots: the state of {node} at {} is not the certified one", tip.height));
        }
    }
    breaches
}

/// Adds and subtracts what the clients were told; knows nothing of the ledger but the balances it ends with.
fn balances(world: &World, logs: &Logs) -> Vec<String> {
    let mut predicted = vec![i128::from(ENDOWMENT); usize::try_from(ACCOUNTS).unwrap()];
    for paid in &logs.paid {
        let moved = if paid.executed { i128::from(paid.amount) } else { 0 };
        predicted[usize::try_from(paid.from).unwrap()] -= moved + i128::from(paid.fee);
        predicted[usize::try_from(paid.to).unwrap()] += moved;
    }
    let mut breaches = Vec::new();
    for node in world.sound() {
        let Some(process) = world.common.process(node) else { continue };
        for (n, expected) in (0..ACCOUNTS).zip(&predicted) {
            let id = account_of(&key("client", n));
            let found = query::account(&process.store, &id).ok().flatten().map(|account| i128::from(account.balance.0));
            if found != Some(*expected) {
                breaches.push(format!(
                    "the clients' books: account {n} should own {expected} uFTNS, {node} says {found:?}"
                ));
            }
        }
    }
    breaches
}

fn histories(world: &World, logs: &Logs) -> Vec<String> {
    // Disks that lie may take back what clients saw ordered, never what they saw final: the histories hold all the same.
    let _ = world;
    let broken = logs.calls.iter().filter(|(_, calls)| !is_linearizable(calls));
    broken
        .map(|(account, calls)| {
            format!("linearizable: no order explains the {} answers about account {account}", calls.len())
        })
        .collect()
}

/// Crash faults alone never halt a sound validator.
fn halts(world: &World) -> Vec<String> {
    let truth = world.common.truth.lock().unwrap();
    let sound = world.sound();
    let halted = truth.halts.iter().filter(|(node, _)| sound.contains(node) || node.0 == super::observer::OBSERVER.0);
    halted.map(|(node, report)| format!("nobody halts without malice: {node}: {}", report.sentence)).collect()
}
