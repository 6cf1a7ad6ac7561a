//! Bad input of every kind: zero, maximum, overflow, oneself, wrong state, wrong owner, twice, late, early. Always a typed reason
//! and one line of text, in a fixed order of precedence, and nothing changed but nonce and fee.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod contents;
mod scene;
mod table;

use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::invariants;
use mesh30k_ledger::ops::Operation;
use scene::{examples, scene, unchanged};
use std::collections::BTreeSet;

#[test]
fn one_of_every_kind_would_be_carried_out() {
    let scene = scene();
    let mut kinds = BTreeSet::new();
    for (who, op) in examples(&scene) {
        let signed = scene.world.signed(&who, op.clone());
        let outcome = scene.world.try_run(1, vec![signed]).unwrap().1.outcomes.remove(0);
        assert!(outcome.is_executed(), "{op:?}: {outcome:?}");
        kinds.insert(encode(&op)[0]);
    }
    // The first byte is the variant; the next one after the last is none.
    let last = *kinds.last().unwrap();
    assert_eq!(kinds.len(), usize::from(last) + 1, "a kind is missing");
    assert!(decode::<Operation>(&[last + 1; 300], 300).is_err(), "a kind was added and has no example here");
}

/// Every byte, every four and every eight bytes of every operation as zeroes and as ones: this reaches zero and the maximum of
/// every field, and names nobody has. Whatever still reads is carried out or refused whole.
#[test]
fn every_field_at_its_ends_is_carried_out_or_refused_whole() {
    let scene = scene();
    let (mut tried, mut refused) = (0_u32, 0_u32);
    for (who, op) in examples(&scene) {
        let bytes = encode(&op);
        for width in [1, 4, 8, 20, 32] {
            for at in 1..=bytes.len().saturating_sub(width) {
                for fill in [0x00, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[at..at + width].fill(fill);
                    let Ok(changed) = decode::<Operation>(&damaged, damaged.len()) else { continue };
                    if changed == op {
                        continue;
                    }
                    let signed = scene.world.signed(&who, changed.clone());
                    let (_, execution) = scene.world.try_run(1, vec![signed]).unwrap();
                    invariants::check_step(&scene.world.state, &execution.changes)
                        .unwrap_or_else(|breach| panic!("{changed:?}: {breach}"));
                    tried += 1;
                    let outcome = &execution.outcomes[0];
                    assert!(!outcome.sentence().is_empty(), "{outcome:?}");
                    if !outcome.is_executed() {
                        unchanged(&scene.world.state, &who, &execution.changes, outcome.fee());
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(tried > 5_000 && refused > 3_000, "{tried} tried, {refused} refused");
}
