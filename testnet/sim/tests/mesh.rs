//! Small meshes, simulated: hold beats throw, one seed gives one trace, the dead are counted, bad input is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_sim::{Cause, Scenario, SimConfig, SimError, StrategyKind, StrategyReport, run, run_cascades};

fn small(seed: u64) -> SimConfig {
    SimConfig { seed, agents: 600, waves: 4, warm_up_us: 20_000_000, interval_us: 10_000_000, ..SimConfig::default() }
}

#[test]
fn each_strategy_is_better_than_the_one_before_where_it_should_be() {
    let report = run(&small(1)).unwrap();
    assert_eq!(report.breaches(), Vec::<String>::new());
    let within = |kind: StrategyKind| report.strategies[&kind].counts.within_10ms * 1_000 / 2_400;
    assert_eq!(report.strategies.len(), 4);
    for strategy in report.strategies.values() {
        assert_eq!(strategy.counts.enrolled, 2_400);
        assert_eq!(strategy.misses.values().sum::<u64>() + strategy.counts.within_10ms, 2_400);
        assert_eq!(strategy.per_wave.len(), 4);
    }
    assert!(within(StrategyKind::FirstDraft) < 500, "{report:?}");
    assert!((400..700).contains(&within(StrategyKind::LearnedThrow)), "{report:?}");
    assert!(within(StrategyKind::Hold) >= 980, "{report:?}");
    assert!(within(StrategyKind::HoldHedge) >= 980, "{report:?}");
}

#[test]
fn one_seed_gives_one_trace_and_another_another() {
    for scenario in [Scenario::Mixed, Scenario::Replayed] {
        let config = |seed| SimConfig { agents: 120, waves: 2, scenario, ..small(seed) };
        let first = run(&config(1)).unwrap();
        assert_eq!(first.trace_hash, run(&SimConfig { threads: 2, ..config(1) }).unwrap().trace_hash);
        assert_ne!(first.trace_hash, run(&config(2)).unwrap().trace_hash);
    }
}

#[test]
fn the_dead_are_misses_and_named_so() {
    let strategies = vec![StrategyKind::Hold];
    let report = run(&SimConfig { fault_factor: 50.0, strategies, ..small(3) }).unwrap();
    let hold = &report.strategies[&StrategyKind::Hold];
    let dead = hold.counts.enrolled - hold.alive;
    // A tenth are dead at any time.
    assert!((100..400).contains(&dead), "{dead}");
    assert!(hold.misses[&Cause::Dead] * 10 >= dead * 9, "{:?} of {dead}", hold.misses);
}

#[test]
fn a_coordinator_that_dies_before_t_costs_neither_releases_nor_acks() {
    let run_of = |scenario| {
        let report = run(&SimConfig { scenario, strategies: vec![StrategyKind::HoldHedge], ..small(5) }).unwrap();
        assert_eq!(report.breaches(), Vec::<String>::new());
        let hedged = &report.strategies[&StrategyKind::HoldHedge];
        (hedged.counts.within_10ms, hedged.counts.released, hedged.acked)
    };
    let (usual, _, _) = run_of(Scenario::Mixed);
    let (hits, released, acked) = run_of(Scenario::CoordinatorKilled);
    assert!(hits + 2 >= usual, "{hits} of {usual}");
    assert!(acked + 4 >= released, "{acked} of {released} releases were acked");
}

/// Counts that must contain one another, whatever happened.
fn are_ordered(report: &StrategyReport) {
    let counts = report.counts;
    assert!(counts.kept <= counts.promised && counts.promised <= report.alive, "{report:?}");
    assert!(report.alive <= counts.enrolled && report.errors.total() == counts.released, "{report:?}");
    assert!(report.proved <= report.estimated && report.estimated <= report.possible, "{report:?}");
    assert!(report.possible <= report.acked && report.acked <= counts.enrolled, "{report:?}");
    for (omega_us, within) in [(2_000, counts.within_2ms), (10_000, counts.within_10ms), (250_000, counts.within_250ms)]
    {
        assert_eq!(report.errors.within(omega_us), within);
    }
    let of_classes = report.classes.values().map(|class| (class.promised, class.kept));
    let sums = of_classes.fold((0, 0), |(promised, kept), (p, k)| (promised + p, kept + k));
    assert_eq!(sums, (counts.promised, counts.kept));
}

#[test]
fn promises_and_proofs_are_within_what_happened() {
    let report = run(&small(7)).unwrap();
    let of = |kind: StrategyKind| &report.strategies[&kind];
    for kind in [StrategyKind::LearnedThrow, StrategyKind::Hold, StrategyKind::HoldHedge] {
        are_ordered(of(kind));
    }
    // A throw promises nothing, and the draft can prove nothing: its only clock is the root's.
    assert_eq!([StrategyKind::FirstDraft, StrategyKind::LearnedThrow].map(|kind| of(kind).counts.promised), [0, 0]);
    let draft = of(StrategyKind::FirstDraft);
    assert_eq!(draft.proved, 0);
    assert!(draft.estimated <= draft.possible && draft.possible > draft.counts.within_10ms, "{draft:?}");
    let hold = of(StrategyKind::Hold);
    assert!(hold.counts.kept * 100 >= hold.counts.promised * 98, "{hold:?}");
    assert!(hold.counts.promised * 100 >= hold.counts.enrolled * 95, "{hold:?}");
    // What is proved happened: the only clock not in the bound is the lead's own, off by a third of a millisecond.
    assert!(hold.proved > 0 && hold.proved <= hold.counts.within_10ms, "{hold:?}");
}

#[test]
fn a_higher_wanted_p_is_kept_more_often() {
    let kept = |p| {
        let config = SimConfig { strategies: vec![StrategyKind::Hold], target_p: Some(p), ..small(9) };
        let counts = run(&config).unwrap().strategies[&StrategyKind::Hold].counts;
        counts.kept * 1_000 / counts.promised
    };
    let (half, most, nearly_all) = (kept(0.5), kept(0.9), kept(0.99));
    assert!((500..900).contains(&half) && half < most && most < nearly_all, "{half} {most} {nearly_all}");
}

#[test]
fn cascades_at_once_take_the_ways_and_little_more() {
    let report = run_cascades(&small(11), &|_| {}).unwrap();
    assert_eq!(report, run_cascades(&small(11), &|_| {}).unwrap());
    assert!(report.alive <= report.enrolled && report.enrolled == 2_400, "{report:?}");
    let (delivery, round_trip) = (report.delivery, report.round_trip);
    // Ways of about 35 and 5 ms and a last hop of a few; each of two sectors may be nearer or farther.
    assert!((15_000..120_000).contains(&delivery.p50_us.unwrap()), "{report:?}");
    assert!(delivery.p50_us < delivery.p95_us && delivery.p95_us < Some(400_000), "{report:?}");
    assert!(round_trip.p50_us.unwrap() > delivery.p50_us.unwrap() * 3 / 2, "{report:?}");
    // A summary that waits for the dead until its deadline may leave without a cluster or two: a correction follows.
    assert!(report.folded_released * 10 >= report.alive * 7, "{report:?}");
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    let refused = run(&SimConfig { agents: 0, ..SimConfig::default() });
    assert!(matches!(refused, Err(SimError::Field { field: "agents", value: 0, .. })));
    let refused = run(&SimConfig { target_p: Some(1.0), ..SimConfig::default() });
    assert!(matches!(refused, Err(SimError::TargetP(_))));
    assert!("mixd".parse::<Scenario>().unwrap_err().to_string().contains("mixed, replayed"));
}
