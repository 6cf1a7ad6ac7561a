//! A thousand payments that race for money that is enough for some of them: exactly those pass, in whatever order and blocks they come.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, agent_key, bob, id_of, key};
use mesh30k_ledger::execute::{Zip215, select};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::Uftns;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

const RACERS: u64 = 1_000;
const PRICE: u64 = 1_000;
/// Payments there is money for.
const AFFORDABLE: u64 = 137;

/// A chain without fees on which an account owns the price of some, and a little less than the price of one more.
fn chain() -> (World, SecretKey) {
    let mut genesis = common::genesis();
    genesis.parameters.0.extend([(Parameter::BaseFee, 0), (Parameter::BaseFeeMax, 0)]);
    let (mut world, payer) = (World::of(genesis), key(77));
    let owned = AFFORDABLE * PRICE + PRICE - 1;
    let fund = Operation::Transfer(Transfer { to: id_of(&payer), amount: Uftns(owned), memo: String::new() });
    assert!(world.one(&common::alice(), fund).is_executed());
    (world, payer)
}

/// Each to another receiver.
fn payment(world: &World, payer: &SecretKey, nonce: u64) -> SignedTransaction {
    let to = id_of(&agent_key(u16::try_from(nonce).unwrap()));
    let op = Operation::Transfer(Transfer { to, amount: Uftns(PRICE), memo: String::new() });
    Transaction::new(&world.context, id_of(payer), nonce, common::FOREVER, Uftns::ftns(1), op).sign(&[payer])
}

/// Lets them race in blocks of so many, shuffled by a seed, as a proposer takes them; gives those that paid and what is left.
fn race(a_block: usize, seed: u64) -> (u64, u64) {
    let (mut world, payer) = chain();
    let mut waiting: Vec<SignedTransaction> = (0..RACERS).map(|nonce| payment(&world, &payer, nonce)).collect();
    waiting.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let (mut paid, mut refused) = (0, 0);
    while !waiting.is_empty() {
        let selection = select(&world.state, world.now().plus_ms(10), std::mem::take(&mut waiting), &Zip215).unwrap();
        assert!(selection.refused.is_empty(), "{:?}", selection.refused.first());
        let mut taken = selection.included;
        waiting = taken.split_off(a_block.min(taken.len()));
        waiting.extend(selection.left);
        let mut rng = ChaCha8Rng::seed_from_u64(seed + waiting.len() as u64);
        waiting.shuffle(&mut rng);
        for outcome in world.run(10, taken).1.outcomes {
            if outcome.is_executed() {
                paid += 1;
            } else {
                assert!(outcome.sentence().contains("FTNS"), "{}", outcome.sentence());
                refused += 1;
            }
        }
    }
    assert_eq!(paid + refused, RACERS);
    let received = (0..RACERS).map(|n| world.balance(&id_of(&agent_key(u16::try_from(n).unwrap())))).sum::<u64>();
    assert_eq!(received, paid * PRICE, "who was paid has it");
    (paid, world.balance(&id_of(&payer)))
}

#[test]
fn of_a_thousand_at_once_exactly_the_affordable_pass() {
    for (a_block, seed) in [(1_000, 1), (1_000, 2), (100, 3)] {
        assert_eq!(race(a_block, seed), (AFFORDABLE, PRICE - 1), "{a_block} a block, seed {seed}");
    }
}

#[test]
fn a_second_racer_for_the_same_number_is_refused_and_takes_nothing() {
    let (mut world, payer) = chain();
    let first = payment(&world, &payer, 0);
    let second = {
        let op = Operation::Transfer(Transfer { to: id_of(&bob()), amount: Uftns(PRICE), memo: String::new() });
        Transaction::new(&world.context, id_of(&payer), 0, common::FOREVER, Uftns::ftns(1), op).sign(&[&payer])
    };
    let before = (world.balance(&id_of(&payer)), world.balance(&id_of(&bob())));
    let selection = select(&world.state, world.now().plus_ms(10), vec![first, second], &Zip215).unwrap();
    assert_eq!((selection.included.len(), selection.refused.len()), (1, 1));
    world.run(10, selection.included);
    assert_eq!(world.balance(&id_of(&payer)), before.0 - PRICE, "paid once");
    assert_eq!(world.balance(&id_of(&bob())), before.1);
}
