//! Dividends: by the lowest point of the quarter, exact, paid on touch, at no cost for those nobody touches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, genesis, id_of, key, operator};
use mesh30k_ledger::genesis::GenesisAccount;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::ops::{Bond, Operation, Transfer};
use mesh30k_ledger::outcome::DueEvent;
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Duty, QUARTERS_KEPT};
use mesh30k_ledger::types::{AccountId, Hash, Uftns};

const QUARTER_MS: u64 = 1_000_000;
const TREASURY: u64 = 1_000_000_000;

fn world(holders: u64) -> World {
    let mut genesis = genesis();
    genesis.pools.treasury = Uftns(TREASURY);
    genesis.parameters.0.insert(Parameter::DividendQuarterMs, QUARTER_MS);
    // Simple figures; the factors have a test of their own.
    for parameter in [Parameter::DividendRolePpm, Parameter::DividendHoldingPpm, Parameter::BaseFee] {
        genesis.parameters.0.insert(parameter, 0);
    }
    genesis.parameters.0.insert(Parameter::BaseFeeMax, 0);
    for n in 0..holders {
        let policy = KeyPolicy::single(PublicKey(Hash::of(&n.to_le_bytes()).0));
        genesis.accounts.push(GenesisAccount { policy, balance: Uftns(100), region: None });
    }
    World::of(genesis)
}

fn pay(world: &mut World, from: &SecretKey, to: &AccountId, amount: u64) {
    let op = Operation::Transfer(Transfer { to: *to, amount: Uftns(amount), memo: String::new() });
    assert!(world.one(from, op).is_executed());
}

/// A block after the end of the quarter; what it says of its own accord.
fn end_quarter(world: &mut World) -> Vec<DueEvent> {
    world.run(QUARTER_MS, vec![]).1.due
}

fn pool_of(events: &[DueEvent]) -> u64 {
    let pools = events.iter().filter_map(|event| match event {
        DueEvent::QuarterEnded { pool, .. } => Some(pool.0),
        _ => None,
    });
    pools.sum()
}

#[test]
fn the_end_of_a_quarter_costs_the_same_for_any_number_of_holders() {
    let changed = |holders| {
        let (_, execution) = world(holders).try_run(QUARTER_MS, vec![]).unwrap();
        execution.changes.keys().filter(|key| b"acegt".contains(&key[0])).count()
    };
    assert_eq!(changed(0), changed(2_000));
}

#[test]
fn the_lowest_point_counts_and_late_money_earns_nothing() {
    let mut world = world(0);
    let (rich, poor, late) = (id_of(&alice()), id_of(&bob()), id_of(&operator()));
    let held = |world: &World| query::globals(&world.state).unwrap().quarter.low.0;
    let all = held(&world);
    // Bob is down to 1,000 FTNS for a block and has everything again; the operator has it meanwhile.
    pay(&mut world, &bob(), &late, Uftns::ftns(4_000).0);
    pay(&mut world, &operator(), &poor, Uftns::ftns(4_000).0);
    // Within one block nothing is lost: what counts is what blocks leave.
    let there = world
        .signed(&alice(), Operation::Transfer(Transfer { to: late, amount: Uftns::ftns(9_000), memo: String::new() }));
    let back = world.signed(
        &operator(),
        Operation::Transfer(Transfer { to: rich, amount: Uftns::ftns(9_000), memo: String::new() }),
    );
    world.run(1, vec![there, back]);
    assert_eq!(held(&world), all - Uftns::ftns(4_000).0);
    let (was_rich, was_poor) = (world.balance(&rich), world.balance(&poor));
    let pool = pool_of(&end_quarter(&mut world));
    assert_eq!(pool, TREASURY / 2);
    assert_eq!((world.balance(&rich), world.balance(&poor)), (was_rich, was_poor), "nobody is paid before a touch");
    let events = {
        let op = Operation::Transfer(Transfer { to: poor, amount: Uftns(1), memo: String::new() });
        let signed = world.signed(&alice(), op);
        world.run(1, vec![signed]).1.due
    };
    let share = |low: u64| {
        let low = u128::from(Uftns::ftns(low).0);
        u64::try_from(u128::from(pool) * low / u128::from(all - Uftns::ftns(4_000).0)).unwrap()
    };
    assert_eq!(world.balance(&rich), was_rich - 1 + share(10_000));
    assert_eq!(world.balance(&poor), was_poor + 1 + share(1_000));
    assert!(events.contains(&DueEvent::DividendPaid { account: poor, amount: Uftns(share(1_000)) }));
    // A second touch pays nothing more.
    pay(&mut world, &alice(), &poor, 1);
    assert_eq!(world.balance(&poor), was_poor + 2 + share(1_000));
}

