//! Contributions and the emission under the cap.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, key};
use mesh30k_ledger::ops::{AttestContribution, ClaimContribution, Operation};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Contribution, PERIOD_MS};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{Hash, Uftns};
use proptest::prelude::*;

fn world(emission: u64, cap_above_minted: u64) -> World {
    let mut genesis = common::genesis();
    genesis.parameters.0.insert(Parameter::EmissionPerPeriod, emission);
    let minted = query::totals(&World::of(genesis.clone()).state).unwrap().minted;
    genesis.supply_cap = Uftns(minted.0 + cap_above_minted);
    World::of(genesis)
}

fn claim(world: &mut World, kind: Contribution, evidence: &[u8], amount: u64) -> Outcome {
    let op = ClaimContribution { kind, evidence: Hash::of(evidence), amount: Uftns(amount) };
    world.one(&alice(), Operation::ClaimContribution(op))
}

fn attest(world: &mut World, n: u8, evidence: &[u8]) -> Outcome {
    let op = AttestContribution { evidence: Hash::of(evidence) };
    world.one(&key(n), Operation::AttestContribution(op))
}

/// Claims, attests twice; gives what was paid.
fn earn(world: &mut World, kind: Contribution, evidence: &[u8], amount: u64) -> u64 {
    assert!(claim(world, kind, evidence, amount).is_executed());
    assert!(attest(world, 2, evidence).is_executed());
    match attest(world, 3, evidence) {
        Outcome::Executed { effect: Effect::ContributionAttested { paid, .. }, .. } => paid.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kind_is_paid_from_its_own_share_of_the_period() {
    let mut world = world(1_000_000, 10_000_000);
    let minted = query::totals(&world.state).unwrap().minted.0;
    assert_eq!(earn(&mut world, Contribution::Data, b"a", 100_000), 100_000);
    assert_eq!(earn(&mut world, Contribution::Data, b"b", 100_000), 50_000, "15 % for data, no more");
    assert_eq!(earn(&mut world, Contribution::Data, b"c", 100_000), 0);
    assert_eq!(
        earn(&mut world, Contribution::Governance, b"d", 100_000),
        50_000,
        "5 % for governance, untouched by others"
    );
    assert_eq!(query::totals(&world.state).unwrap().minted.0, minted + 200_000);
    world.run(PERIOD_MS, vec![]);
    assert_eq!(earn(&mut world, Contribution::Data, b"e", 100_000), 100_000);
}

#[test]
fn nothing_is_minted_above_the_cap() {
    let mut world = world(1_000_000, 30_000);
    assert_eq!(earn(&mut world, Contribution::Model, b"a", 100_000), 30_000);
    assert_eq!(earn(&mut world, Contribution::Safety, b"b", 100_000), 0);
    let totals = query::totals(&world.state).unwrap();
    assert_eq!(totals.minted, totals.supply_cap);
}

#[test]
fn claims_need_two_others_and_evidence_of_their_own() {
    let mut world = world(1_000_000, 10_000_000);
    assert_eq!(claim(&mut world, Contribution::Data, b"x", 0).rejection(), Some(&Rejection::ZeroAmount));
    assert!(claim(&mut world, Contribution::Data, b"x", 5).is_executed());
    let again = claim(&mut world, Contribution::Model, b"x", 5);
    assert!(matches!(again.rejection(), Some(Rejection::AlreadyDone(_))));
    assert!(matches!(attest(&mut world, 1, b"x").rejection(), Some(Rejection::NotInOffice { .. })));
    assert!(matches!(attest(&mut world, 2, b"y").rejection(), Some(Rejection::Unknown { .. })));
    assert!(attest(&mut world, 2, b"x").is_executed());
    assert!(matches!(attest(&mut world, 2, b"x").rejection(), Some(Rejection::AlreadyDone(_))));
    assert!(attest(&mut world, 4, b"x").is_executed());
    assert!(matches!(attest(&mut world, 3, b"x").rejection(), Some(Rejection::AlreadyDone(_))));
    let own = ClaimContribution { kind: Contribution::Data, evidence: Hash::ZERO, amount: Uftns(1) };
    assert!(world.one(&key(2), Operation::ClaimContribution(own)).is_executed());
    let own = world.one(&key(2), Operation::AttestContribution(AttestContribution { evidence: Hash::ZERO }));
    assert!(matches!(own.rejection(), Some(Rejection::SelfReference(_))));
}

#[test]
fn shares_are_all_of_the_emission() {
    let sum: u64 = Contribution::ALL.iter().map(|kind| kind.share_ppm()).sum();
    assert_eq!(sum, 1_000_000);
    for kind in Contribution::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_period_never_mints_more_than_its_emission(
        emission in 0..3_000_000_u64, cap in 0..3_000_000_u64,
        claims in proptest::collection::vec((0..9_usize, 1..2_000_000_u64), 1..12)
    ) {
        let mut world = world(emission, cap);
        let before = query::totals(&world.state).unwrap().minted.0;
        let mut paid = 0;
        for (n, (kind, amount)) in claims.iter().enumerate() {
            paid += earn(&mut world, Contribution::ALL[*kind], &n.to_le_bytes(), *amount);
        }
        let minted = query::totals(&world.state).unwrap().minted.0 - before;
        prop_assert_eq!(minted, paid);
        prop_assert!(minted <= emission && minted <= cap);
    }
}
