//! The seeds of every test run; `make faults` lives more.

use super::sim::{Outcome, Plan, run};

/// Seeds of a test run, in parts that run side by side.
const PART: u64 = 25;

fn hold(first: u64) -> Vec<Outcome> {
    let outcomes: Vec<Outcome> = (first..first + PART).map(|seed| run(seed, Plan::of(seed))).collect();
    for outcome in &outcomes {
        let told = || outcome.story.iter().map(|(at, line)| format!("{at:>7} ms  {line}\n")).collect::<String>();
        assert!(outcome.breaches.is_empty(), "seed {}:\n{}{:#?}", outcome.seed, told(), outcome.breaches);
    }
    // Seeds that never met a fault, or never finished a payment, would prove nothing.
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let faults = |name: &str| outcomes.iter().filter_map(|outcome| outcome.faults.get(name)).sum::<u64>();
    for name in ["crash", "partition", "weather", "pause", "clock", "stall", "full disk", "fsync error", "bit flip"] {
        assert!(faults(name) > 0, "no {name} in seeds {first} to {}", first + PART - 1);
    }
    assert!(sum(|outcome| outcome.paid) > 20 * PART && sum(|outcome| outcome.looks) > PART);
    assert!(sum(|outcome| outcome.terms) > 2 * PART && sum(|outcome| outcome.acknowledged) > 20 * PART);
    outcomes
}

#[test]
fn seeds_1_to_25_hold() {
    hold(1);
}

#[test]
fn seeds_26_to_50_hold() {
    hold(26);
}

#[test]
fn seeds_51_to_75_hold() {
    hold(51);
}

#[test]
fn seeds_76_to_100_hold() {
    hold(76);
}

#[test]
fn the_same_seed_is_the_same_story() {
    for seed in [2, 7] {
        assert_eq!(run(seed, Plan::of(seed)), run(seed, Plan::of(seed)));
    }
}
