//! Clock estimation: against a known truth, and against nonsense.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_core::clock::{
    AnchorVote, ClockEstimate, ClockLink, ClockSet, Exchange, HostClock, MAX_ANCHORS, RING_LEN, SampleError, vote,
};
use mesh30k_core::time::{LocalTimeUs, MeshTimeUs};
use mesh30k_ledger::types::NodeId;
use proptest::prelude::*;

/// An exchange with a clock that is `offset` ahead and runs `ppm` fast, over the two given ways.
fn exchange(at: i64, offset: i64, ppm: i64, forward: i64, back: i64) -> Exchange {
    let read = |t: i64| LocalTimeUs(t + offset + t * ppm / 1_000_000);
    let arrives = at + forward;
    Exchange { t1: MeshTimeUs(at), t2: read(arrives), t3: read(arrives + 50), t4: MeshTimeUs(arrives + 50 + back) }
}

#[test]
fn the_rate_is_found_from_a_few_minutes_and_carries_through_a_gap() {
    let mut link = ClockLink::new();
    for k in 0..60 {
        let jitter = (k * 7919) % 900;
        link.record(exchange(k * 5_000_000, 70_000, 25, 20_000 + jitter, 20_000 + (k * 104_729) % 900)).unwrap();
    }
    let skew = link.skew().expect("five minutes carry a rate");
    assert!((skew.ppm - 25.0).abs() < 4.0, "{skew:?}");
    let later = MeshTimeUs(60 * 5_000_000 + 60_000_000);
    let truth = 70_000.0 + later.0 as f64 * 25e-6;
    assert!((link.estimate(later).unwrap().offset_us - truth).abs() < 1_500.0);
}

#[test]
fn nonsense_is_refused_by_name_and_counted() {
    let mut link = ClockLink::new();
    let good = exchange(1_000, 0, 0, 100, 100);
    assert_eq!(link.record(good), Ok(()));
    assert_eq!(link.record(good), Err(SampleError::Duplicate { sent_at: good.t1 }));
    let backwards = Exchange { t4: MeshTimeUs(0), ..good };
    assert_eq!(link.record(backwards), Err(SampleError::NonMonotone));
    let slow = exchange(2_000, 0, 0, 9_000_000, 9_000_000);
    assert!(matches!(link.record(slow), Err(SampleError::TooLong { .. })));
    let stretched =
        Exchange { t1: MeshTimeUs(5_000), t2: LocalTimeUs(0), t3: LocalTimeUs(9_000), t4: MeshTimeUs(6_000) };
    assert_eq!(link.record(stretched), Err(SampleError::Negative { delay_us: -8_000 }));
    assert_eq!(link.rejected().total(), 4);
    assert_eq!(link.len(), 1);
}

#[test]
fn a_clock_that_was_set_is_followed_after_three_contradictions() {
    let mut link = ClockLink::new();
    for k in 0..10 {
        link.record(exchange(k * 1_000_000, 0, 0, 5_000, 5_000)).unwrap();
    }
    for k in 10..13 {
        link.record(exchange(k * 1_000_000, 90_000, 0, 5_000, 5_000)).unwrap();
    }
    assert_eq!(link.steps(), 1);
    assert!((link.estimate(MeshTimeUs(13_000_000)).unwrap().offset_us - 90_000.0).abs() < 100.0);
}

#[test]
fn a_step_smaller_than_the_round_trip_is_followed_after_eight_exchanges_that_no_queue_explains() {
    let queue = |k: i64| (k * 7919) % 3_000;
    let mut link = ClockLink::new();
    for k in 0..30 {
        link.record(exchange(k * 5_000_000, 0, 0, 40_000 + queue(k), 40_000 + queue(k + 7))).unwrap();
    }
    // Congestion explains any offset it can have made.
    link.record(exchange(150_000_000, 0, 0, 40_000 + 60_000, 40_000)).unwrap();
    assert_eq!((link.steps(), link.suspect()), (0, None));
    for k in 31..39 {
        assert_eq!(link.steps(), 0);
        link.record(exchange(k * 5_000_000, 30_000, 0, 40_000 + queue(k), 40_000 + queue(k + 7))).unwrap();
    }
    assert_eq!(link.steps(), 1);
    let estimate = link.estimate(MeshTimeUs(39 * 5_000_000)).unwrap();
    assert!((estimate.offset_us - 30_000.0).abs() < 2_000.0, "{estimate:?}");
}

