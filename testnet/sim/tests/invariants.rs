//! Whatever goes wrong, the rules hold; and a rule that is broken on purpose is seen to be broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_sim::{Plant, SCENARIOS, SimConfig, StrategyKind, run};

/// A small mesh in which ten times as much goes wrong as usual.
fn faulty(seed: u64) -> SimConfig {
    let (scenario, _) = SCENARIOS[seed as usize % SCENARIOS.len()];
    SimConfig {
        seed,
        agents: 120,
        waves: 3,
        scenario,
        strategies: vec![StrategyKind::HoldHedge],
        warm_up_us: 12_000_000,
        interval_us: 8_000_000,
        fault_factor: 10.0,
        effects_every: 2,
        ..SimConfig::default()
    }
}

/// 200 seeds in four parts, so that every core has one.
fn hold_in(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let report = run(&faulty(seed)).unwrap();
        assert_eq!(report.breaches(), Vec::<String>::new(), "replay: mesh30k testnet sim with {:?}", faulty(seed));
        let hedged = &report.strategies[&StrategyKind::HoldHedge];
        assert!(hedged.counts.within_10ms > 0, "seed {seed}: {hedged:?}");
    }
}

#[test]
fn two_hundred_seeds_with_faults_hold_every_rule_1() {
    hold_in(0..50);
}

#[test]
fn two_hundred_seeds_with_faults_hold_every_rule_2() {
    hold_in(50..100);
}

#[test]
fn two_hundred_seeds_with_faults_hold_every_rule_3() {
    hold_in(100..150);
}

#[test]
fn two_hundred_seeds_with_faults_hold_every_rule_4() {
    hold_in(150..200);
}

#[test]
fn a_rule_broken_on_purpose_is_seen_to_be_broken() {
    let planted = [
        (Plant::EarlyRelease, "no release before T - bound"),
        (Plant::SecondRelease, "none released twice"),
        (Plant::LostAck, "no ack lost at a living parent"),
        (Plant::ForgottenCluster, "denominators complete"),
        (Plant::Overspending, "hedge budget kept"),
    ];
    for (plant, rule) in planted {
        // Seed 0 is the mixed scenario.
        let report = run(&SimConfig { plant: Some(plant), ..faulty(0) }).unwrap();
        let breaches = report.breaches();
        assert!(breaches.iter().any(|breach| breach.contains(rule)), "{plant:?} broke {breaches:?}");
    }
}
