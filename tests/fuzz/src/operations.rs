//! Operations carried out: the decoders' neighbour, for what was read is what is run.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec::decode;
use mesh30k_ledger::invariants;
use mesh30k_ledger::ops::Operation;
use std::sync::LazyLock;

use crate::common::{alice, bob, key, operator};
use crate::scene::{Scene, scene};

/// Who may sign.
const SIGNERS: u8 = 7;
/// Blocks of one input.
const BLOCKS_MAX: usize = 6;

static SCENE: LazyLock<Scene> = LazyLock::new(scene);

/// One block of one transaction.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub struct Step {
    /// Who signs, by number.
    pub signer: u8,
    /// Block time that passes before.
    pub after_ms: u32,
    /// What is asked for.
    pub op: Operation,
}

/// The steps of an input, carried out one after the other on a chain where one of every kind would be: each is carried out or
/// refused whole, and no invariant breaks.
pub fn operations(bytes: &[u8]) {
    let Ok(steps) = decode::<Vec<Step>>(bytes, 1 << 16) else { return };
    let mut world = crate::common::World {
        genesis: SCENE.world.genesis.clone(),
        context: SCENE.world.context,
        state: SCENE.world.state.clone(),
    };
    for step in steps.into_iter().take(BLOCKS_MAX) {
        let signed = world.signed(&signer(step.signer), step.op);
        let (_, execution) = match world.try_run(u64::from(step.after_ms).max(1), vec![signed]) {
            Ok(done) => done,
            Err(void) => panic!("a block of one well-signed transaction is void: {void}"),
        };
        invariants::check_step(&world.state, &execution.changes).expect("a step keeps the invariants");
        assert!(!execution.outcomes[0].sentence().is_empty());
        world.state.apply(execution.changes);
    }
    invariants::check(&world.state).expect("the state keeps the invariants");
}

fn signer(number: u8) -> mesh30k_ledger::keys::SecretKey {
    match number % SIGNERS {
        0 => alice(),
        1 => bob(),
        2 => operator(),
        host => key(host - 2),
    }
}