/// A clock of that rate, right at time 0, lies within the bound of its estimate.
fn knows_the_rate(link: &ClockLink, now: MeshTimeUs, ppm: f64) -> ClockEstimate {
    let estimate = link.estimate(now).unwrap();
    let truth = now.0 as f64 * ppm * 1e-6;
    assert!((estimate.offset_us - truth).abs() <= estimate.bound_us, "{now:?}: {estimate:?}, truth {truth}");
    estimate
}

#[test]
fn a_rate_that_was_found_stands_while_a_detour_hides_it() {
    let mut link = ClockLink::new();
    for k in 0..60 {
        link.record(exchange(k * 5_000_000, 0, 28, 2_400, 2_400)).unwrap();
    }
    // Few quick ones are left by and by, and the queue says nothing about a rate.
    for k in 60..140 {
        let now = MeshTimeUs(k * 5_000_000);
        knows_the_rate(&link, now, 28.0);
        link.record(exchange(now.0, 0, 28, 2_400, 20_600 + (k * 7_919) % 4_000)).unwrap();
    }
}

#[test]
fn a_queue_that_changes_its_side_is_not_taken_for_a_rate() {
    let mut link = ClockLink::new();
    for k in 0..60 {
        link.record(exchange(k * 5_000_000, 0, 14, 7_500, 7_500)).unwrap();
    }
    for k in 60..185 {
        let back = 22_000 - (k - 130).max(0) * 200;
        link.record(exchange(k * 5_000_000, 0, 14, 7_500 + (22_000 - back), back)).unwrap();
        let estimate = knows_the_rate(&link, MeshTimeUs((k + 1) * 5_000_000), 14.0);
        assert!((estimate.skew_ppm - 14.0).abs() < 4.0, "{k}: {estimate:?}");
    }
}

/// Quick at first, then long on the way back; what the clock shows there depends on `offset`.
fn link_with_a_detour(offset: i64) -> ClockLink {
    let mut link = ClockLink::new();
    for k in 0..30 {
        link.record(exchange(k * 5_000_000, offset, 0, 2_400, 2_400)).unwrap();
    }
    for k in 30..40 {
        link.record(exchange(k * 5_000_000, offset, 0, 2_400, 20_600 + (k * 7_919) % 2_000)).unwrap();
    }
    link
}

#[test]
fn a_step_that_a_detour_would_hide_is_followed_because_the_round_trip_stays_as_it_was() {
    let mut link = link_with_a_detour(0);
    for k in 40..48 {
        assert_eq!(link.steps(), 0);
        link.record(exchange(k * 5_000_000, 13_000, 0, 2_400, 20_600 + (k * 7_919) % 2_000)).unwrap();
    }
    assert_eq!(link.steps(), 1);
    let now = MeshTimeUs(48 * 5_000_000);
    let estimate = link.estimate(now).unwrap();
    assert!((estimate.offset_us - 13_000.0).abs() <= estimate.bound_us, "{estimate:?}");
}

#[test]
fn a_time_service_tells_a_step_from_a_path_that_changed() {
    let at = 40 * 5_000_000;
    let now = MeshTimeUs(at + 23_050);
    let says = |offset_us: f64, bound_us: f64, exchange: Exchange| {
        let mut link = link_with_a_detour(0);
        link.record(exchange).unwrap();
        assert!(link.suspect().is_some());
        link.hear_service(now, offset_us, bound_us);
        (link.steps(), link.suspect().is_some())
    };
    let set_forward = exchange(at, 13_000, 0, 2_400, 20_600);
    assert_eq!(says(12_500.0, 2_000.0, set_forward), (1, false), "the clock was set");
    let other_side = exchange(at, 0, 0, 20_600, 2_400);
    assert_eq!(says(300.0, 2_000.0, other_side), (0, false), "the path changed");
    for offset_us in [0.0, 12_500.0] {
        assert_eq!(says(offset_us, 12_000.0, set_forward), (0, true), "a wide word decides nothing");
    }
}

