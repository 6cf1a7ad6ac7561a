//! Scheduled transfers: set aside at once, paid at their times, called off by their owner alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of, operator};
use mesh30k_ledger::ops::{Freeze, Operation, Schedule, Unschedule};
use mesh30k_ledger::outcome::{DueEvent, Effect, Outcome};
use mesh30k_ledger::query;
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{Hash, Scope, TimeMs, Uftns};
use proptest::prelude::*;

fn plan(world: &World, times: u32, after_ms: u64, every_ms: u64) -> Schedule {
    let first_at = world.now().plus_ms(after_ms);
    Schedule { to: id_of(&bob()), amount: Uftns(1_000), times, first_at, every_ms, memo: "rent".into() }
}

fn set(world: &mut World, schedule: Schedule) -> Hash {
    match world.one(&alice(), Operation::Schedule(schedule)) {
        Outcome::Executed { effect: Effect::Scheduled { schedule, .. }, .. } => schedule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn payments_are_made_at_their_times_and_the_rest_comes_back() {
    let mut world = World::new();
    let (payer, payee) = (world.balance(&id_of(&alice())), world.balance(&id_of(&bob())));
    let schedule = plan(&world, 3, 5_000, 60_000);
    let id = set(&mut world, schedule);
    let listed = query::schedules(&world.state, &Hash::ZERO, 10).unwrap();
    assert!(matches!(listed.as_slice(), [(name, record)] if *name == id && record.left == 3), "{listed:?}");
    let after = world.balance(&id_of(&alice()));
    assert_eq!(payer - after, 3_000 + 30, "set aside with its fee");
    assert!(world.run(4_900, vec![]).1.due.is_empty());
    let paid = |left| DueEvent::SchedulePaid { schedule: id, to: id_of(&bob()), amount: Uftns(1_000), left };
    assert_eq!(world.run(200, vec![]).1.due, [paid(2)]);
    assert_eq!(world.run(60_000, vec![]).1.due, [paid(1)]);
    assert_eq!(world.balance(&id_of(&bob())), payee + 2_000);
    let stranger = world.one(&bob(), Operation::Unschedule(Unschedule { schedule: id }));
    assert!(matches!(stranger.rejection(), Some(Rejection::NotOwner { .. })));
    assert!(world.one(&alice(), Operation::Unschedule(Unschedule { schedule: id })).is_executed());
    assert_eq!(world.balance(&id_of(&alice())), after + 1_000 - 15);
    assert!(world.run(120_000, vec![]).1.due.is_empty());
    assert_eq!(query::schedule(&world.state, &id).unwrap(), None);
    let again = world.one(&alice(), Operation::Unschedule(Unschedule { schedule: id }));
    assert!(matches!(again.rejection(), Some(Rejection::Unknown { .. })));
}

#[test]
fn a_freeze_delays_payments_and_none_is_lost() {
    let mut world = World::new();
    let payee = world.balance(&id_of(&bob()));
    let schedule = plan(&world, 2, 1_000, 60_000);
    set(&mut world, schedule);
    let until = world.now().plus_ms(100_000);
    world.one(&operator(), Operation::Freeze(Freeze { scope: Scope::Global, reason: "drill".into(), until }));
    world.run(70_000, vec![]);
    assert_eq!(world.balance(&id_of(&bob())), payee);
    // The freeze ends; both are overdue and follow each other.
    for _ in 0..4 {
        world.run(40_000, vec![]);
    }
    assert_eq!(world.balance(&id_of(&bob())), payee + 2_000);
}

#[test]
fn plans_that_cannot_be_kept_are_refused() {
    let mut world = World::new();
    type Change = fn(&mut Schedule);
    let cases: [(&str, Change); 11] = [
        ("OutOfBounds { field: \"memo", |s| s.memo = "m".repeat(129)),
        ("OutOfBounds { field: \"times", |s| s.times = 0),
        ("OutOfBounds { field: \"times", |s| s.times = 1_001),
        ("OutOfBounds { field: \"every_ms", |s| s.every_ms = 59_999),
        ("OutOfBounds { field: \"every_ms", |s| s.every_ms = u64::MAX),
        ("ZeroAmount", |s| s.amount = Uftns::ZERO),
        ("SelfReference", |s| s.to = id_of(&alice())),
        ("DeadlinePassed", |s| s.first_at = TimeMs(0)),
        ("DeadlineTooFar", |s| s.first_at = TimeMs(u64::MAX)),
        ("AmountOverflow", |s| s.amount = Uftns(u64::MAX)),
        ("Overdrawn", |s| s.amount = Uftns::ftns(9_000)),
    ];
    for (name, change) in cases {
        let mut schedule = plan(&world, 3, 5_000, 60_000);
        change(&mut schedule);
        let outcome = world.one(&alice(), Operation::Schedule(schedule));
        assert!(format!("{:?}", outcome.rejection().unwrap()).starts_with(name), "{name}: {outcome:?}");
    }
    assert_eq!(query::totals(&world.state).unwrap().escrows, Uftns::ZERO);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_the_pace_of_blocks_every_payment_is_made_once(
        times in 1..6_u32, every_ms in 60_000..90_000_u64, steps in proptest::collection::vec(1..200_000_u64, 1..40)
    ) {
        let mut world = World::new();
        let payee = world.balance(&id_of(&bob()));
        let quarter_end = query::next_due(&world.state).unwrap();
        let schedule = plan(&world, times, 1_000, every_ms);
        let first = schedule.first_at;
        set(&mut world, schedule);
        for step in steps {
            world.run(step, vec![]);
            // So many times have come by now; a block makes at most one payment of a schedule.
            let due = world.now().0.checked_sub(first.0).map_or(0, |past| past / every_ms + 1).min(u64::from(times));
            let paid = (world.balance(&id_of(&bob())) - payee) / 1_000;
            prop_assert!(paid <= due);
        }
        for _ in 0..=times {
            world.run(90_000, vec![]);
        }
        prop_assert_eq!(world.balance(&id_of(&bob())), payee + 1_000 * u64::from(times));
        prop_assert_eq!(query::next_due(&world.state).unwrap(), quarter_end, "nothing of the schedule is left");
    }
}
