use super::*;
use crate::beat::{BatchKind, HostBatch, VerifiedBatch};
use crate::lead::Fencing;
use crate::test_support::{batch, report, seat};
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::{AgentClass, AgentId, NodeId, SectorId};
use proptest::prelude::*;
use std::sync::Arc;

const NOW: MeshTimeUs = MeshTimeUs(1_000_000_000);

fn put(registry: &mut Registry, index: u64, batch: HostBatch) {
    let refused = registry.apply(Fencing::new(1, index), [trusted(batch)]);
    assert!(refused.is_empty(), "{refused:?}");
}

fn trusted(batch: HostBatch) -> VerifiedBatch {
    VerifiedBatch::trusted(batch.sign(&crate::test_support::context(), &crate::test_support::key(1))).unwrap()
}

#[test]
fn score_is_half_at_half_a_second_and_degraded_above_two() {
    let of = |z_us| score(z_us, AgentClass::C);
    assert_eq!((of(0), of(500_000), of(2_000_000), of(u64::MAX)), (0, 500, 800, 1_000));
    assert_eq!(score(HUMAN_HALF_US, AgentClass::F), 500);
    let machine = Record::new(&seat(1, 1, AgentClass::C), &report(1, 2_100_000), crate::wire::Hlc::default(), 1);
    let person = Record::new(&seat(1, 1, AgentClass::F), &report(1, 90_000_000_000), crate::wire::Hlc::default(), 1);
    assert_eq!((machine.state, person.state), (AgentState::Degraded, AgentState::Active));
}

#[test]
fn impedance_follows_the_formula() {
    let impedance = Impedance {
        one_way_p50_us: 10_000,
        one_way_p95_us: 14_000,
        processing_p50_us: 20_000,
        processing_p95_us: 23_000,
        queue_depth: 5,
    };
    // 10 + 20 x 1.5 + (37 - 30) ms
    assert_eq!(impedance.z_us(), 47_000);
}

#[test]
fn newcomers_are_neither_perfect_nor_worthless() {
    assert_eq!(reliability_ppm(0, 0), 900_000);
    assert!(reliability_ppm(1_000, 0) > 990_000 && reliability_ppm(0, 1_000) < 10_000);
}

#[test]
fn an_agent_is_offline_when_its_host_is_silent_or_left() {
    let mut registry = Registry::new(SectorId(0));
    registry.set_seats([seat(1, 1, AgentClass::C), seat(2, 1, AgentClass::C), seat(3, 2, AgentClass::C)]);
    put(&mut registry, 1, batch(1, 1, BatchKind::Full, NOW, vec![report(1, 100), report(2, 100)]));
    let view = Arc::clone(registry.view());
    let late = NOW.plus_us(AGENT_OFFLINE_AFTER_US);
    let record = view.get(AgentId(1)).unwrap();
    assert_eq!(view.state(record, late.plus_us(-1)), AgentState::Active);
    assert_eq!(view.state(record, late), AgentState::Offline);
    let summary = view.summary(NOW);
    assert_eq!((summary.agents, summary.active, summary.offline), (3, 2, 1), "agent 3 never reported and still counts");
    put(&mut registry, 2, batch(1, 2, BatchKind::Farewell, NOW, vec![]));
    let record = registry.view().get(AgentId(1)).unwrap();
    assert_eq!(registry.view().state(record, NOW), AgentState::Offline);
    assert_eq!(view.state(view.get(AgentId(1)).unwrap(), NOW), AgentState::Active, "an old view does not change");
}

#[test]
fn what_did_not_change_is_shared_between_views() {
    let mut registry = Registry::new(SectorId(0));
    registry.set_seats((1..=4).map(|agent| seat(agent, agent / 3 + 1, AgentClass::B)));
    put(&mut registry, 1, batch(1, 1, BatchKind::Full, NOW, vec![report(1, 10), report(2, 20)]));
    put(&mut registry, 2, batch(2, 1, BatchKind::Full, NOW, vec![report(3, 30), report(4, 40)]));
    let before = Arc::clone(registry.view());
    put(&mut registry, 3, batch(1, 2, BatchKind::Delta { base: 1 }, NOW, vec![report(2, 99)]));
    let after = registry.view();
    for agent in [1, 3, 4] {
        assert!(Arc::ptr_eq(before.get(AgentId(agent)).unwrap(), after.get(AgentId(agent)).unwrap()));
    }
    assert_eq!(after.get(AgentId(2)).unwrap().version, 2);
    assert!(
        registry.apply(Fencing::new(1, 4), [trusted(batch(1, 2, BatchKind::Full, NOW, vec![]))]).len() == 1,
        "stale"
    );
}

#[test]
fn a_report_on_an_agent_of_another_host_counts_for_nothing() {
    let mut registry = Registry::new(SectorId(0));
    registry.set_seats([seat(1, 1, AgentClass::C)]);
    put(&mut registry, 1, batch(2, 1, BatchKind::Full, NOW, vec![report(1, 1)]));
    assert!(registry.view().get(AgentId(1)).is_none() && registry.view().host(NodeId(2)).is_none());
}

fn exact_p95(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[(values.len() * 95).div_ceil(100) - 1]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn score_rises_with_impedance(a in any::<u64>(), b in any::<u64>(), person in any::<bool>()) {
        let class = if person { AgentClass::F } else { AgentClass::A };
        let (low, high) = (a.min(b), a.max(b));
        prop_assert!(score(low, class) <= score(high, class) && score(high, class) <= SCORE_MAX);
    }

    #[test]
    fn sketches_merge_to_the_quantiles_of_everything(parts in prop::collection::vec(prop::collection::vec(0..10_000_000_u64, 1..50), 1..8)) {
        let mut merged = LogSketch::new();
        let mut whole = LogSketch::new();
        for part in &parts {
            let mut sketch = LogSketch::new();
            part.iter().for_each(|v| { sketch.add(*v); whole.add(*v); });
            merged.merge(&sketch);
        }
        prop_assert_eq!(&merged, &whole);
        prop_assert!(merged.is_well_formed());
        let exact = exact_p95(parts.concat());
        let error = merged.quantile(950_000).unwrap().abs_diff(exact);
        prop_assert!(u128::from(error) * 1_000_000 <= u128::from(exact) * u128::from(SKETCH_RELATIVE_ERROR_PPM), "{error} of {exact}");
    }

    #[test]
    fn summaries_merge_as_if_everybody_were_counted_at_once(zs in prop::collection::vec(1..3_000_000_u64, 1..40), cut in 0..40_usize) {
        let records: Vec<Record> = zs.iter().enumerate().map(|(at, z)| {
            let agent = at as u64 + 1;
            Record::new(&seat(agent, 1, AgentClass::C), &report(agent, *z), crate::wire::Hlc::default(), 1)
        }).collect();
        let sum = |records: &[Record]| records.iter().fold(Summary::default(), |mut sum, r| { sum.add(r, r.state); sum });
        let (left, right) = records.split_at(cut.min(records.len()));
        let mut ab = sum(left);
        ab.merge(&sum(right));
        let mut ba = sum(right);
        ba.merge(&sum(left));
        prop_assert_eq!(&ab, &sum(&records));
        prop_assert_eq!(&ab, &ba);
    }
}
