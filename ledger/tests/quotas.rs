//! Quota: allocated to hosts, lent, sold, set aside, and lent by an emergency. Whatever happens, it adds up and comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, open, receipt, report};
use common::{World, alice, bob, genesis, id_of, key, operator, region};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::*;
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{QuotaRecord, TakenQuota};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{EscrowId, Hash, TimeMs, Uftns};
use proptest::prelude::*;

const PERIOD_MS: u64 = 86_400_000;
/// Forty agents of node 1 bring its account so much.
const BROUGHT: u64 = 40 * 4_800;

/// Work costs twice the voted price at any hour.
fn world() -> World {
    let mut genesis = genesis();
    for (parameter, value) in
        [(Parameter::PeakPpm, 1_000_000), (Parameter::PeakFromHour, 0), (Parameter::PeakToHour, 24)]
    {
        genesis.parameters.0.insert(parameter, value);
    }
    mesh(World::of(genesis))
}

fn quota(world: &World, who: &SecretKey) -> QuotaRecord {
    query::quota(&world.state, &id_of(who), Capabilities::COMPUTE).unwrap().unwrap_or_default()
}

fn offer(world: &mut World, who: &SecretKey, units: u64, price: u64, periods: Option<u32>) -> Hash {
    let op = OfferQuota { capability: Capabilities::COMPUTE, units, price: Uftns(price), periods };
    world.must(who, Operation::OfferQuota(op)).0
}

fn take(world: &mut World, who: &SecretKey, offer: Hash) -> Outcome {
    world.one(who, Operation::TakeQuota(TakeQuota { offer }))
}

fn give(world: &mut World, to: &SecretKey, units: u64, periods: Option<u32>) -> Hash {
    let offered = offer(world, &key(1), units, 7, periods);
    assert!(take(world, to, offered).is_executed());
    offered
}

fn reserve(world: &mut World, who: &SecretKey, escrow: EscrowId, units: u64) -> Outcome {
    world.one(who, Operation::ReserveQuota(ReserveQuota { escrow, units }))
}

