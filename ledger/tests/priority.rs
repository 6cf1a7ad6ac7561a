//! The order of queues, and emergencies that change it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, key, operator, region};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{DeclarePurpose, MAX_KINDS, Operation, SignalEmergency};
use mesh30k_ledger::priority::{Purpose, Standing, priority_milli};
use mesh30k_ledger::query;
use mesh30k_ledger::records::{HALF_LIFE_MS, ReputationRecord};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{Hash, TimeMs};
use proptest::prelude::*;

fn standing() -> impl Strategy<Value = Standing> {
    let purpose = (0..Purpose::ALL.len()).prop_map(|at| Purpose::ALL[at]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (purpose, flags, 0..=1_000_000_u32, 0..100_000_000_u64).prop_map(
        |(purpose, (access, vulnerable, emergency), renewable_ppm, waited_ms)| Standing {
            purpose,
            access,
            vulnerable,
            emergency,
            renewable_ppm,
            waited_ms,
        },
    )
}

proptest! {
    #[test]
    fn whatever_waited_an_hour_longer_goes_first(one in standing(), other in standing()) {
        let longer = Standing { waited_ms: other.waited_ms + 3_600_000, ..one };
        prop_assert!(priority_milli(&longer) >= priority_milli(&other));
    }

    #[test]
    fn lists_renewables_emergencies_and_waiting_never_put_back(one in standing(), more in 0..1_000_000_u32) {
        let now = priority_milli(&one);
        for better in [
            Standing { access: true, ..one },
            Standing { vulnerable: true, ..one },
            Standing { emergency: true, ..one },
            Standing { renewable_ppm: one.renewable_ppm.saturating_add(more).min(1_000_000), ..one },
            Standing { waited_ms: one.waited_ms + u64::from(more), ..one },
        ] {
            prop_assert!(priority_milli(&better) >= now);
        }
    }

    #[test]
    fn reputation_drifts_back_to_where_it_began(score in 0..=1_000_u32, half_lives in 0..40_u64) {
        let record = ReputationRecord { score, updated_at: TimeMs(5), because: Hash::ZERO, ages_from: TimeMs(5) };
        let later = record.score_at(TimeMs(5 + half_lives * HALF_LIFE_MS));
        let away = |score: u32| score.abs_diff(500);
        prop_assert!(away(later) <= away(score) >> half_lives.min(31));
        prop_assert_eq!(record.score_at(TimeMs(0)), score);
    }
}

#[test]
fn factors_are_those_of_the_rules() {
    let plain = |purpose| Standing {
        purpose,
        access: false,
        vulnerable: false,
        emergency: false,
        renewable_ppm: 0,
        waited_ms: 0,
    };
    let milli = Purpose::ALL.map(|purpose| priority_milli(&plain(purpose)));
    assert_eq!(milli, [5_000, 4_000, 3_500, 3_000, 2_500, 1_000, 1_000, 200, 100]);
    let education = Standing { access: true, ..plain(Purpose::Education) };
    assert_eq!(priority_milli(&education), 4_000, "2.0 for education there, times 2.0 for the region");
    let vulnerable = Standing { vulnerable: true, renewable_ppm: 1_000_000, ..plain(Purpose::ClimateScience) };
    assert_eq!(priority_milli(&vulnerable), 5_625, "2.5 x 1.5 x 1.5");
    let disaster = Standing { emergency: true, ..plain(Purpose::DisasterResponse) };
    assert_eq!(priority_milli(&disaster), 20_000);
    for purpose in Purpose::ALL {
        assert_eq!(purpose.to_string().parse(), Ok(purpose));
    }
}

#[test]
fn two_signals_make_an_emergency_and_two_lift_it() {
    let mut world = World::new();
    let signal = |world: &mut World, who: &SecretKey, until: Option<TimeMs>| {
        let op = SignalEmergency { region: region("BD"), kind: "flood".into(), until };
        world.one(who, Operation::SignalEmergency(op))
    };
    let in_force = |world: &World| {
        query::emergency(&world.state, region("BD")).unwrap().is_some_and(|record| record.is_in_force(world.now()))
    };
    let end = |world: &World, ms| Some(world.now().plus_ms(ms));
    let until = end(&world, 100_000);
    assert!(signal(&mut world, &operator(), until).is_executed());
    assert!(signal(&mut world, &operator(), until).is_executed());
    assert!(!in_force(&world), "one guardian twice is one");
    world.run(3_600_001, vec![]);
    let until = end(&world, 100_000);
    signal(&mut world, &key(1), until);
    assert!(!in_force(&world), "the first word is too old");
    let until = end(&world, 200_000);
    signal(&mut world, &key(2), until);
    assert!(in_force(&world));
    signal(&mut world, &key(1), None);
    assert!(in_force(&world));
    signal(&mut world, &operator(), None);
    assert!(!in_force(&world));
    // Declared again, over by itself.
    let until = end(&world, 50_000);
    signal(&mut world, &key(1), until);
    signal(&mut world, &key(3), until);
    assert!(in_force(&world));
    world.run(50_000, vec![]);
    assert!(!in_force(&world));

    let until = end(&world, 1_000);
    assert!(matches!(signal(&mut world, &alice(), until).rejection(), Some(Rejection::NotInOffice { .. })));
    let past = signal(&mut world, &key(1), Some(TimeMs(1)));
    assert!(matches!(past.rejection(), Some(Rejection::DeadlinePassed { .. })));
    let until = end(&world, 8 * 24 * 3_600_000);
    assert!(matches!(signal(&mut world, &key(1), until).rejection(), Some(Rejection::DeadlineTooFar { .. })));
}

/// What a host asks its ledger when several tasks wait.
#[test]
fn a_tasks_standing_is_read_from_the_ledger() {
    let mut world = common::tasks::mesh(World::new());
    let escrow = common::tasks::open(&mut world, 1, 10_000_000);
    let host = query::node(&world.state, mesh30k_ledger::types::NodeId(1)).unwrap().unwrap();
    let now = |world: &World| query::standing(&world.state, &escrow, &host).unwrap();
    let undeclared = now(&world);
    assert_eq!((undeclared.purpose, undeclared.access, undeclared.emergency), (Purpose::GeneralResearch, true, false));
    assert_eq!(undeclared.renewable_ppm, 500_000);
    let declare = DeclarePurpose { escrow, purpose: Purpose::DisasterResponse };
    world.must(&alice(), Operation::DeclarePurpose(declare));
    for by in [key(1), key(2)] {
        let signal =
            SignalEmergency { region: region("KE"), kind: "flood".into(), until: Some(world.now().plus_ms(1_000_000)) };
        world.must(&by, Operation::SignalEmergency(signal));
    }
    let declared = now(&world);
    assert_eq!((declared.purpose, declared.emergency), (Purpose::DisasterResponse, true));
    assert_eq!(priority_milli(&declared), 5 * 4 * 2 * priority_milli(&undeclared) / 2);
    world.run(1_000_000, vec![]);
    assert!(!now(&world).emergency, "it is over");
}

#[test]
fn a_flood_and_a_fire_are_two_emergencies() {
    let mut world = World::new();
    let signal = |world: &mut World, who: &SecretKey, kind: &str, ms: Option<u64>| {
        let until = ms.map(|ms| world.now().plus_ms(ms));
        world.one(who, Operation::SignalEmergency(SignalEmergency { region: region("BD"), kind: kind.into(), until }))
    };
    let ends = |world: &World| {
        let record = query::emergency(&world.state, region("BD")).unwrap().unwrap_or_default();
        ["flood", "fire"].map(|kind| record.0.get(kind).and_then(|kind| kind.in_force_until(world.now())).is_some())
    };
    signal(&mut world, &key(1), "flood", Some(100_000));
    signal(&mut world, &key(2), "fire", Some(100_000));
    assert_eq!(ends(&world), [false, false], "one word on each");
    signal(&mut world, &key(2), "flood", Some(90_000));
    assert_eq!(ends(&world), [true, false]);
    // The word on the fire was not used up by the flood.
    signal(&mut world, &key(3), "fire", Some(200_000));
    assert_eq!(ends(&world), [true, true]);
    signal(&mut world, &key(1), "flood", None);
    signal(&mut world, &key(2), "fire", None);
    assert_eq!(ends(&world), [true, true], "one word each to lift it");
    signal(&mut world, &key(2), "flood", None);
    assert_eq!(ends(&world), [false, true], "the fire goes on");
    let record = query::emergency(&world.state, region("BD")).unwrap().unwrap();
    assert!(record.is_in_force(world.now()));

    // Kinds nobody came back to make room; live ones do not.
    for n in 0..MAX_KINDS - 1 {
        assert!(signal(&mut world, &key(1), &format!("kind {n}"), Some(1_000)).is_executed());
    }
    let more = signal(&mut world, &key(1), "more", Some(1_000));
    assert!(matches!(more.rejection(), Some(Rejection::TooMany { found: 8, max: 8, .. })), "{more:?}");
    world.run(3_600_001, vec![]);
    assert!(signal(&mut world, &key(1), "more", Some(1_000)).is_executed());
    let record = query::emergency(&world.state, region("BD")).unwrap().unwrap();
    assert_eq!(record.0.into_keys().collect::<Vec<_>>(), ["more"]);
}
