//! Operations over folded acks: rates over everybody enrolled, advice that holds, cascades that stop where they must.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_core::event::{
    Advice, Agreement, CLASSES, Cascade, CascadeForm, ClassSet, FIRST_GATHER_US, GatherError, GatherOutcome,
    GatherRequest, MAX_STAGES, Onward, Pipeline, PipelineError, PipelineNext, Reach, Tally, class_index, gathered_text,
    sample,
};
use mesh30k_core::time::MeshTimeUs;
use mesh30k_ledger::types::{AgentClass, AgentId};
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
        assert_eq!(step.reach, Reach::Agents);
        cascade.on_result(100, if class == AgentClass::C { 97 } else { 99 });
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
    let mut wave = Cascade::new(CascadeForm::Wave, ClassSet::MACHINES);
    let reach = |onward| match onward {
        Onward::Next(step) => step.reach,
        other => panic!("{other:?}"),
    };
    assert_eq!(reach(wave.current()), Reach::Sectors);
    assert_eq!(reach(wave.on_result(100, 98)), Reach::Clusters);
    assert_eq!(wave.clone().on_result(100, 97), Onward::Stopped);
    assert_eq!(reach(wave.on_result(100, 100)), Reach::Agents);
    assert_eq!(wave.on_result(100, 97), Onward::Stopped, "the last level is judged as well");
    assert_eq!(wave.on_result(100, 100), Onward::Stopped, "nothing more is counted");
    assert_eq!(wave.results().len(), 3);
    let mut parallel = Cascade::new(CascadeForm::Parallel, ClassSet::MACHINES);
    assert_eq!(parallel.on_result(100, 97), Onward::Done);
    assert!(parallel.results()[0].reached, "0.90 is enough");
    let mut torn = Cascade::new(CascadeForm::Parallel, ClassSet::MACHINES);
    torn.on_result(100, 89);
    assert!(!torn.results()[0].reached && torn.results()[0].ready_ppm == 890_000);
}

#[test]
fn agreement_names_the_majority_and_counts_the_silent() {
    let said = |rows: &[(&str, u64)]| rows.iter().map(|(a, n)| ((*a).to_owned(), *n)).collect::<Vec<_>>();
    let torn = Agreement::of(&said(&[("x", 2), ("y", 6)]), 10);
    assert_eq!((torn.majority.as_deref(), torn.agreeing, torn.differing, torn.silent), (Some("y"), 6, 2, 2));
    assert_eq!(torn.divergence_ppm, 250_000);
    let even = Agreement::of(&said(&[("b", 3), ("a", 3)]), 6);
    assert_eq!(even.majority.as_deref(), Some("a"), "an even split goes to the first by its text, in whatever order");
    assert_eq!(Agreement::of(&[], 7), Agreement { silent: 7, ..Agreement::default() });
}

#[test]
fn a_pipeline_foresees_each_stage_from_the_one_before() {
    let at = MeshTimeUs;
    let mut pipeline = Pipeline::new(at(1_000_000), &[500_000, 300_000, 400_000]).unwrap();
    let first = [1_500_000, 1_800_000 + FIRST_GATHER_US, 2_200_000 + 2 * FIRST_GATHER_US].map(at);
    assert_eq!(pipeline.forecast(), first);
    assert_eq!(pipeline.next(), PipelineNext::Start(0));
    assert_eq!(pipeline.on_gathered(at(9), true), PipelineNext::Start(0), "nothing is gathered before it was started");
    pipeline.on_started(at(1_600_000));
    assert_eq!(pipeline.on_gathered(at(1_700_000), true), PipelineNext::Start(1));
    // The first stage's result took 100 ms: so the next is taken to do.
    assert_eq!(pipeline.forecast(), [1_600_000, 2_000_000, 2_500_000].map(at));
    pipeline.on_started(at(2_050_000));
    assert_eq!(pipeline.on_gathered(at(2_150_000), false), PipelineNext::Stopped);
    assert_eq!(pipeline.on_gathered(at(2_200_000), true), PipelineNext::Stopped);
    assert_eq!(Pipeline::new(at(0), &[]).unwrap_err(), PipelineError::Stages(0));
    assert_eq!(Pipeline::new(at(0), &[1; MAX_STAGES + 1]).unwrap_err(), PipelineError::Stages(MAX_STAGES + 1));
    let mut one = Pipeline::new(at(0), &[-5]).unwrap();
    one.on_started(at(0));
    assert_eq!(one.on_gathered(at(10), true), PipelineNext::Done);
}

#[test]
fn a_gathered_result_keeps_an_answer_on_its_line() {
    let text = gathered_text(10, 9, &[("A\nB".to_owned(), 8), ("C".to_owned(), 1)]);
    assert_eq!(text, "9 of 10 ready\n8\tA B\n1\tC\n");
}

proptest! {
    #[test]
    fn a_sample_is_a_subset_of_the_wanted_size_and_the_same_for_the_same_seed(
        ids in proptest::collection::btree_set(0u64..50_000, 0..300), count in 0usize..400, seed in any::<u64>(),
    ) {
        let agents: Vec<AgentId> = ids.iter().copied().map(AgentId).collect();
        let drawn = sample(agents.iter().copied(), count, seed);
        prop_assert_eq!(drawn.len(), count.min(agents.len()));
        prop_assert!(drawn.is_sorted() && drawn.iter().all(|agent| ids.contains(&agent.0)));
        prop_assert_eq!(&drawn, &sample(agents.iter().rev().copied(), count, seed), "order of the input is no matter");
    }
}

#[test]
fn every_agent_is_drawn_about_equally_often() {
    let mut hits = [0_u32; 40];
    for seed in 0..4_000 {
        for agent in sample((0..40).map(AgentId), 10, seed) {
            hits[agent.0 as usize] += 1;
        }
    }
    // 1,000 expected each with a deviation of 27; six of them are never passed by chance.
    assert!(hits.iter().all(|n| (840..1_160).contains(n)), "{hits:?}");
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
