//! The long random history of `tests/sequence`, as long as wanted.
//!
//! `cargo run --release -p mesh30k-ledger --example sequence [STEPS [SEED [FULL_CHECK_EVERY]]] [--journal FILE]`; by
//! default a million steps. The journal is for hledger; it is kept in memory, so ask for few steps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a harness: it reads the clock, prints, and stops at the first breach"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/sequence/driver/mod.rs"]
mod driver;

use std::time::Instant;

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let journal =
        words.iter().position(|word| word == "--journal").map(|at| words.drain(at..at + 2).nth(1).expect("a file"));
    let mut arguments = words.iter().map(|text| text.parse::<u64>().expect("a whole number"));
    let steps = arguments.next().unwrap_or(1_000_000);
    let seed = arguments.next().unwrap_or(1);
    let full_every = arguments.next().unwrap_or(50_000).max(1);
    println!("{steps} steps, seed {seed}; conservation after every step, every record every {full_every} steps");
    let start = Instant::now();
    let mut driver = driver::Driver::new(seed);
    if journal.is_some() {
        driver.keep_journal();
    }
    driver.run(steps, full_every, |done| {
        println!("{done:>9} steps   {:>7.1} s", start.elapsed().as_secs_f64());
    });
    if let Some(file) = journal {
        std::fs::write(&file, driver.journal()).expect("the journal can be written");
        println!("journal written to {file}; `hledger -f {file} check` reads it");
    }
    println!("{:<24} {:>9} {:>9}", "kind", "executed", "rejected");
    for (kind, executed, rejected) in driver.figures() {
        println!("{kind:<24} {executed:>9} {rejected:>9}");
    }
    println!("{:<40} {:>9}", "what came of it", "times");
    for (label, times) in driver.reached() {
        println!("{label:<40} {times:>9}");
    }
    println!(
        "state root {} after {:.1} s: nothing lost, nothing made, every balance as predicted",
        driver.state_root(),
        start.elapsed().as_secs_f64()
    );
}
