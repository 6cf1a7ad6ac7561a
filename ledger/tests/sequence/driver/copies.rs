//! The same state by every way it can travel: written to disk and read again, exported and imported, taken from a snapshot.

use mesh30k_ledger::block::Header;
use mesh30k_ledger::export::{export, import};
use mesh30k_ledger::restore::{restore, travels};
use mesh30k_ledger::state::{ChangeSet, MemoryState};

fn written(changes: ChangeSet) -> MemoryState {
    let mut state = MemoryState::new();
    state.apply(changes);
    state
}

/// What each way gives: equal in every record, every tree node and the root. `last` is the header of the block the state is after.
pub fn check(state: &MemoryState, last: &Header) {
    let entries = || state.entries().map(|(key, value)| (key.to_vec(), value.to_vec()));
    let read_again = written(entries().map(|(key, value)| (key, Some(value))).collect());
    assert!(read_again == *state, "written and read again");

    let mut lines = Vec::new();
    export(state, |line| lines.push(line)).unwrap();
    let imported = written(import(lines.iter().map(String::as_str)).unwrap());
    assert!(imported == *state, "exported and imported");

    let restored = restore(entries().filter(|(key, _)| travels(key)), last).unwrap();
    assert!(written(restored.changes) == *state, "taken from a snapshot");
}
