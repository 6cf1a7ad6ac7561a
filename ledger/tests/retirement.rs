//! What workers below the renewable target owe in retired credits, and how it is settled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, open, receipt, report};
use common::{World, alice, bob, id_of, key};
use mesh30k_ledger::ops::{
    AttestSaving, ClaimSaving, EscrowRelease, Operation, RetireCredits, TaskReport, TransferCredits, carbon_ug,
};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::pricing::Price;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{PERIOD_MS, RetirementRecord};
use mesh30k_ledger::retirement::missing_ug;
use mesh30k_ledger::types::{EscrowId, Hash, Uftns};
use proptest::prelude::*;

/// Of a part of 7,125 ug at 25 % renewable: 45 %.
const OWED_UG: u64 = 3_207;

/// Pays a part; gives its price and what the worker's balance grew by. Node 1 works and also proposes, so its fees are taken off.
fn pay(world: &mut World, escrow: EscrowId, report: TaskReport) -> (Price, u64) {
    let before = world.balance(&id_of(&key(1)));
    let receipt = receipt(world, report);
    let (_, outcome) = world.must(&alice(), Operation::EscrowRelease(EscrowRelease { escrow, receipt }));
    let Outcome::Executed { effect: Effect::PartReleased { price, .. }, fee } = outcome else { panic!("{outcome:?}") };
    (price, world.balance(&id_of(&key(1))) - before - fee.0 / 2)
}

fn issue(world: &mut World, name: &[u8], ug: u64) {
    let evidence = Hash::of(name);
    world.must(&bob(), Operation::ClaimSaving(ClaimSaving { evidence, baseline_ug: ug, actual_ug: 0 }));
    for n in [2, 3] {
        world.must(&key(n), Operation::AttestSaving(AttestSaving { evidence }));
    }
}

fn owed(world: &World) -> RetirementRecord {
    query::retirement(&world.state, &id_of(&key(1))).unwrap().unwrap_or_default()
}

#[test]
fn nobody_is_charged_before_the_period_is_over_or_while_nobody_sells() {
    let mut world = mesh(World::new());
    let escrow = open(&mut world, 8, 9 * PERIOD_MS);
    issue(&mut world, b"some", 1_000);
    let (price, paid) = pay(&mut world, escrow, report(0));
    assert_eq!((price.withheld, price.base.0), (Uftns::ZERO, paid), "the period runs");
    assert_eq!((owed(&world).accrued_ug, owed(&world).due_ug), (OWED_UG, 0));
    world.must(&bob(), Operation::RetireCredits(RetireCredits { amount_ug: 1_000 }));
    world.run(PERIOD_MS, vec![]);
    let (price, paid) = pay(&mut world, escrow, report(1));
    assert_eq!((price.withheld, price.base.0), (Uftns::ZERO, paid), "all credits are retired: none can be had");
    assert_eq!((owed(&world).accrued_ug, owed(&world).due_ug), (OWED_UG, OWED_UG));

    // A thousand can be had: as much is charged and no more, into the carbon pool.
    issue(&mut world, b"more", 1_000);
    let pool = query::totals(&world.state).unwrap().carbon_pool.0;
    let (price, paid) = pay(&mut world, escrow, report(2));
    assert_eq!((price.withheld, paid), (Uftns(100), price.base.0 - 100));
    let totals = query::totals(&world.state).unwrap();
    assert_eq!(totals.carbon_pool.0, pool + price.carbon.0 - price.green.0 + 100);
    assert_eq!((owed(&world).due_ug, owed(&world).paid_ug), (OWED_UG - 1_000, 1_000));
    assert_eq!(query::credit_totals(&world.state).unwrap().held_ug, 1_000, "paying retires nobody else's credits");
}

