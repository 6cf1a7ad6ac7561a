//! What prices of capabilities promise, for any history of use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, open, receipt, report};
use common::{World, alice, key, register};
use mesh30k_ledger::ops::{AgentRegistration, Capabilities, EscrowOpen, EscrowRelease, Operation};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::parameters::{Parameter, Parameters};
use mesh30k_ledger::query;
use mesh30k_ledger::records::{CapabilityRecord, PERIOD_MS, VolumeRecord};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{AgentClass, Hash, TimeMs, Uftns};
use mesh30k_ledger::unit_price::{PRICE_RANGE, unit_price};
use proptest::prelude::*;

const HOUR_MS: u64 = 3_600_000;
const VOTED: u64 = 1_000_000_000;

fn start(agents: u64) -> CapabilityRecord {
    CapabilityRecord { agents, ..CapabilityRecord::new(TimeMs(0), &Parameters::default()) }
}

/// What was used in each step, the price after each.
fn prices(agents: u64, used: &[u64]) -> Vec<CapabilityRecord> {
    let parameters = Parameters::default();
    let mut record = start(agents);
    let mut all = vec![record];
    for units in used {
        record.used += units;
        record = record.at(record.step_ends, &parameters);
        all.push(record);
    }
    all
}

proptest! {
    #[test]
    fn a_step_moves_by_an_eighth_and_a_period_by_half(used in proptest::collection::vec(0..40_000_u64, 1..200)) {
        let all = prices(10, &used);
        for pair in all.windows(2) {
            let (before, after) = (u128::from(pair[0].price), u128::from(pair[1].price));
            prop_assert!(after.abs_diff(before) * 8 <= before, "{before} to {after}");
        }
        for period in all.chunk_by(|a, b| a.period == b.period) {
            let anchor = u128::from(period[0].anchor);
            for record in period {
                let price = u128::from(record.price);
                prop_assert!(2 * price >= anchor && 2 * price <= 3 * anchor, "{price} of {anchor}");
                prop_assert!(record.price >= VOTED / PRICE_RANGE && record.price <= VOTED * PRICE_RANGE);
            }
        }
    }

    #[test]
    fn more_use_is_never_cheaper_and_use_at_the_target_moves_nothing(
        used in proptest::collection::vec(0..40_000_u64, 1..60), more in proptest::collection::vec(0..9_000_u64, 60)
    ) {
        let busier: Vec<u64> = used.iter().zip(more).map(|(used, more)| used + more).collect();
        for (calm, busy) in prices(10, &used).iter().zip(prices(10, &busier)) {
            prop_assert!(calm.price <= busy.price);
        }
        // Ten agents of 1,000 units an hour, at 70 %.
        prop_assert!(prices(10, &vec![7_000; used.len()]).iter().all(|record| record.price == VOTED));
    }

    #[test]
    fn idle_time_is_the_same_told_at_once_or_step_by_step(
        used in proptest::collection::vec(0..40_000_u64, 0..30), hours in 1..2_000_u64
    ) {
        let parameters = Parameters::default();
        let busy = *prices(10, &used).last().unwrap();
        let end = busy.step_ends.plus_ms(hours * HOUR_MS);
        let mut steps = busy;
        while steps.step_ends <= end {
            steps = steps.at(steps.step_ends, &parameters);
        }
        prop_assert_eq!(busy.at(end, &parameters), steps);
    }

    #[test]
    fn volume_never_makes_dearer_and_peak_hours_never_cheaper(
        price in 1..10_000_000_000_u64, units in 0..3_000_000_u64, more in 0..3_000_000_u64, hour in 0..48_u64, peak in 0..=1_000_000_u64,
    ) {
        let mut parameters = Parameters::default();
        let at = TimeMs(hour * HOUR_MS);
        let volume = |units| VolumeRecord { units, ..VolumeRecord::default() };
        let (little, much) = (volume(units), volume(units + more));
        let calm = unit_price(price, at, &little, &parameters);
        prop_assert!(unit_price(price, at, &much, &parameters) <= calm);
        prop_assert!(u128::from(calm) * 10 >= u128::from(price - price % 10) * 9 - 10, "at most a tenth less");
        parameters.0.insert(Parameter::PeakPpm, peak);
        let busy = unit_price(price, at, &little, &parameters);
        prop_assert!(busy >= calm);
        if !(17..21).contains(&(hour % 24)) {
            prop_assert_eq!(busy, calm);
        }
    }
}

