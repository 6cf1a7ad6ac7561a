//! What operators hand to a node as files: genesis, exports, archives, restart orders.

use mesh30k_chain::{FinalBlock, History, LedgerStore, Restartable, SignedRestart, SignedStatement, StoredBlock};
use mesh30k_consensus::finality::FinalTip;
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::export::{ImportError, export, import};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::invariants;
use mesh30k_ledger::state::{ChangeSet, MemoryState};
use mesh30k_ledger::types::{Epoch, Round};
use std::sync::{Arc, LazyLock};

use crate::strict::{choose, stable_json, strict, through_json};
use crate::world::CERTIFIED;

/// More than any of them here.
const MAX_BYTES: usize = 1 << 20;

/// A genesis: it is one chain only, and what it begins with adds up.
pub fn genesis(bytes: &[u8]) {
    let Some(genesis) = stable_json::<Genesis>(bytes) else { return };
    through_json(&genesis);
    let written = encode(&genesis);
    // Lists that people order as they like are sorted by reading; what cannot be written canonically has to be refused below.
    if let Ok(back) = decode::<Genesis>(&written, MAX_BYTES) {
        assert_eq!(back.hash(), genesis.hash());
    }
    if let Ok(changes) = genesis.initial_changes() {
        let mut state = MemoryState::new();
        state.apply(changes);
        invariants::check(&state).expect("a genesis that is taken adds up");
    }
}

/// An export. Whatever records it has, its first line can be made to name their root; then what was read is written and read again.
pub fn exported(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let changes = match import(text.lines()) {
        Ok(changes) => changes,
        Err(ImportError::Root { found, expected }) => {
            let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
            // Digits are read in either case. Where they are written as escapes, nothing is learned.
            let (head, expected) = (head.to_ascii_lowercase(), expected.to_string());
            if !head.contains(&expected) {
                return;
            }
            let named = head.replace(&expected, &found.to_string());
            match import(std::iter::once(named.as_str()).chain(rest.lines())) {
                Ok(changes) => changes,
                Err(error) => panic!("the root it names is the one it has, yet: {error}"),
            }
        }
        Err(_) => return,
    };
    let again = written(&changes).and_then(|lines| import(lines.iter().map(String::as_str)).ok());
    assert!(again.is_none_or(|again| again == changes), "an export of what was imported is another state");
}

/// The lines of a state; none if it is too damaged to be written.
fn written(changes: &ChangeSet) -> Option<Vec<String>> {
    let mut state = MemoryState::new();
    state.apply(changes.clone());
    let mut lines = Vec::new();
    export(&state, |line| lines.push(line)).ok()?;
    Some(lines)
}

/// The lines of the ledger of a node that came to be when the last block did.
pub static ARCHIVE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let (store, certified) = (memory(), &*CERTIFIED);
    let state = certified.world.state.entries().map(|(key, value)| (key.to_vec(), Some(value.to_vec()))).collect();
    store.replace_state(&state, None).expect("memory does not fail");
    let stored = StoredBlock {
        block: certified.block.clone(),
        certificate: certified.certificate.clone(),
        outcomes: certified.execution.outcomes.clone(),
        due: certified.execution.due.clone(),
        commitment: certified.execution.commitment,
    };
    let (changes, transactions) = (ChangeSet::new(), certified.execution.transactions.as_slice());
    let block = FinalBlock { stored: &stored, changes: &changes, transactions, position: None };
    store.commit(&block).expect("memory does not fail");
    let mut lines = Vec::new();
    store.archive(History::Kept, |line| lines.push(line)).expect("its last block is certified");
    lines
});

fn memory() -> LedgerStore {
    LedgerStore::new(Arc::new(MemDisk::new(FlushMode::Immediate).open()))
}

/// The first lines of an archive, before the others of a genuine one, read by a node that has only its genesis: only the certified ledger
/// is taken, and it is the file that was read that is written of it; of what is refused, nothing stays.
pub fn archive(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let given = text.split('\n').count();
    let lines: Vec<&str> = text.split('\n').chain(ARCHIVE.iter().skip(given).map(String::as_str)).collect();
    let store = memory();
    let genesis = CERTIFIED.world.genesis.initial_changes().expect("the genesis is sound");
    store.replace_state(&genesis, None).expect("memory does not fail");
    let height = CERTIFIED.block.header.height;
    let Ok(tip) = store.read_archive(&CERTIFIED.world.genesis, lines.iter().map(Ok)) else {
        assert!(store.block(height).expect("memory does not fail").is_none(), "a refused archive left a block");
        assert!(!store.take_back_import().expect("memory does not fail"), "a refused archive was not taken back");
        return;
    };
    assert_eq!(tip.block, CERTIFIED.block.id());
    let root = mesh30k_ledger::query::tip(&store).expect("state can be read").state_root;
    assert_eq!(root, CERTIFIED.execution.commitment.state_root);
    // Without its block, a state proves itself to nobody else.
    if store.block(height).expect("memory does not fail").is_some() {
        let mut again = Vec::new();
        store.archive(History::Kept, |line| again.push(line)).expect("it was just read");
        assert_eq!(again, lines, "what was read is written otherwise");
    }
}

/// A restart order or a validator's last word, as JSON (as they come) or in canonical bytes (as they are signed).
pub fn restart(bytes: &[u8]) {
    let Some((kind, bytes)) = choose(bytes, 4) else { return };
    let order = match kind {
        0 => stable_json::<SignedRestart>(bytes),
        1 => strict::<SignedRestart>(bytes, MAX_BYTES),
        2 => return statement(stable_json::<SignedStatement>(bytes)),
        _ => return statement(strict::<SignedStatement>(bytes, MAX_BYTES)),
    };
    let Some(order) = order else { return };
    through_json(&order);
    let world = &CERTIFIED.world;
    let node = Restartable {
        context: &world.context,
        tip: FinalTip::of(&CERTIFIED.block.header, &CERTIFIED.certificate),
        validators: &world.genesis.validators,
        certifiers: &world.genesis.validators,
        at: (Epoch(0), Round(0)),
        operators: &world.genesis.operators,
        halted: None,
        now: world.now(),
    };
    if order.check(&node).is_ok() {
        assert!(!order.signatures.is_empty(), "no operator signed");
        assert_eq!(order.order.base.block, CERTIFIED.block.id());
        assert_eq!(order.order.round, Round(1));
    }
}

fn statement(said: Option<SignedStatement>) {
    let Some(said) = said else { return };
    through_json(&said);
    if said.is_signed_in(&CERTIFIED.world.genesis.validators) {
        assert!(CERTIFIED.world.genesis.validators.get(said.statement.node).is_some());
    }
}
