use super::*;
use crate::beat::BatchKind;
use crate::test_support::{batch, context, key, report};
use crate::time::MeshTimeUs;
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::merkle;
use mesh30k_ledger::records::PERIOD_MS;
use mesh30k_ledger::types::{ClusterId, Hash, NodeId, SectorId};
use proptest::prelude::*;

const SECTOR: SectorId = SectorId(0);
const DAY: u64 = 20_000;
const DAY_US: i64 = PERIOD_MS as i64 * 1_000;

/// So long after day 20,000 began.
fn at(after_us: i64) -> MeshTimeUs {
    MeshTimeUs(DAY as i64 * DAY_US + after_us)
}

/// What a coordinator decides at `now`, whatever was before: whether the lease is granted says nothing about the time.
fn grant(now: MeshTimeUs) -> Vec<u8> {
    let cluster = ClusterId { sector: SECTOR, index: 0 };
    let (from, until) = (now.plus_us(-1_000), now.plus_us(LEASE_US));
    let grant = LeaseGrant { cluster, lead: NodeId(1), deputy: None, from, until, after: Fencing::NONE };
    SectorEntry::Leases(vec![grant]).encode()
}

fn report_of(host: u64, sequence: u64) -> Vec<u8> {
    let batch = batch(host, sequence, BatchKind::Full, at(0), vec![report(host, sequence * 1_000)]);
    SectorEntry::HostBatches(vec![batch.sign(&context(), &key(1))]).encode()
}

fn applied(entries: &[Vec<u8>]) -> SectorState {
    let mut state = SectorState::new(SECTOR);
    for (index, entry) in entries.iter().enumerate() {
        state.apply(Fencing::new(1, index as u64 + 1), entry);
    }
    state
}

/// The root by another way: from what a reader is told of the sector.
fn root(state: &SectorState) -> Hash {
    let told = SectorNews::of(state, Fencing::NONE).batches;
    merkle::root(&told.iter().map(|batch| Hash::of(&encode(batch))).collect::<Vec<_>>())
}

fn seal(state: &SectorState, period: u64) -> Option<Hash> {
    state.seal(period).map(|seal| seal.root)
}

#[test]
fn the_first_grant_of_a_day_seals_the_registry_as_the_day_before_left_it() {
    let mut log = vec![report_of(1, 1), grant(at(1)), report_of(2, 1), grant(at(DAY_US - 1))];
    let evening = applied(&log);
    assert_eq!((seal(&evening, DAY - 1), seal(&evening, DAY)), (None, None), "nobody saw yesterday end, today runs");
    // Comes before the next grant, and so belongs to the day.
    log.extend([report_of(1, 2), grant(at(DAY_US)), report_of(1, 3), grant(at(DAY_US + 1))]);
    let morning = applied(&log);
    assert_eq!(seal(&morning, DAY), Some(root(&applied(&log[..5]))));
    assert_ne!(seal(&morning, DAY), Some(root(&morning)), "what came later is of the next day");
    assert_eq!(seal(&morning, DAY + 1), None);
    assert_eq!(end_of_period(DAY).0 as i64 * 1_000, at(DAY_US).0);
}

#[test]
fn after_days_without_anybody_only_the_last_one_is_sealed() {
    let state = applied(&[grant(at(0)), report_of(1, 1), grant(at(5 * DAY_US))]);
    assert_eq!((seal(&state, DAY), seal(&state, DAY + 4)), (None, Some(root(&state))));
}

#[test]
fn a_clock_that_goes_back_or_far_ahead_unseals_nothing_and_stops_nobody() {
    let mut log = vec![report_of(1, 1), grant(at(1)), grant(at(DAY_US))];
    let sealed = seal(&applied(&log), DAY);
    assert!(sealed.is_some());
    log.extend([report_of(1, 2), grant(at(DAY_US - 1)), grant(at(DAY_US + 1))]);
    assert_eq!(seal(&applied(&log), DAY), sealed);
    // Years ahead, then right again.
    log.extend([grant(at(9_000 * DAY_US)), grant(at(DAY_US + 2)), report_of(2, 1), grant(at(2 * DAY_US))]);
    let state = applied(&log);
    assert_eq!((seal(&state, DAY), seal(&state, DAY + 1)), (sealed, Some(root(&state))));
}

#[test]
fn a_snapshot_with_seals_that_no_log_makes_is_refused() {
    let days = (0..10).map(|day| grant(at(day * DAY_US))).collect::<Vec<_>>();
    let state = applied(&days);
    let kept = (DAY..DAY + 10).filter(|period| state.seal(*period).is_some()).collect::<Vec<_>>();
    assert_eq!(kept, (DAY + 5..DAY + 9).collect::<Vec<_>>());
    let good = state.snapshot();
    assert!(SectorState::restore(SECTOR, &good).is_ok());
    // The last two seals, 40 bytes each, become one and the same.
    let (head, last) = good.split_at(good.len() - 40);
    let twice = [&head[..head.len() - 40], last, last].concat();
    assert!(matches!(SectorState::restore(SECTOR, &twice), Err(SectorStateError::Seals(_))));
}

/// Grants over three days, in order but for clocks that differ, among reports.
fn arb_log() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let step = prop_oneof![
        3 => (1..4_u64, 1..9_u64).prop_map(|(host, sequence)| (None, report_of(host, sequence))),
        2 => (-2_i64..8).prop_map(|hours| (Some(hours), Vec::new())),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(|noise| (None, noise)),
    ];
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let mut hour = 0;
        let entry = |(hours, entry)| match hours {
            None => entry,
            Some(hours) => {
                hour += hours;
                grant(at(hour * DAY_US / 24))
            }
        };
        steps.into_iter().map(entry).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn voters_seal_alike_also_after_a_restart_and_from_a_snapshot(log in arb_log(), crash in 0..60_usize, join in 0..60_usize) {
        let steady = applied(&log);
        // Crashes, and is given again what it had applied before.
        let crash = crash.min(log.len());
        let mut restarted = SectorState::restore(SECTOR, &applied(&log[..crash]).snapshot()).unwrap();
        // Was not there, and begins with another voter's snapshot.
        let join = join.min(log.len());
        let mut newcomer = SectorState::restore(SECTOR, &applied(&log[..join]).snapshot()).unwrap();
        for (index, entry) in log.iter().enumerate() {
            restarted.apply(Fencing::new(1, index as u64 + 1), entry);
            if index >= join {
                newcomer.apply(Fencing::new(1, index as u64 + 1), entry);
            }
        }
        for period in DAY - 2..DAY + 22 {
            prop_assert_eq!(steady.seal(period), restarted.seal(period));
            prop_assert_eq!(steady.seal(period), newcomer.seal(period));
        }
        prop_assert_eq!(steady.snapshot(), restarted.snapshot());
        prop_assert_eq!(steady.snapshot(), newcomer.snapshot());
    }
}
