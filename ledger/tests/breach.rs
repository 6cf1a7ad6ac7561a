//! Books that do not balance are noticed by the block that would be built on them, and nothing of it is kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::execute::BlockError;
use mesh30k_ledger::invariants::Breach;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::records::Globals;
use mesh30k_ledger::state::{ChangeSet, StateRead};
use mesh30k_ledger::types::Uftns;

const GLOBALS: &[u8] = b"cg";

fn bend(world: &mut World, change: fn(&mut Globals)) {
    let bytes = world.state.get(GLOBALS).unwrap().unwrap();
    let mut globals: Globals = decode(&bytes, bytes.len()).unwrap();
    change(&mut globals);
    world.state.apply(ChangeSet::from([(GLOBALS.to_vec(), Some(encode(&globals)))]));
}

#[test]
fn no_block_is_built_on_books_that_do_not_balance() {
    let pay = Operation::Transfer(Transfer { to: id_of(&alice()), amount: Uftns(1), memo: String::new() });
    let bends: [fn(&mut Globals); 4] = [
        |globals| globals.totals.balances.0 += 1,
        |globals| globals.totals.treasury.0 += 1,
        |globals| globals.totals.burned.0 += 1,
        |globals| globals.totals.supply_cap = Uftns(1),
    ];
    for change in bends {
        let mut world = World::new();
        let signed = world.signed(&bob(), pay.clone());
        assert!(world.try_run(10, vec![signed.clone()]).is_ok());
        bend(&mut world, change);
        // Even one that moves nothing.
        for transactions in [vec![signed], Vec::new()] {
            let error = world.try_run(10, transactions).unwrap_err();
            assert!(!error.is_deterministic(), "the machine stops instead of passing it over");
            let BlockError::Broken(breach) = error else { panic!("{error:?}") };
            assert!(matches!(*breach, Breach::Conservation(_)), "{breach:?}");
            assert!(breach.to_string().contains("money is not conserved"));
        }
    }
}
