//! Anchors: what more than half of a sector's voters say, once and for all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, agents, alice, key, register};
use mesh30k_ledger::ops::{Anchor, Operation};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::query;
use mesh30k_ledger::records::{AnchorHeads, PERIOD_MS};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{Hash, SectorId};

fn world() -> World {
    let mut world = World::new();
    for n in 1..=4_u16 {
        let op = register(None, agents(n * 10..n * 10 + 5));
        assert!(world.one(&key(n as u8), op).is_executed());
    }
    world
}

fn word(world: &World, registry: &[u8]) -> Anchor {
    let heads =
        AnchorHeads { registry_root: Hash::of(registry), conflicts_head: Hash::ZERO, audit_head: Hash::of(b"audit") };
    Anchor { sector: SectorId(0), period: world.now().0 / PERIOD_MS, heads }
}

fn said(outcome: &Outcome) -> (u64, bool) {
    match outcome {
        Outcome::Executed { effect: Effect::Anchored { words, anchored, .. }, .. } => (*words, *anchored),
        other => panic!("not anchored: {other:?}"),
    }
}

#[test]
fn more_than_half_of_the_voters_anchor_for_good() {
    let mut world = world();
    let voters: Vec<u8> =
        query::sector(&world.state, SectorId(0)).unwrap().unwrap().voters.iter().map(|id| id.0 as u8).collect();
    assert!(voters.len() >= 3, "{voters:?}");
    let (honest, liar) = (word(&world, b"true"), word(&world, b"false"));
    let needed = voters.len() / 2 + 1;
    assert_eq!(said(&world.one(&key(voters[0]), Operation::Anchor(liar))), (1, false));
    for (n, voter) in (1..).zip(&voters[1..]) {
        assert_eq!(said(&world.one(&key(*voter), Operation::Anchor(honest))), (n, n as usize >= needed));
    }
    let record = query::anchor(&world.state, honest.period, SectorId(0)).unwrap().unwrap();
    assert_eq!(record.anchored, (voters.len() > needed).then_some(honest.heads));
    // One word each, whatever it is.
    for op in [honest, liar] {
        let again = world.one(&key(voters[0]), Operation::Anchor(op));
        assert!(matches!(again.rejection(), Some(Rejection::AlreadyDone(_))));
    }
}

#[test]
fn only_voters_speak_and_only_of_today_and_yesterday() {
    let mut world = world();
    let today = word(&world, b"x");
    assert!(matches!(world.one(&alice(), Operation::Anchor(today)).rejection(), Some(Rejection::NodeMissing(_))));
    let unknown = Anchor { sector: SectorId(99), ..today };
    assert!(matches!(world.one(&key(1), Operation::Anchor(unknown)).rejection(), Some(Rejection::UnknownScope(_))));
    let node = common::node_registration(30);
    assert!(world.one(&alice(), register(Some(node), vec![])).is_executed());
    assert!(matches!(world.one(&alice(), Operation::Anchor(today)).rejection(), Some(Rejection::NotVoter { .. })));
    for period in [today.period - 2, today.period + 1, 0, u64::MAX] {
        let op = Anchor { period, ..today };
        assert!(matches!(world.one(&key(1), Operation::Anchor(op)).rejection(), Some(Rejection::OutOfBounds { .. })));
    }
    assert!(world.one(&key(1), Operation::Anchor(Anchor { period: today.period - 1, ..today })).is_executed());
}