/// A clock that is set forward by 48 ms while its owner works for 100 ms: the round trip of 60 ms looks like one of 12, and the offset is
/// half of the step.
#[test]
fn an_exchange_during_which_the_clock_was_set_is_not_the_best_of_all() {
    let mut link = ClockLink::new();
    for k in 0..10 {
        link.record(exchange(k * 5_000_000, 0, 0, 30_000, 30_000)).unwrap();
    }
    let at = 50_000_000;
    let (t2, t3) = (LocalTimeUs(at + 30_000), LocalTimeUs(at + 130_000 + 48_000));
    link.record(Exchange { t1: MeshTimeUs(at), t2, t3, t4: MeshTimeUs(at + 160_000) }).unwrap();
    assert_eq!((link.rejected().too_good, link.rejected().total()), (1, 1));
    for k in 11..30 {
        link.record(exchange(k * 5_000_000, 48_000, 0, 30_000, 30_000)).unwrap();
        let (estimate, truth) = (link.estimate(MeshTimeUs(k * 5_000_000)).unwrap(), [0.0, 48_000.0]);
        assert!(truth.iter().any(|us| (estimate.offset_us - us).abs() <= 1.0), "{estimate:?}");
    }
    assert!((link.estimate(MeshTimeUs(150_000_000)).unwrap().offset_us - 48_000.0).abs() <= 1.0);
}

#[test]
fn one_liar_among_three_anchors_moves_nothing() {
    let honest = |offset_us| AnchorVote { offset_us, bound_us: 5_000.0, delay_min_us: 10_000.0 };
    let liar = AnchorVote { offset_us: 200_000.0, bound_us: 100.0, delay_min_us: 200.0 };
    let verdict = vote(&[liar, honest(1_000.0), honest(-500.0)]).unwrap();
    assert_eq!(verdict.agreeing, vec![1, 2]);
    assert!((verdict.offset_us - 250.0).abs() < 1.0);
    assert_eq!(vote(&[]), None);
    assert_eq!(vote(&[AnchorVote { offset_us: f64::NAN, bound_us: 1.0, delay_min_us: 1.0 }]), None);
}

/// A set with one anchor over an asymmetric path: its estimate is off by half the difference.
fn asymmetric(forward: i64, back: i64, until: i64) -> ClockSet {
    let mut set = ClockSet::new();
    for k in 0..until {
        set.record(NodeId(1), exchange(k * 5_000_000, 30_000, 0, forward, back)).unwrap();
    }
    set
}

#[test]
fn a_time_service_near_by_corrects_what_a_long_path_cannot_see() {
    let now = MeshTimeUs(60_000_000);
    let mut set = asymmetric(140_000, 100_000, 12);
    assert!((set.estimate(now).unwrap().offset_us - 50_000.0).abs() < 100.0, "off by the asymmetry");
    set.record_host(now, HostClock { offset_us: 30_500, bound_us: 8_000 });
    let agreed = set.estimate(now).unwrap();
    assert!((agreed.offset_us - 30_000.0).abs() < 1_500.0, "{agreed:?}");
    assert!((agreed.offset_us - 30_000.0).abs() <= agreed.bound_us);
    // What it said a minute ago is void.
    assert!((set.estimate(now.plus_us(61_000_000)).unwrap().offset_us - 50_000.0).abs() < 100.0);
}

#[test]
fn a_time_service_that_contradicts_the_exchanges_is_not_believed_alone() {
    let now = MeshTimeUs(60_000_000);
    let mut set = asymmetric(10_000, 10_000, 12);
    let before = set.estimate(now).unwrap();
    for offset_us in [200_000, -90_000, i64::MAX, i64::MIN] {
        set.record_host(now, HostClock { offset_us, bound_us: 3_000 });
        assert_eq!(set.estimate(now).unwrap(), before);
    }
    set.record_host(now, HostClock { offset_us: 31_000, bound_us: u32::MAX });
    assert_eq!(set.estimate(now).unwrap(), before, "a bound of an hour says nothing");
}

#[test]
fn a_step_that_two_anchors_see_is_followed_at_once() {
    let mut set = asymmetric(5_000, 5_000, 12);
    let at = 60_000_000;
    set.record(NodeId(1), exchange(at, 90_000, 0, 5_000, 5_000)).unwrap();
    let now = MeshTimeUs(at + 10_050);
    assert!(set.is_in_doubt());
    assert!((set.estimate(now).unwrap().offset_us - 30_000.0).abs() < 100.0, "one contradiction is held over");
    set.record_host(now, HostClock { offset_us: 90_400, bound_us: 4_000 });
    assert!(!set.is_in_doubt());
    assert!((set.estimate(now).unwrap().offset_us - 90_000.0).abs() < 400.0);
    assert_eq!(set.link(NodeId(1)).unwrap().steps(), 1);
}