#[test]
fn bonded_money_and_money_held_before_earn_more() {
    let mut genesis = world(0).genesis;
    genesis.parameters.0.insert(Parameter::DividendRolePpm, 500_000);
    genesis.parameters.0.insert(Parameter::DividendHoldingPpm, 1_000_000);
    let mut world = World::of(genesis);
    let (plain, bonded) = (id_of(&key(1)), id_of(&key(2)));
    let bond = Bond { duty: Duty::Host, amount: Uftns::ftns(1_000) };
    assert!(world.one(&key(2), Operation::Bond(bond)).is_executed());
    end_quarter(&mut world);
    end_quarter(&mut world);
    let before = [world.balance(&plain), world.balance(&bonded)];
    for to in [plain, bonded] {
        pay(&mut world, &alice(), &to, 1);
    }
    // Both held 1,000 FTNS for two quarters. In the first, nothing was seasoned and the bond was not there at its beginning; in the
    // second, half was seasoned: weights of 1 and 1, then 1.5 and 2.
    let earned = [world.balance(&plain) - before[0] - 1, world.balance(&bonded) - before[1] - 1];
    let record = |n| query::dividend(&world.state, n).unwrap().unwrap();
    let (first, second) = (record(0), record(1));
    let total = |weight: mesh30k_ledger::records::Weights| {
        u128::from(weight.low.0) + u128::from(weight.low_stake.0) / 2 + u128::from(weight.seasoned.0)
    };
    let share = |record: &mesh30k_ledger::records::DividendRecord, halves: u128| {
        let weight = u128::from(Uftns::ftns(1_000).0) * halves / 2;
        u64::try_from(u128::from(record.pool.0) * weight / total(record.weight)).unwrap()
    };
    assert_eq!(earned, [share(&first, 2) + share(&second, 3), share(&first, 2) + share(&second, 4)]);
}

#[test]
fn what_nobody_comes_for_returns_to_the_treasury() {
    let mut world = world(3);
    let sleeper = KeyPolicy::single(PublicKey(Hash::of(&0_u64.to_le_bytes()).0)).account();
    let first = pool_of(&end_quarter(&mut world));
    for quarter in 1..=QUARTERS_KEPT {
        assert!(query::dividend(&world.state, 0).unwrap().is_some(), "quarter {quarter}");
        end_quarter(&mut world);
    }
    // The proposer is touched by fees only, and there are none: nobody took anything of the first quarter.
    assert!(query::dividend(&world.state, 0).unwrap().is_none());
    assert!(first > 0);
    // Quarters 1 to 8 are still owed to the sleeper, each rounded down.
    let owed: u64 = (1..=QUARTERS_KEPT)
        .map(|n| {
            let record = query::dividend(&world.state, n).unwrap().unwrap();
            u64::try_from(u128::from(record.pool.0) * 100 / u128::from(record.weight.low.0)).unwrap()
        })
        .sum();
    pay(&mut world, &alice(), &sleeper, 1);
    assert_eq!(world.balance(&sleeper), 101 + owed);
    // Long absences are caught up with in a bounded number of steps.
    for _ in 0..200 {
        world.run(QUARTER_MS, vec![]);
    }
    pay(&mut world, &alice(), &sleeper, 1);
    let quarter = query::globals(&world.state).unwrap().quarter.number;
    assert_eq!(query::account(&world.state, &sleeper).unwrap().unwrap().holding.quarter, quarter);
}