#[test]
fn long_idleness_ends_at_the_floor_without_a_step_for_each_hour() {
    let parameters = Parameters::default();
    let busy = *prices(1, &[100_000; 100]).last().unwrap();
    assert!(busy.price > VOTED);
    let later = busy.at(TimeMs(1_000_000 * PERIOD_MS), &parameters);
    assert_eq!((later.price, later.anchor), (VOTED / PRICE_RANGE, VOTED / PRICE_RANGE));
    assert!(later.step_ends > TimeMs(1_000_000 * PERIOD_MS));
}

fn paid(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Executed { effect: Effect::PartReleased { price, .. }, .. } => price.base.0,
        other => panic!("not paid: {other:?}"),
    }
}

#[test]
fn use_is_counted_and_the_next_hour_is_dearer() {
    let mut genesis = common::genesis();
    // Forty agents: the target of an hour is 28 units, a report is of 5.
    genesis.parameters.0.insert(Parameter::AgentStepUnits, 1);
    // What a requester's volume takes off has a property of its own.
    genesis.parameters.0.insert(Parameter::VolumePpm, 0);
    let mut world = mesh(World::of(genesis));
    let escrow = open(&mut world, 40, 9 * HOUR_MS);
    let release = |world: &mut World, part| {
        let receipt = receipt(world, report(part));
        paid(&world.one(&alice(), Operation::EscrowRelease(EscrowRelease { escrow, receipt })))
    };
    let first: Vec<u64> = (0..12).map(|part| release(&mut world, part)).collect();
    assert_eq!(first, vec![5_000; 12]);
    let record = query::capability(&world.state, Capabilities::COMPUTE).unwrap().unwrap();
    assert_eq!((record.agents, record.used), (40, 60));
    world.run(HOUR_MS, vec![]);
    // More than twice the target: an eighth dearer.
    assert_eq!(release(&mut world, 12), 5_625);
    world.run(HOUR_MS, vec![]);
    // Then 5 of 28 units: 23/28 of an eighth cheaper.
    assert_eq!(release(&mut world, 13), (5 * (1_125_000_000 - 1_125_000_000_u64 * 23 / 28 / 8)) / 1_000_000);
}

#[test]
fn an_agent_is_paid_only_for_what_it_can_do() {
    let mut world = mesh(World::new());
    let sensor = AgentRegistration {
        key: key(77).public(),
        class: AgentClass::E,
        capabilities: Capabilities::SENSE.union(Capabilities::RELAY),
    };
    assert!(world.one(&key(1), register(None, vec![sensor])).is_executed());
    let counted = |capability| query::capability(&world.state, capability).unwrap().map(|record| record.agents);
    assert_eq!(
        [Capabilities::COMPUTE, Capabilities::SENSE, Capabilities::RELAY, Capabilities::INFER].map(counted),
        [Some(40), Some(1), Some(1), None]
    );
    let escrow = open(&mut world, 2, 60_000);
    let mut foreign = report(0);
    foreign.agent = mesh30k_ledger::types::AgentId(41);
    let receipt = foreign.sign(&world.context, &key(1), &key(77));
    let refused = world.one(&alice(), Operation::EscrowRelease(EscrowRelease { escrow, receipt }));
    assert!(matches!(refused.rejection(), Some(Rejection::NotCapable { .. })));
    for capability in [0, 3, 1 << 7, u64::MAX] {
        let op = EscrowOpen {
            task: Hash::of(b"task"),
            module: Hash::of(b"module"),
            capability: Capabilities(capability),
            parts: 1,
            amount_per_part: Uftns(1),
            reserve_per_part: Uftns(1),
            release_deadline: world.now().plus_ms(1_000),
        };
        let refused = world.one(&alice(), Operation::EscrowOpen(op));
        assert!(matches!(refused.rejection(), Some(Rejection::BadCapability { .. })), "{capability}");
    }
}