#[test]
fn anchors_are_bounded() {
    let mut set = ClockSet::new();
    for anchor in 0..20 {
        set.record(NodeId(anchor), exchange(1_000_000, 0, 0, 100, 100)).unwrap();
    }
    let held = (0..20).filter(|a| set.link(NodeId(*a)).is_some()).count();
    assert_eq!(held, MAX_ANCHORS);
}

proptest! {
    #[test]
    fn the_truth_lies_within_the_bound(
        offset in -200_000i64..200_000, ppm in -15i64..15,
        ways in proptest::collection::vec((100i64..400_000, 100i64..400_000), 1..100),
    ) {
        let mut link = ClockLink::new();
        for (k, (forward, back)) in ways.iter().enumerate() {
            let at = k as i64 * 150_000;
            link.record(exchange(at, offset, ppm, *forward, *back)).unwrap();
        }
        let now = MeshTimeUs(ways.len() as i64 * 150_000 + 800_000);
        let estimate = link.estimate(now).unwrap();
        let truth = offset as f64 + now.0 as f64 * ppm as f64 / 1e6;
        prop_assert!((estimate.offset_us - truth).abs() <= estimate.bound_us + 5.0);
        prop_assert!(estimate.sigma_us.is_finite() && estimate.sigma_us >= 0.0);
        prop_assert!(link.len() <= RING_LEN);
    }

    /// A node that starts under load hears slow answers first; the first quick one must not have to wait.
    #[test]
    fn the_quickest_exchange_so_far_is_always_believed_at_once(
        offset in -200_000i64..200_000, ways in proptest::collection::vec((100i64..40_000, 100i64..40_000), 1..100),
    ) {
        let mut link = ClockLink::new();
        let mut quickest = i64::MAX;
        for (k, (forward, back)) in ways.iter().enumerate() {
            let at = k as i64 * 1_000_000;
            link.record(exchange(at, offset, 0, *forward, *back)).unwrap();
            if forward + back < quickest {
                quickest = forward + back;
                prop_assert_eq!(link.suspect(), None);
                let off_us = link.estimate(MeshTimeUs(at + quickest + 50)).unwrap().offset_us - offset as f64;
                prop_assert!(off_us.abs() <= quickest as f64 / 2.0 + 1.0, "{} us off", off_us);
            }
        }
    }

    #[test]
    fn whatever_a_time_service_says_the_estimate_stays_finite_and_within_what_the_anchor_proved(
        says in proptest::collection::vec((any::<i64>(), any::<u32>(), 0i64..100_000_000), 1..20), error in any::<f64>(),
    ) {
        let mut set = asymmetric(20_000, 20_000, 12);
        set.set_anchor_error(error);
        for (offset_us, bound_us, later) in says {
            let now = MeshTimeUs(60_000_000 + later);
            let alone = { let mut plain = set.clone(); plain.record_host(now, HostClock { offset_us: 0, bound_us: u32::MAX }); plain.estimate(now).unwrap() };
            set.record_host(now, HostClock { offset_us, bound_us });
            let estimate = set.estimate(now).unwrap();
            prop_assert!(estimate.offset_us.is_finite() && estimate.bound_us.is_finite() && estimate.sigma_us.is_finite());
            prop_assert!((estimate.offset_us - alone.offset_us).abs() <= alone.bound_us + 100_000.0 + 1_500.0);
        }
    }

    #[test]
    fn any_four_numbers_leave_a_finite_estimate(
        samples in proptest::collection::vec((any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>()), 0..80), now in any::<i64>()
    ) {
        let mut link = ClockLink::new();
        for (t1, t2, t3, t4) in samples {
            let e = Exchange { t1: MeshTimeUs(t1), t2: LocalTimeUs(t2), t3: LocalTimeUs(t3), t4: MeshTimeUs(t4) };
            let _ = link.record(e);
        }
        if let Some(estimate) = link.estimate(MeshTimeUs(now)) {
            prop_assert!(estimate.offset_us.is_finite() && estimate.sigma_us.is_finite() && estimate.bound_us.is_finite());
        }
        prop_assert!(link.len() <= RING_LEN);
    }
}
