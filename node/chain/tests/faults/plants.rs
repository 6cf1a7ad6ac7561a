//! The checks themselves: every planted mistake is caught.

use super::sim::plant::Plant;
use super::sim::{Plan, run};

/// Seeds tried before a mistake counts as missed.
const SEEDS: u64 = 40;

/// What catches each mistake. Some need disks that lie: with honest ones they do no harm.
const CAUGHT_BY: [(Plant, &str); 5] = [
    (Plant::AcknowledgeBeforeSync, "no acknowledged write lost"),
    (Plant::VoteWithoutSignLog, "one vote a height"),
    (Plant::SmallQuorum, "certificates"),
    (Plant::EarlyLeader, "leaders build on their whole log"),
    (Plant::TornCommit, "equal roots"),
];

fn is_caught(plant: Plant) -> bool {
    let (_, by) = CAUGHT_BY.iter().find(|(one, _)| *one == plant).unwrap();
    (1..=SEEDS).any(|seed| {
        // Without a record nobody errs as long as Raft keeps its word: the disks have to break it.
        let lying_disks = Plan::of(seed).lying_disks || plant == Plant::VoteWithoutSignLog;
        let outcome = run(seed, Plan { plant: Some(plant), lying_disks, ..Plan::of(seed) });
        let caught = outcome.breaches.iter().any(|breach| breach.starts_with(by));
        if !outcome.breaches.is_empty() {
            eprintln!("{plant:?}, seed {seed}: {:?}", &outcome.breaches[..outcome.breaches.len().min(3)]);
        }
        caught
    })
}

#[test]
fn the_list_is_complete() {
    assert_eq!(CAUGHT_BY.map(|(plant, _)| plant), Plant::ALL);
}

#[test]
fn acknowledging_before_the_disk_does_is_caught() {
    assert!(is_caught(Plant::AcknowledgeBeforeSync));
}

#[test]
fn voting_without_a_record_is_caught() {
    assert!(is_caught(Plant::VoteWithoutSignLog));
}

#[test]
fn a_small_quorum_is_caught() {
    assert!(is_caught(Plant::SmallQuorum));
}

#[test]
fn a_leader_that_proposes_too_early_is_caught() {
    assert!(is_caught(Plant::EarlyLeader));
}

#[test]
fn a_commit_in_two_writes_is_caught() {
    assert!(is_caught(Plant::TornCommit));
}

/// Production names no mistake, so that none can be set.
#[test]
fn no_production_code_plants_a_mistake() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut open: Vec<_> = ["node/src", "cli/src", "testnet/src", "p2p/src"].map(|folder| root.join(folder)).into();
    let mut read = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("Mistake") && !text.contains(".plant("), "{} plants a mistake", path.display());
            read += 1;
        }
    }
    assert!(read > 50, "the walk found almost nothing");
}
