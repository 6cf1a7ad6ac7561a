//! Operations over folded acks: rates over everybody enrolled, advice that holds, cascades that stop where they must.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_core::event::{
    Advice, CLASSES, Cascade, CascadeForm, ClassSet, GatherError, GatherOutcome, GatherRequest, Onward, Tally,
    class_index,
};
use mesh30k_ledger::types::AgentClass;
use proptest::prelude::*;

/// A tally of one class: these errors released, and so many in conflict and in TRANSIT.
fn tally(class: AgentClass, errors: &[i64], conflict: u32, transit: u32) -> Tally {
    let mut tally = Tally::default();
    let counts = &mut tally.classes[class_index(class)];
    counts.released = errors.len() as u32;
    (counts.conflict, counts.transit) = (conflict, transit);
    counts.enrolled = counts.released + conflict + transit;
    errors.iter().for_each(|e| tally.errors.record(*e));
    tally
}

const REQUEST: GatherRequest = GatherRequest { window_us: 10_000, ready_ppm: 950_000 };

#[test]
fn the_silent_stay_in_the_denominator_and_nobody_is_never_enough() {
    let ready = tally(AgentClass::A, &[0; 95], 0, 5);
    assert_eq!(REQUEST.judge(&ready, 0), Ok(GatherOutcome::Success { ready_ppm: 950_000 }));
    let one_less = tally(AgentClass::A, &[0; 94], 0, 6);
    let other = Advice::OtherAgents { agents: 1 };
    assert_eq!(REQUEST.judge(&one_less, 0), Ok(GatherOutcome::Partial { ready_ppm: 940_000, advice: vec![other] }));
    let wait = Advice::Wait { ms: 2, agents: 6 };
    assert_eq!(REQUEST.judge(&one_less, 1_500), Ok(GatherOutcome::Partial { ready_ppm: 940_000, advice: vec![wait] }));
    let nobody = GatherOutcome::Partial { ready_ppm: 0, advice: Vec::new() };
    assert_eq!(REQUEST.judge(&Tally::default(), 1_000), Ok(nobody));
}

#[test]
fn the_cause_decides_the_advice() {
    let wide = tally(AgentClass::B, &[&[0; 90][..], &[35_000; 10][..]].concat(), 0, 0);
    let advice = |t: &Tally, left| match REQUEST.judge(t, left).unwrap() {
        GatherOutcome::Partial { advice, .. } => advice,
        success => panic!("{success:?}"),
    };
    assert_eq!(advice(&wide, 0), [Advice::LargerWindow { window_us: 40_000 }]);
    let torn = tally(AgentClass::B, &[0; 80], 20, 0);
    assert_eq!(advice(&torn, 5_000_000), [Advice::ResolveConflicts { agents: 20 }]);
    let dead = tally(AgentClass::B, &[0; 50], 10, 40);
    let both = [Advice::ResolveConflicts { agents: 10 }, Advice::OtherAgents { agents: 40 }];
    assert_eq!(advice(&dead, 0), both);
}

#[test]
fn requests_out_of_bounds_are_refused_with_the_bound() {
    let judge = |request: GatherRequest| request.judge(&Tally::default(), 0).unwrap_err();
    assert_eq!(judge(GatherRequest { ready_ppm: 0, ..REQUEST }), GatherError::Ready(0));
    assert_eq!(judge(GatherRequest { ready_ppm: 1_000_001, ..REQUEST }), GatherError::Ready(1_000_001));
    for window_us in [0, -5, 49, i64::MIN] {
        let refused = GatherError::Window { window_us, least_us: 50 };
        assert_eq!(judge(GatherRequest { window_us, ..REQUEST }), refused);
    }
}

#[test]
fn priority_first_takes_the_classes_in_its_order_notes_a_miss_and_goes_on() {
    let mut cascade = Cascade::new(CascadeForm::PriorityFirst, ClassSet::ALL);
    let mut order = Vec::new();
    while let Onward::Next(step) = cascade.current() {
        let class = CLASSES.into_iter().find(|c| step.classes.contains(*c)).unwrap();
        order.push((class, step.threshold_ppm));
        let ready = if class == AgentClass::C { 97 } else { 99 };
        cascade.on_result(&tally(class, &vec![0; ready], 0, 100 - ready as u32));
    }
    let want = [
        (AgentClass::D, 990_000),
        (AgentClass::C, 980_000),
        (AgentClass::B, 950_000),
        (AgentClass::A, 900_000),
        (AgentClass::E, 850_000),
    ];
    assert_eq!(order, want);
    assert_eq!(cascade.current(), Onward::Done);
    assert_eq!(cascade.results().iter().map(|r| r.reached).collect::<Vec<_>>(), [true, false, true, true, true]);
}

#[test]
fn a_wave_stops_at_a_level_that_is_not_confirmed_and_a_parallel_one_does_not() {
    let (good, bad) = (tally(AgentClass::A, &[0; 98], 0, 2), tally(AgentClass::A, &[0; 97], 0, 3));
    let mut wave = Cascade::by_levels(ClassSet::MACHINES, 3);
    assert!(matches!(wave.on_result(&good), Onward::Next(_)));
    assert_eq!(wave.on_result(&bad), Onward::Stopped);
    assert_eq!(wave.on_result(&good), Onward::Stopped, "nothing more is counted");
    assert_eq!(wave.results().len(), 2);
    let mut parallel = Cascade::new(CascadeForm::Parallel, ClassSet::MACHINES);
    assert_eq!(parallel.on_result(&bad), Onward::Done);
    assert!(parallel.results()[0].reached, "0.90 is enough");
}

proptest! {
    #[test]
    fn advice_holds_and_success_is_monotone(
        errors in proptest::collection::vec(-300_000i64..300_000, 0..120), conflict in 0u32..30, transit in 0u32..30,
        window in 50i64..200_000, ready in 1u32..=1_000_000, left in -1i64..5_000_000,
    ) {
        let t = tally(AgentClass::C, &errors, conflict, transit);
        let request = GatherRequest { window_us: window, ready_ppm: ready };
        match request.judge(&t, left).unwrap() {
            GatherOutcome::Success { .. } => {
                let wider = GatherRequest { window_us: window.saturating_mul(2), ready_ppm: ready };
                let success = matches!(wider.judge(&t, left).unwrap(), GatherOutcome::Success { .. });
                prop_assert!(success);
            }
            GatherOutcome::Partial { advice, .. } => for piece in advice {
                match piece {
                    Advice::LargerWindow { window_us } => {
                        prop_assert!(window_us > window);
                        let wider = GatherRequest { window_us, ready_ppm: ready };
                        let success = matches!(wider.judge(&t, left).unwrap(), GatherOutcome::Success { .. });
                        prop_assert!(success, "the advised window suffices");
                    }
                    Advice::Wait { ms, agents } => prop_assert!(ms > 0 && left > 0 && agents == transit),
                    Advice::ResolveConflicts { agents } => prop_assert!(agents == conflict && conflict > 0),
                    Advice::OtherAgents { agents } => prop_assert!(agents > 0 && agents <= transit),
                }
            },
        }
    }
}