/// Has part of a task paid; gives what the worker got.
fn release(world: &mut World, escrow: EscrowId, part: u32) -> u64 {
    let receipt = receipt(world, report(part));
    match world.one(&alice(), Operation::EscrowRelease(EscrowRelease { escrow, receipt })) {
        Outcome::Executed { effect: Effect::PartReleased { price, .. }, .. } => price.base.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn covered_units_cost_no_more_than_the_voted_price() {
    let mut world = world();
    assert_eq!(quota(&world, &key(1)).allocated, BROUGHT);
    give(&mut world, &alice(), 8, None);
    let task = open(&mut world, 3, PERIOD_MS / 2);
    assert!(reserve(&mut world, &alice(), task, 8).is_executed());
    assert_eq!((quota(&world, &alice()).free(), quota(&world, &alice()).tradeable()), (0, 0));
    // Five units each: the first part is covered, of the second three units are, of the third none.
    let paid: Vec<u64> = (0..3).map(|part| release(&mut world, task, part)).collect();
    assert!(paid[0] == 5_000 && paid[1] < 7_001 && paid[1] > 6_990 && paid[2] > 9_990, "{paid:?}");
    let after = quota(&world, &alice());
    assert_eq!((after.used, after.reserved.len(), after.free()), (8, 0, 0));
    // The next period frees what was used.
    world.run(PERIOD_MS, vec![]);
    let task = open(&mut world, 1, PERIOD_MS / 2);
    assert!(reserve(&mut world, &alice(), task, 8).is_executed());
}

#[test]
fn what_a_task_does_not_use_is_free_when_it_ends() {
    let mut world = world();
    give(&mut world, &alice(), 100, None);
    let (short, paid) = (open(&mut world, 1, 5_000), open(&mut world, 1, PERIOD_MS / 2));
    for task in [short, paid] {
        assert!(reserve(&mut world, &alice(), task, 50).is_executed());
    }
    assert!(matches!(
        reserve(&mut world, &alice(), short, 51).rejection(),
        Some(Rejection::QuotaShort { free: 50, .. })
    ));
    release(&mut world, paid, 0);
    world.run(6_000, vec![]);
    let after = quota(&world, &alice());
    assert_eq!((after.reserved.len(), after.used, after.free()), (0, 5, 95));
    for task in [short, paid] {
        assert!(matches!(reserve(&mut world, &alice(), task, 1).rejection(), Some(Rejection::EscrowClosed(_))));
    }
}

#[test]
fn a_loan_comes_back_by_itself_from_under_what_was_set_aside() {
    let mut world = world();
    let before = world.balance(&id_of(&alice()));
    give(&mut world, &alice(), 30, None);
    give(&mut world, &alice(), 70, Some(1));
    assert!(before - world.balance(&id_of(&alice())) >= 14);
    let (lender, borrower) = (quota(&world, &key(1)), quota(&world, &alice()));
    assert_eq!((lender.allocated, lender.lent, lender.open), (BROUGHT - 30, 70, 1));
    // What is borrowed is for use, not for trade.
    assert_eq!((borrower.free(), borrower.tradeable()), (100, 30));
    let task = open(&mut world, 3, 10 * PERIOD_MS);
    assert!(reserve(&mut world, &alice(), task, 90).is_executed());
    world.run(PERIOD_MS, vec![]);
    let (lender, borrower) = (quota(&world, &key(1)), quota(&world, &alice()));
    assert_eq!((lender.lent, lender.open, lender.tradeable()), (0, 0, BROUGHT - 30));
    assert_eq!((borrower.borrowed, borrower.reserved[&task]), (0, 30));
}

#[test]
fn only_who_owns_a_hundred_trades_and_an_offer_is_taken_once() {
    let mut world = world();
    let offered = offer(&mut world, &key(1), 10, 1_000_000, Some(3));
    assert_eq!((quota(&world, &key(1)).offered, quota(&world, &key(1)).free()), (10, BROUGHT - 10));
    // The operator began with exactly a hundred, and pays for asking.
    let poor = take(&mut world, &operator(), offered);
    let poor = take(&mut world, &operator(), offered).rejection().cloned().or_else(|| poor.rejection().cloned());
    assert!(matches!(poor, Some(Rejection::Overdrawn { needed, .. }) if needed == Uftns::ftns(100)));
    assert!(take(&mut world, &bob(), offered).is_executed());
    assert!(matches!(take(&mut world, &alice(), offered).rejection(), Some(Rejection::AlreadyDone(_))));
    let withdraw = |offer| Operation::WithdrawQuota(WithdrawQuota { offer });
    assert!(matches!(world.one(&key(1), withdraw(offered)).rejection(), Some(Rejection::AlreadyDone(_))));
    let other = offer(&mut world, &key(1), 10, 1, None);
    assert!(world.one(&key(1), withdraw(other)).is_executed());
    assert!(matches!(take(&mut world, &alice(), other).rejection(), Some(Rejection::Unknown { .. })));
    assert_eq!(quota(&world, &key(1)).free(), BROUGHT - 10);
}

#[test]
fn offers_and_tasks_with_quota_are_bounded() {
    let mut world = world();
    for _ in 0..MAX_OFFERS {
        offer(&mut world, &key(1), 1, 0, None);
    }
    let op = OfferQuota { capability: Capabilities::COMPUTE, units: 1, price: Uftns(0), periods: None };
    let refused = world.one(&key(1), Operation::OfferQuota(op));
    assert!(matches!(refused.rejection(), Some(Rejection::TooMany { max: 32, .. })), "{refused:?}");
    let mut world = self::world();
    give(&mut world, &alice(), 100, None);
    for n in 0..=MAX_RESERVED {
        let task = open(&mut world, 1, PERIOD_MS / 2);
        let outcome = reserve(&mut world, &alice(), task, 1);
        assert_eq!(outcome.is_executed(), n < MAX_RESERVED, "{n}: {outcome:?}");
    }
}

/// Node 1's account mines with 40 units and enjoys luxury with 60; a flood is declared in Kenya, where Alice is.
fn flood(until: TimeMs, world: &mut World) -> (EscrowId, EscrowId, EscrowId) {
    let task = |world: &mut World, purpose, units| {
        let op = EscrowOpen {
            task: Hash::of(b"task"),
            module: Hash::of(b"module"),
            capability: Capabilities::COMPUTE,
            parts: 2,
            amount_per_part: Uftns(10_000),
            reserve_per_part: Uftns(5_000),
            release_deadline: world.now().plus_ms(20 * PERIOD_MS),
        };
        let (escrow, _) = world.must(&key(1), Operation::EscrowOpen(op));
        assert!(reserve(world, &key(1), escrow, units).is_executed());
        world.must(&key(1), Operation::DeclarePurpose(DeclarePurpose { escrow, purpose }));
        escrow
    };
    let luxury = task(world, Purpose::Luxury, 60);
    let mining = task(world, Purpose::ProofOfWork, 40);
    for who in [key(1), operator()] {
        signal(world, &who, Some(until));
    }
    let relief = open(world, 2, 20 * PERIOD_MS);
    let purpose = DeclarePurpose { escrow: relief, purpose: Purpose::DisasterResponse };
    world.must(&alice(), Operation::DeclarePurpose(purpose));
    (mining, luxury, relief)
}

fn signal(world: &mut World, who: &SecretKey, until: Option<TimeMs>) {
    let op = SignalEmergency { region: region("KE"), kind: "flood".into(), until };
    world.must(who, Operation::SignalEmergency(op));
}

fn draw(world: &mut World, escrow: EscrowId, units: u64) -> Outcome {
    world.one(&alice(), Operation::DrawQuota(DrawQuota { escrow, units }))
}

/// Everything that was taken is back where it was.
fn is_back(world: &World, mining: EscrowId, luxury: EscrowId) -> bool {
    let (lender, drawer) = (quota(world, &key(1)), quota(world, &alice()));
    (lender.yielded, drawer.drawn, drawer.reserved.len()) == (0, 0, 0)
        && (lender.reserved.get(&mining), lender.reserved.get(&luxury)) == (Some(&40), Some(&60))
        && query::quota_draws(&world.state).unwrap().is_empty()
}

#[test]
fn an_emergency_lends_from_the_least_urgent_and_lists_it() {
    let mut world = world();
    let until = world.now().plus_ms(2 * PERIOD_MS);
    let (mining, luxury, relief) = flood(until, &mut world);
    assert!(draw(&mut world, relief, 70).is_executed());
    let listed = query::quota_draws(&world.state).unwrap();
    let taken = |escrow, units| TakenQuota { owner: id_of(&key(1)), escrow, units };
    assert_eq!(listed[0].taken, [taken(mining, 40), taken(luxury, 30)]);
    assert_eq!((quota(&world, &key(1)).yielded, quota(&world, &alice()).drawn), (70, 70));
    assert!(matches!(draw(&mut world, relief, 1).rejection(), Some(Rejection::AlreadyDone(_))));
    assert!(matches!(reserve(&mut world, &alice(), relief, 0).rejection(), Some(Rejection::AlreadyDone(_))));
    assert_eq!(release(&mut world, relief, 0), 5_000);
    // It ends by itself; what relief used is not missing from what goes back.
    world.run(2 * PERIOD_MS + 1, vec![]);
    assert!(is_back(&world, mining, luxury), "{:?}", quota(&world, &key(1)));
}

#[test]
fn what_was_drawn_comes_back_when_it_is_lifted_or_the_task_ends_or_was_for_something_else() {
    for how in 0..3 {
        let mut world = world();
        let until = world.now().plus_ms(2 * PERIOD_MS);
        let (mining, luxury, relief) = flood(until, &mut world);
        assert!(draw(&mut world, relief, 1_000).is_executed());
        assert_eq!(quota(&world, &key(1)).reserved.len(), 0);
        match how {
            0 => {
                for who in [key(1), operator()] {
                    signal(&mut world, &who, None);
                }
            }
            1 => {
                for part in 0..2 {
                    release(&mut world, relief, part);
                }
            }
            _ => {
                for n in [2, 3] {
                    let op = ReclassifyPurpose { escrow: relief, purpose: Purpose::GeneralResearch };
                    world.must(&key(n), Operation::ReclassifyPurpose(op));
                }
            }
        }
        world.run(10, vec![]);
        assert!(is_back(&world, mining, luxury), "{how}");
    }
}

#[test]
fn nothing_is_lent_without_an_emergency_there_or_to_other_work() {
    let mut world = world();
    let until = world.now().plus_ms(PERIOD_MS);
    let (mining, luxury, relief) = flood(until, &mut world);
    let other = open(&mut world, 1, PERIOD_MS);
    assert!(matches!(draw(&mut world, other, 1).rejection(), Some(Rejection::NoEmergency(_))));
    // What counts for something better yields no longer.
    for n in [2, 3] {
        let op = ReclassifyPurpose { escrow: mining, purpose: Purpose::ClimateScience };
        world.must(&key(n), Operation::ReclassifyPurpose(op));
    }
    assert!(matches!(
        draw(&mut world, relief, 1_000),
        Outcome::Executed { effect: Effect::QuotaDrawn { units: 60, tasks: 1, .. }, .. }
    ));
    assert_eq!(query::quota_draws(&world.state).unwrap()[0].taken[0].escrow, luxury);
    let second = open(&mut world, 1, PERIOD_MS);
    let purpose = DeclarePurpose { escrow: second, purpose: Purpose::DisasterResponse };
    world.must(&alice(), Operation::DeclarePurpose(purpose));
    assert!(matches!(draw(&mut world, second, 1).rejection(), Some(Rejection::QuotaShort { .. })));
    world.run(PERIOD_MS, vec![]);
    assert!(matches!(
        draw(&mut world, relief, 1).rejection(),
        Some(Rejection::EscrowClosed(_) | Rejection::NoEmergency(_))
    ));
}

#[derive(Debug, Clone)]
enum Move {
    Offer(u8, u64, Option<u32>),
    Take(u8, prop::sample::Index),
    Withdraw(prop::sample::Index),
    Reserve(u64),
    Wait(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        (1..=3_u8, 0..150_000_u64, prop::option::of(0..3_u32))
            .prop_map(|(who, units, periods)| Move::Offer(who, units, periods)),
        (1..=3_u8, any::<prop::sample::Index>()).prop_map(|(who, which)| Move::Take(who, which)),
        any::<prop::sample::Index>().prop_map(Move::Withdraw),
        (0..200_000_u64).prop_map(Move::Reserve),
        (0..PERIOD_MS).prop_map(Move::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// `World::run` checks after every block that nobody lends more than it has and that what is lent is borrowed.
    #[test]
    fn units_are_neither_made_nor_lost_and_every_loan_comes_back(moves in proptest::collection::vec(moves(), 1..40)) {
        let mut world = world();
        let mut offers = Vec::new();
        let task = open(&mut world, 1, 300 * PERIOD_MS);
        for step in moves {
            match step {
                Move::Offer(who, units, periods) => {
                    let op = OfferQuota { capability: Capabilities::COMPUTE, units, price: Uftns(1), periods };
                    let signed = world.signed(&key(who), Operation::OfferQuota(op));
                    offers.push((who, signed.id()));
                    world.run(10, vec![signed]);
                }
                Move::Take(who, which) if !offers.is_empty() => {
                    take(&mut world, &key(who), which.get(&offers).1);
                }
                Move::Withdraw(which) if !offers.is_empty() => {
                    let (who, offer) = *which.get(&offers);
                    world.one(&key(who), Operation::WithdrawQuota(WithdrawQuota { offer }));
                }
                Move::Reserve(units) => {
                    reserve(&mut world, &alice(), task, units);
                }
                Move::Wait(ms) => {
                    world.run(ms + 1, vec![]);
                }
                _ => {}
            }
            let all: Vec<QuotaRecord> = (1..=3).map(|n| quota(&world, &key(n))).collect();
            prop_assert_eq!(all.iter().map(|record| record.allocated).sum::<u64>(), BROUGHT);
        }
        world.run(3 * PERIOD_MS, vec![]);
        for n in 1..=3 {
            let record = quota(&world, &key(n));
            prop_assert_eq!((record.lent, record.borrowed), (0, 0));
        }
    }
}