#[test]
fn retired_credits_count_once_early_or_late() {
    let mut world = mesh(World::new());
    let escrow = open(&mut world, 8, 9 * PERIOD_MS);
    issue(&mut world, b"e", 1_000_000);
    let to = id_of(&key(1));
    world.must(&bob(), Operation::TransferCredits(TransferCredits { to, amount_ug: 500_000 }));
    // Before anything is owed, and more than will be due.
    world.must(&key(1), Operation::RetireCredits(RetireCredits { amount_ug: OWED_UG + 7 }));
    pay(&mut world, escrow, report(0));
    world.run(PERIOD_MS, vec![]);
    assert_eq!(pay(&mut world, escrow, report(1)).0.withheld, Uftns::ZERO);
    assert_eq!((owed(&world).due_ug, owed(&world).counted_ug), (0, OWED_UG));
    world.run(PERIOD_MS, vec![]);
    // Seven are left of what was retired; the rest is paid, rounded up.
    let (price, _) = pay(&mut world, escrow, report(2));
    assert_eq!(price.withheld, Uftns((OWED_UG - 7).div_ceil(10)));
    assert_eq!((owed(&world).due_ug, owed(&world).counted_ug, owed(&world).paid_ug), (0, OWED_UG + 7, OWED_UG - 7));
}

#[test]
fn whoever_is_renewable_enough_owes_nothing_and_a_vote_may_end_the_duty() {
    let mut genesis = common::genesis();
    genesis.nodes[0].renewable_ppm = 700_000;
    let mut world = mesh(World::of(genesis));
    let escrow = open(&mut world, 2, PERIOD_MS);
    let green =
        TaskReport { renewable_ppm: 700_000, carbon_ug: carbon_ug(90_000, 380_000, 700_000).unwrap(), ..report(0) };
    pay(&mut world, escrow, green);
    assert_eq!(query::retirement(&world.state, &id_of(&key(1))).unwrap(), None);

    let mut genesis = common::genesis();
    genesis.parameters.0.insert(Parameter::RetirementTargetPpm, 0);
    let mut world = mesh(World::of(genesis));
    let escrow = open(&mut world, 2, PERIOD_MS);
    pay(&mut world, escrow, report(0));
    assert_eq!(query::retirement(&world.state, &id_of(&key(1))).unwrap(), None);
}

proptest! {
    /// Whatever is owed, retired, offered and earned: nobody pays more than it earns, more than it owes, or for more than there is;
    /// what is due is retired, paid or still due; and what is paid costs the price, rounded up by less than one.
    #[test]
    fn a_charge_is_bounded_by_payout_duty_and_supply(
        due_ug: u64, retired_ug: u64, payout: u64, price in 0..=1_000_000_000_000_u64, supply_ug: u64, small: bool
    ) {
        let (payout, supply_ug) = if small { (payout % 10_000, supply_ug % 100_000) } else { (payout, supply_ug) };
        let before = RetirementRecord { accrued_ug: due_ug, ..RetirementRecord::default() };
        prop_assert_eq!(before.at(0, retired_ug).due_ug, 0, "not before the period is over");
        let mut record = before.at(1, retired_ug);
        prop_assert_eq!(record.at(1, retired_ug), record, "nothing counts twice");
        prop_assert_eq!(record.counted_ug, due_ug.min(retired_ug));
        let charge = record.charge(Uftns(payout), price, supply_ug).0;
        prop_assert!(charge <= payout && record.paid_ug <= supply_ug);
        prop_assert_eq!(record.due_ug + record.paid_ug + record.counted_ug, due_ug);
        let exact = u128::from(record.paid_ug) * u128::from(price);
        prop_assert_eq!(u128::from(charge), exact.div_ceil(1_000_000));
        // What could be paid was.
        let next = (u128::from(record.paid_ug) + 1) * u128::from(price);
        let stopped = record.due_ug == 0 || record.paid_ug == supply_ug || next > u128::from(payout) * 1_000_000;
        prop_assert!(stopped);
    }

    #[test]
    fn cleaner_work_never_owes_more(energy in 0..10_000_000_u64, share in 0..=1_000_000_u32, other in 0..=1_000_000_u32) {
        let of = |share| missing_ug(carbon_ug(energy, 400_000, share).unwrap(), share, 700_000);
        prop_assert!(of(share.max(other)) <= of(share.min(other)));
        prop_assert_eq!(of(share) > 0, energy > 0 && share < 700_000);
    }
}
