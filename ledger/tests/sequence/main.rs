//! Long random histories over a thousand accounts and every kind of operation: conservation after every step, and an auditor that
//! predicts every balance from what was sent. The same in full: `cargo run --release -p mesh30k-ledger --example sequence`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod driver;
mod hledger;

use driver::Driver;
use std::collections::BTreeMap;

#[test]
fn a_fixed_history_conserves_and_is_predicted() {
    let mut driver = Driver::new(3);
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

/// The journal read by its own grammar, without the code that wrote it: every entry balances, and the sums are the ledger's.
#[test]
fn the_journal_balances_and_says_what_the_ledger_says() {
    let mut driver = Driver::new(5);
    driver.keep_journal();
    driver.run(2_000, 2_000, |_| {});
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    let mut entries = 0;
    for entry in driver.journal().split("\n\n").filter(|entry| !entry.is_empty()) {
        let mut sum = 0;
        for line in entry.lines().skip(1) {
            let (name, amount) = line.trim_start().split_once("  ").unwrap();
            let amount: i128 = amount.strip_suffix(" FTNS").unwrap().replace('.', "").parse().unwrap();
            sum += amount;
            *sums.entry(name).or_default() += amount;
        }
        assert_eq!(sum, 0, "{entry}");
        entries += 1;
    }
    assert!(entries > 1_000);
    for (name, sum) in &sums {
        let (kind, id) = name.rsplit_once(':').unwrap();
        let Ok(id) = id.parse() else { continue };
        let (free, staked) = driver.account(&id);
        let expected = if kind == "assets:free" { free } else { staked };
        assert_eq!(*sum, i128::from(expected), "{name}");
    }
}

#[test]
#[should_panic(expected = "audit")]
fn a_balance_that_was_bent_is_noticed() {
    let mut driver = Driver::new(4);
    driver.run(50, 50, |_| {});
    driver.bend();
    driver.run(50, 50, |_| {});
}
