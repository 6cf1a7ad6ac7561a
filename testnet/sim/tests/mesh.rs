//! Small meshes, simulated: hold beats throw, one seed gives one trace, the dead are counted, bad input is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_sim::{Cause, Scenario, SimConfig, SimError, StrategyKind, run};

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

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    let refused = run(&SimConfig { agents: 0, ..SimConfig::default() });
    assert!(matches!(refused, Err(SimError::Field { field: "agents", value: 0, .. })));
    let refused = run(&SimConfig { target_p: Some(1.0), ..SimConfig::default() });
    assert!(matches!(refused, Err(SimError::TargetP(_))));
    assert!("mixd".parse::<Scenario>().unwrap_err().to_string().contains("mixed, replayed"));
}
