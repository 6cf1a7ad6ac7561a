//! Faults by seed: `cargo run -p mesh30k-chain --example faults -- FIRST COUNT` lives COUNT seeds from FIRST and prints a line for
//! each that breaks a promise; with one number it lives that seed and tells its story.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a harness: it reads the clock and prints"
)]

#[path = "../tests/faults/sim/mod.rs"]
mod sim;

use std::time::Instant;

use sim::plant::Plant;
use sim::{Outcome, Plan, run};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let plant = Plant::ALL.into_iter().find(|plant| words.iter().any(|word| *word == format!("--plant={plant:?}")));
    let numbers: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let plan = |seed| Plan { plant, ..Plan::of(seed) };
    match numbers[..] {
        [seed] => tell(&run(seed, plan(seed))),
        [first, count] => many(first, count, plan),
        _ => many(1, 500, plan),
    }
}

fn tell(outcome: &Outcome) {
    for (at, line) in &outcome.story {
        println!("{at:>7} ms  {line}");
    }
    println!("{:#?}", Outcome { story: Vec::new(), ..outcome.clone() });
    std::process::exit(i32::from(!outcome.breaches.is_empty()));
}

fn many(first: u64, count: u64, plan: impl Fn(u64) -> Plan) {
    let began = Instant::now();
    let (mut failed, mut virtual_ms, mut paid, mut crashes) = (0, 0, 0, 0);
    for seed in first..first + count {
        let outcome = run(seed, plan(seed));
        virtual_ms += outcome.virtual_ms;
        paid += outcome.paid;
        crashes += outcome.faults.get("crash").copied().unwrap_or(0);
        if let Some(breach) = outcome.breaches.first() {
            failed += 1;
            println!(
                "seed {seed}: {breach}  (in all {}; again with: --example faults -- {seed})",
                outcome.breaches.len()
            );
        }
    }
    println!(
        "{count} seeds from {first}: {failed} broke a promise; {} s of virtual time, {paid} payments final, {crashes} crashes, {:.1} s",
        virtual_ms / 1_000,
        began.elapsed().as_secs_f64()
    );
    std::process::exit(i32::from(failed > 0));
}
