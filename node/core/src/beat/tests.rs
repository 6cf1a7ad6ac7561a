use super::*;
use crate::lead::Fencing;
use crate::test_support::{batch, context, key, report};
use crate::time::MeshTimeUs;
use crate::wire::Hlc;
use mesh30k_ledger::types::{AgentId, NodeId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const T0: MeshTimeUs = MeshTimeUs(1_000_000_000);

fn signed(batch: HostBatch) -> SignedHostBatch {
    batch.sign(&context(), &key(1))
}

fn verified(batch: HostBatch) -> VerifiedBatch {
    signed(batch).verify(&context(), &key(1).public()).unwrap()
}

fn full(host: u64, sequence: u64) -> HostBatch {
    batch(host, sequence, BatchKind::Full, T0, vec![report(host * 10, sequence)])
}

#[test]
fn a_batch_is_bound_to_its_host_key_its_chain_and_every_bit() {
    let ours = signed(full(1, 5));
    assert!(ours.clone().verify(&context(), &key(1).public()).is_ok());
    assert!(matches!(
        ours.clone().verify(&context(), &key(2).public()),
        Err(BatchError::BadSignature { sequence: 5, .. })
    ));
    let mut other_chain = context();
    other_chain.genesis.0[0] ^= 1;
    assert!(ours.clone().verify(&other_chain, &key(1).public()).is_err());
    let mut changed = ours;
    changed.batch.reports[0].price_uftns += 1;
    assert!(changed.verify(&context(), &key(1).public()).is_err());
}

#[test]
fn impossible_batches_are_refused_before_their_signature() {
    let refuse = |batch: HostBatch| VerifiedBatch::trusted(signed(batch)).unwrap_err();
    assert!(matches!(refuse(full(1, 0)), BatchError::Sequence { .. }));
    assert!(matches!(
        refuse(batch(1, 3, BatchKind::Delta { base: 3 }, T0, vec![])),
        BatchError::Sequence { base: 3, .. }
    ));
    assert!(matches!(refuse(batch(1, 3, BatchKind::Delta { base: 0 }, T0, vec![])), BatchError::Sequence { .. }));
    let twice = vec![report(1, 1), report(1, 1)];
    assert!(matches!(refuse(batch(1, 1, BatchKind::Full, T0, twice)), BatchError::Unsorted { .. }));
    let mut bad = report(1, 1);
    bad.impedance.one_way_p95_us = 0;
    assert!(matches!(
        refuse(batch(1, 1, BatchKind::Full, T0, vec![bad])),
        BatchError::OutOfRange { field: "one_way_p50_us", .. }
    ));
}

#[test]
fn a_host_beats_every_five_seconds_and_at_once_on_a_jump() {
    let mut beater = Beater::new(NodeId(1), 100);
    beater.observe(report(1, 100_000)).unwrap();
    let first = beater.poll(T0, Hlc::default()).unwrap();
    assert_eq!((first.sequence, first.kind), (101, BatchKind::Full));
    beater.on_committed(101);
    beater.observe(report(1, 103_000)).unwrap();
    assert!(beater.poll(T0.plus_us(BEAT_EVERY_US - EARLY_US - 1), Hlc::default()).is_none());
    let second = beater.poll(T0.plus_us(BEAT_EVERY_US), Hlc::default()).unwrap();
    assert_eq!((second.kind, second.reports.len()), (BatchKind::Delta { base: 101 }, 0), "3 % is noise");
    beater.observe(report(1, 121_000)).unwrap();
    assert_eq!(beater.next_wakeup(), T0.plus_us(BEAT_EVERY_US + MIN_BEAT_GAP_US));
    let third = beater.poll(beater.next_wakeup(), Hlc::default()).unwrap();
    assert_eq!((third.sequence, third.reports.len()), (103, 1));
}

#[test]
fn an_earlier_run_with_higher_sequences_is_outrun() {
    let mut beater = Beater::new(NodeId(1), 5);
    beater.observe(report(1, 1)).unwrap();
    beater.poll(T0, Hlc::default()).unwrap();
    beater.on_stale(900);
    let next = beater.poll(T0.plus_us(MIN_BEAT_GAP_US), Hlc::default()).unwrap();
    assert_eq!((next.sequence, next.kind), (901, BatchKind::Full));
}

#[test]
fn a_look_that_comes_a_moment_early_is_not_put_off_to_the_next() {
    let mut fold = LeadFold::new();
    assert!(matches!(fold.poll(T0).as_slice(), [FoldAction::Forward(_)]));
    assert!(fold.poll(T0.plus_us(FORWARD_EVERY_US - 500_000)).is_empty());
    assert!(matches!(fold.poll(T0.plus_us(FORWARD_EVERY_US - 2_000)).as_slice(), [FoldAction::Forward(_)]));
}

#[test]
fn what_came_is_passed_on_at_once_but_not_more_than_ten_times_a_second() {
    let mut fold = LeadFold::new();
    fold.set_hosts(&BTreeSet::from([NodeId(1)]), T0);
    let passed = |actions: Vec<FoldAction>| {
        actions
            .into_iter()
            .filter_map(|a| if let FoldAction::Forward(batches) = a { Some(batches.len()) } else { None })
            .collect::<Vec<_>>()
    };
    assert_eq!(passed(fold.poll(T0)), [0]);
    let at = T0.plus_us(300_000);
    assert_eq!(fold.next_news(), None);
    fold.push(verified(full(1, 1)), at);
    assert!(fold.next_news().unwrap() <= at);
    assert_eq!(passed(fold.poll(at)), [1]);
    fold.push(verified(full(1, 2)), at.plus_us(10_000));
    assert_eq!(passed(fold.poll(at.plus_us(10_000))), [0_usize; 0]);
    assert_eq!(fold.next_news(), Some(at.plus_us(FORWARD_GAP_US)));
    assert_eq!(passed(fold.poll(at.plus_us(FORWARD_GAP_US))), [1]);
    assert_eq!(fold.next_wakeup(), at.plus_us(FORWARD_GAP_US + FORWARD_EVERY_US), "and then that it lives");
}

#[test]
fn silent_hosts_are_suspected_once_and_cleared_by_a_beat_but_not_those_who_left() {
    let mut fold = LeadFold::new();
    fold.set_hosts(&BTreeSet::from([NodeId(1), NodeId(2)]), T0);
    fold.push(verified(batch(2, 1, BatchKind::Farewell, T0, vec![])), T0);
    let late = T0.plus_us(SUSPECT_AFTER_US);
    let suspects = |actions: Vec<FoldAction>| {
        actions.into_iter().filter(|a| !matches!(a, FoldAction::Forward(_))).collect::<Vec<_>>()
    };
    assert!(suspects(fold.poll(late.plus_us(-1))).is_empty());
    assert_eq!(suspects(fold.poll(late)), [FoldAction::Suspect { host: NodeId(1), silent_us: SUSPECT_AFTER_US }]);
    assert!(suspects(fold.poll(late.plus_us(1))).is_empty());
    fold.push(verified(full(1, 1)), late.plus_us(2));
    assert_eq!(suspects(fold.poll(late.plus_us(3))), [FoldAction::Cleared { host: NodeId(1) }]);
    fold.push(verified(full(9, 1)), late);
    assert_eq!(fold.dropped(), 1, "a host that is not ours");
}

#[test]
fn a_delta_without_its_base_asks_for_everything() {
    let mut store = BatchStore::new();
    let gap =
        store.put(Fencing::new(1, 1), verified(batch(1, 7, BatchKind::Delta { base: 6 }, T0, vec![]))).unwrap_err();
    assert!(gap.needs_full() && matches!(gap, StoreError::Gap { base: 6, newest: 0, .. }));
    for sequence in 1..=MAX_LIVE_BATCHES as u64 {
        let kind = if sequence == 1 { BatchKind::Full } else { BatchKind::Delta { base: sequence - 1 } };
        store
            .put(Fencing::new(1, sequence), verified(batch(1, sequence, kind, T0, vec![report(sequence, 1)])))
            .unwrap();
    }
    let next = MAX_LIVE_BATCHES as u64 + 1;
    let delta = verified(batch(1, next, BatchKind::Delta { base: next - 1 }, T0, vec![report(next, 1)]));
    assert!(matches!(store.put(Fencing::new(1, next), delta), Err(StoreError::TooManyBatches { .. })));
    store.put(Fencing::new(1, next), verified(full(1, next))).unwrap();
    assert_eq!(store.len(), 1);
}

/// What a store says of each agent of a host.
fn told(store: &BatchStore, host: u64, agents: u64) -> BTreeMap<u64, u64> {
    (1..=agents).filter_map(|a| Some((a, store.report(NodeId(host), AgentId(a))?.0.price_uftns))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn coalescing_does_not_depend_on_order_and_loses_no_host(
        batches in prop::collection::vec((1..20_u64, 1..6_u64), 1..60), seed in any::<prop::sample::Index>(),
    ) {
        let drain = |batches: &[(u64, u64)]| {
            let mut coalescer = Coalescer::new();
            batches.iter().for_each(|(host, sequence)| { coalescer.push(verified(full(*host, *sequence))); });
            let (mut now, mut out) = (T0, BTreeMap::new());
            while let Some(due) = coalescer.next_wakeup() {
                now = now.max(due);
                let entry = coalescer.poll(now).unwrap();
                assert!(!entry.is_empty() && coalescer.poll(now).is_none_or(|e| e.is_empty()), "four a second");
                out.extend(entry.into_iter().map(|b| (b.batch.host.0, b)));
            }
            out
        };
        let mut turned = batches.clone();
        turned.rotate_left(seed.index(batches.len()));
        turned.reverse();
        let once = drain(&batches);
        prop_assert_eq!(&once, &drain(&turned));
        for (host, sequence) in &batches {
            prop_assert!(once[host].batch.sequence >= *sequence);
            prop_assert!(once[host].clone().verify(&context(), &key(1).public()).is_ok());
        }
    }

    /// Batches and notices of their commitment get lost at will; a reader follows by news from arbitrary positions.
    #[test]
    fn the_group_and_its_readers_end_with_what_the_host_knows(
        steps in prop::collection::vec((1..5_u64, 0..3_u64, any::<bool>(), any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut beater = Beater::new(NodeId(1), 0);
        let (mut store, mut reader) = (BatchStore::new(), BatchStore::new());
        let (mut now, mut index, mut seen) = (T0, 0, Fencing::NONE);
        let mut truth = BTreeMap::new();
        let calm = std::iter::repeat_n((0, 0, true, true, true), 2);
        for (agent, price, arrives, noticed, reads) in steps.into_iter().chain(calm) {
            if agent > 0 {
                let value = AgentReportWithPrice(agent, price).get();
                beater.observe(value).unwrap();
                truth.insert(agent, price);
            }
            now = now.plus_us(BEAT_EVERY_US);
            let batch = beater.poll(now, Hlc { wall: now, logical: 0 }).unwrap();
            if arrives {
                index += 1;
                match store.put(Fencing::new(1, index), verified(batch.clone())) {
                    Ok(_) if noticed => beater.on_committed(batch.sequence),
                    Ok(_) => {}
                    Err(error) => { prop_assert!(error.needs_full(), "{error}"); beater.on_full_requested(); }
                }
            }
            if reads {
                for told in store.since(seen) {
                    let _ = reader.put_told(told.position, VerifiedBatch::trusted(told.signed.clone()).unwrap());
                }
                seen = Fencing::new(1, index);
                prop_assert_eq!(told(&reader, 1, 5), told(&store, 1, 5));
                prop_assert_eq!(reader.since(Fencing::NONE), store.since(Fencing::NONE));
            }
        }
        prop_assert_eq!(told(&store, 1, 5), truth);
        prop_assert!(store.len() <= MAX_LIVE_BATCHES);
    }
}

struct AgentReportWithPrice(u64, u64);

impl AgentReportWithPrice {
    fn get(&self) -> AgentReport {
        AgentReport { price_uftns: self.1, ..report(self.0, 1_000) }
    }
}
