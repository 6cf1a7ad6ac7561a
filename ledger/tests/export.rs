//! A state that was written out and read back is the same, and nothing else is taken for one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, open, receipt, report};
use common::{World, alice, bob, id_of, key};
use mesh30k_ledger::export::{ImportError, export, import};
use mesh30k_ledger::ops::{Bond, EscrowRelease, Operation, ReportIntensity, RotateKey, Schedule, Transfer};
use mesh30k_ledger::records::Duty;
use mesh30k_ledger::state::{MemoryState, StateRead};
use mesh30k_ledger::types::Uftns;
use mesh30k_ledger::{invariants, query};
use proptest::prelude::*;
use std::sync::LazyLock;

fn lines(state: &MemoryState) -> Vec<String> {
    let mut lines = Vec::new();
    export(state, |line| lines.push(line)).unwrap();
    lines
}

fn back(lines: &[String]) -> Result<MemoryState, ImportError> {
    let changes = import(lines.iter().map(String::as_str))?;
    let mut state = MemoryState::new();
    state.apply(changes);
    Ok(state)
}

/// A chain with some of everything in it.
fn busy() -> World {
    let mut world = mesh(World::new());
    let escrow = open(&mut world, 3, 90_000);
    let receipt = receipt(&world, report(0));
    let first_at = world.now().plus_ms(9_000);
    let plan =
        Schedule { to: id_of(&bob()), amount: Uftns(5), times: 2, first_at, every_ms: 60_000, memo: "ü \"x\"".into() };
    for (who, op) in [
        (alice(), Operation::EscrowRelease(EscrowRelease { escrow, receipt })),
        (alice(), Operation::Schedule(plan)),
        (bob(), Operation::Bond(Bond { duty: Duty::Reviewer, amount: Uftns(9) })),
        (key(1), Operation::ReportIntensity(ReportIntensity { region: common::region("DE"), mg_per_kwh: 390_000 })),
        (key(3), Operation::RotateKey(RotateKey::Host(key(9).public()))),
    ] {
        assert!(world.one(&who, op).is_executed());
    }
    world
}

#[test]
fn a_state_comes_back_byte_for_byte_and_goes_on() {
    let world = busy();
    let lines = lines(&world.state);
    let state = back(&lines).unwrap();
    assert!(state == world.state, "every entry, trees and tip included");
    invariants::check(&state).unwrap();
    let mut copy = World { genesis: world.genesis.clone(), context: world.context, state };
    let mut world = world;
    let pay = Operation::Transfer(Transfer { to: id_of(&alice()), amount: Uftns(1), memo: String::new() });
    copy.one(&bob(), pay.clone());
    world.one(&bob(), pay);
    assert_eq!(query::tip(&copy.state), query::tip(&world.state));
}

#[test]
fn people_can_read_it() {
    let lines = lines(&busy().state);
    let raw = lines.iter().filter(|line| line.contains("\"bytes\"")).count();
    let account = lines.iter().find(|line| line.contains("\"kind\":\"account\"")).unwrap();
    assert!(account.contains("\"balance\"") && account.contains("\"policy\""), "{account}");
    let typed = lines.iter().filter(|line| line.contains("\"kind\"")).count();
    // Indexes and the history of blocks are bytes.
    assert!(typed > 60 && raw > 0, "{typed} typed, {raw} raw");
    let kinds = [
        "escrow",
        "schedule",
        "bond",
        "intensity",
        "dividend",
        "capability",
        "volume",
        "due",
        "parameters",
        "node",
        "agent",
    ];
    for kind in kinds.into_iter().filter(|kind| *kind != "dividend") {
        assert!(
            lines.iter().any(|line| line.contains(&format!("\"kind\":\"{kind}\""))),
            "{kind} is not told as a record"
        );
    }
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let lines = lines(&busy().state);
    let account = lines.iter().position(|line| line.contains("\"kind\":\"account\"")).unwrap();
    let with = |at: usize, line: String| {
        let mut lines = lines.clone();
        lines[at] = line;
        back(&lines).unwrap_err()
    };
    let richer = lines[account].replacen("\"nonce\":", "\"nonce\":1", 1);
    assert!(matches!(with(account, richer), ImportError::Root { .. }));
    let mut missing = lines.clone();
    missing.remove(account);
    assert!(matches!(back(&missing), Err(ImportError::Root { .. })));
    let mut twice = lines.clone();
    twice.insert(account, lines[account].clone());
    assert_eq!(back(&twice), Err(ImportError::Order { line: account as u64 + 2 }));
    for wrong in [
        "",
        "{",
        "[]",
        "{\"key\":\"zz\"}",
        "{\"key\":\"61\"}",
        "{\"key\":\"5361\",\"bytes\":\"00\"}",
        "{\"key\":\"6d74\",\"bytes\":\"\"}",
    ] {
        assert!(matches!(with(account, wrong.into()), ImportError::Line { .. }), "{wrong}");
    }
    assert!(matches!(back(&[]), Err(ImportError::Head { line: 1, .. })));
    let escaped = lines[account].replacen("\"key\":\"6", "\"key\":\"\\u0036", 1);
    for same in [lines[account].replacen(':', ": ", 1), escaped] {
        assert!(matches!(with(account, same), ImportError::Line { .. }), "it says the same, but is not written so");
    }
    let other = lines[0].replace("export v1", "export v2");
    assert!(matches!(with(0, other), ImportError::Head { line: 1, .. }));
}

static BUSY: LazyLock<(MemoryState, Vec<String>)> = LazyLock::new(|| {
    let state = busy().state;
    let lines = lines(&state);
    (state, lines)
});

proptest! {
    /// A damaged line is refused, or means the same.
    #[test]
    fn damaged_exports_are_refused(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), letter in "[ -~]") {
        let (state, lines) = &*BUSY;
        let mut lines = lines.clone();
        let line = &mut lines[which.index(BUSY.1.len())];
        let at = at.index(line.len());
        if line.is_char_boundary(at) && line.is_char_boundary(at + 1) {
            line.replace_range(at..=at, &letter);
        }
        if let Ok(taken) = back(&lines) {
            // What the state root does not vouch for: block and time of the tip, and the history of blocks.
            let other = |(key, value): &(&[u8], &[u8])| state.get(key).unwrap().as_deref() != Some(*value);
            let differs: Vec<_> = taken.entries().filter(other).map(|(key, _)| key[0]).collect();
            prop_assert!(matches!(differs.as_slice(), [] | [b'm' | b'M']), "{differs:?} differ");
        }
    }
}
