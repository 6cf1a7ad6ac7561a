//! A disk that answers with an older record, or with another's: whoever carries out a block on it comes to another commitment than the
//! honest, so that its vote counts for nothing and it halts; it never agrees by accident.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of, operator};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::execute::execute;
use mesh30k_ledger::invariants;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::state::{ChangeSet, MemoryState, StateRead as _};
use mesh30k_ledger::types::{AccountId, Hash, Uftns};

fn key_of(id: AccountId) -> Vec<u8> {
    [b"a".as_slice(), &id.0].concat()
}

fn pay(world: &mut World) -> Block {
    let op = Operation::Transfer(Transfer { to: id_of(&bob()), amount: Uftns(7), memo: String::new() });
    let signed = world.signed(&alice(), op);
    world.block(10, vec![signed])
}

/// The state with one record replaced, its trees as they were.
fn with(state: &MemoryState, key: Vec<u8>, value: Vec<u8>) -> MemoryState {
    let mut state = state.clone();
    state.apply(ChangeSet::from([(key, Some(value))]));
    state
}

/// What a block comes to on a state; nothing where it is not carried out at all.
fn commitment(state: &MemoryState, block: &Block) -> Option<Hash> {
    execute(state, block).ok().map(|execution| execution.commitment.hash())
}

#[test]
fn an_older_record_or_anothers_never_leads_to_the_honest_commitment() {
    let mut world = World::new();
    let genesis = world.state.clone();
    let block = pay(&mut world);
    world.state.apply(execute(&world.state, &block).unwrap().changes);
    let next = pay(&mut world);
    let honest = commitment(&world.state, &next).unwrap();
    let read = |state: &MemoryState, id| state.get(&key_of(id)).unwrap().unwrap();
    let (payer, receiver, other) = (id_of(&alice()), id_of(&bob()), id_of(&operator()));
    let wrong = [
        ("the payer's record from before", payer, read(&genesis, payer)),
        ("the receiver's record from before", receiver, read(&genesis, receiver)),
        ("another's record for the payer's", payer, read(&world.state, other)),
        ("another's record for the receiver's", receiver, read(&world.state, other)),
    ];
    for (what, id, record) in wrong {
        let state = with(&world.state, key_of(id), record);
        assert_ne!(commitment(&state, &next), Some(honest), "{what}");
        invariants::check(&state).expect_err(what);
    }
    // A record that nobody touches is noticed when it is touched, or by whoever looks at all of them.
    let untouched = with(&world.state, key_of(other), read(&world.state, receiver));
    assert_eq!(commitment(&untouched, &next), Some(honest));
    invariants::check(&untouched).expect_err("an untouched record is another's");
}
