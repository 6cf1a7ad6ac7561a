//! Long random histories over a thousand accounts and every kind of operation: conservation after every step, and an auditor that
//! predicts every balance from what was sent. The same in full: `cargo run --release -p mesh30k-ledger --example sequence`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod driver;

use driver::Driver;

#[test]
fn a_fixed_history_conserves_and_is_predicted() {
    let mut driver = Driver::new(1);
    driver.run(25_000, 5_000, |_| {});
    let idle: Vec<_> = driver.figures().into_iter().filter(|(_, executed, _)| *executed == 0).collect();
    assert!(idle.is_empty(), "kinds that were never carried out: {idle:?}");
}

#[test]
fn a_history_depends_on_its_seed_alone() {
    let root = |seed| {
        let mut driver = Driver::new(seed);
        driver.run(300, 300, |_| {});
        driver.state_root()
    };
    assert_eq!(root(2), root(2));
    assert_ne!(root(2), root(3));
}

#[test]
#[should_panic(expected = "audit")]
fn a_balance_that_was_bent_is_noticed() {
    let mut driver = Driver::new(4);
    driver.run(50, 50, |_| {});
    driver.bend();
    driver.run(50, 50, |_| {});
}
