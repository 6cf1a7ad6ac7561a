//! Signatures that implementations disagree about: here one verdict, alone, in a batch, at the door and in a block.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of, key};
use curve25519_dalek::constants::EIGHT_TORSION;
use mesh30k_ledger::execute::{BlockError, SignatureOracle as _, Zip215, check, execute, invalid_signatures};
use mesh30k_ledger::key_points::KeyPoints;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, Signature, verify, verify_batch};
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::query;
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::transaction::{KeyedSignature, SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, Hash, Uftns};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The order of the group, lowest byte first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn unhex(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// All encodings of points of small order: the eight points, and six ways to write four of them that are not canonical (a sign on an x
/// of 0, or a y of p and p + 1 in the place of 0 and 1). As in "Taming the many EdDSAs" and the tests of ZIP-215.
fn small_order() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ]
    .map(unhex)
    .to_vec();
    encodings.dedup();
    encodings
}

/// `R` and `s` as a signature.
fn signature(r: &[u8; 32], s: [u8; 32]) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(r);
    bytes[32..].copy_from_slice(&s);
    Signature(bytes)
}

/// One verdict for this signature, by every way there is to ask.
fn one_verdict(key: PublicKey, message: &Hash, signature: Signature, remembered: &KeyPoints) -> bool {
    let alone = verify(&key, message.as_bytes(), &signature);
    let item = (key, message.as_bytes().as_slice(), signature);
    let honest = (alice().public(), b"hello".as_slice(), alice().sign(b"hello"));
    for batch in [vec![item], vec![item, item], vec![honest, item], vec![item, honest]] {
        assert_eq!(verify_batch(&batch), alone, "{key} {signature}");
        assert_eq!(remembered.verify_batch(&batch), alone, "{key} {signature}, remembered");
    }
    let found = Zip215.first_invalid(&[(key, *message, signature)]);
    assert_eq!((found.is_none(), Zip215.verify(&key, message, &signature)), (alone, alone));
    alone
}

#[test]
fn all_196_cases_of_small_order_have_one_verdict() {
    let encodings = small_order();
    let canonical: BTreeSet<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().0).collect();
    assert_eq!(canonical, encodings[..8].iter().copied().collect(), "the first eight are the points themselves");
    assert_eq!(encodings.iter().collect::<BTreeSet<_>>().len(), 14);
    let (message, remembered) = (Hash::of(b"odd"), KeyPoints::default());
    let mut batch = Vec::new();
    for a in &encodings {
        assert!(PublicKey(*a).is_valid());
        for r in &encodings {
            // s = 0 satisfies the equation with the cofactor whatever the message is; no other s does.
            assert!(one_verdict(PublicKey(*a), &message, signature(r, [0; 32]), &remembered));
            let mut one = [0; 32];
            one[0] = 1;
            assert!(!one_verdict(PublicKey(*a), &message, signature(r, one), &remembered));
            // The order itself stands for 0 and is not canonical.
            assert!(!one_verdict(PublicKey(*a), &message, signature(r, ORDER), &remembered));
            batch.push((PublicKey(*a), message.as_bytes().as_slice(), signature(r, [0; 32])));
        }
    }
    assert_eq!(batch.len(), 196);
    assert!(verify_batch(&batch) && remembered.verify_batch(&batch));
    for bad in [0, 97, 195] {
        let mut spoilt = batch.clone();
        spoilt[bad].2.0[32] = 1;
        assert!(!verify_batch(&spoilt) && !remembered.verify_batch(&spoilt));
    }
}

/// `s` plus the order, where it fits: the same number to whoever reduces it.
fn malleated(genuine: &Signature) -> Signature {
    let (mut bytes, mut carry) = (genuine.0, 0_u16);
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "s + order has 256 bits at most");
    Signature(bytes)
}

fn pay(world: &World, from: AccountId, amount: u64) -> Transaction {
    let nonce = query::next_nonce(&world.state, &from).unwrap();
    let op = Operation::Transfer(Transfer { to: id_of(&bob()), amount: Uftns(amount), memo: String::new() });
    Transaction::new(&world.context, from, nonce, common::FOREVER, Uftns::ftns(1), op)
}

fn signed_by(tx: Transaction, key: PublicKey, signature: Signature) -> SignedTransaction {
    let signatures = vec![KeyedSignature { key, signature }];
    SignedTransaction { tx, signatures, sponsor_signatures: Vec::new(), policy: None }
}

/// The verdict at the door (one by one) and in a block (all at once), which have to be the same.
fn at_door_and_in_block(world: &World, signed: &SignedTransaction) -> bool {
    let door = check(&world.state, world.now().plus_ms(1), signed, &Zip215).unwrap();
    let pool = invalid_signatures(&[signed], &Zip215);
    let block = world.block(1, vec![signed.clone()]);
    match (&door, execute(&world.state, &block)) {
        (Ok(()), Ok(execution)) => {
            assert_eq!(pool, [None]);
            assert!(execution.outcomes[0].is_executed(), "{:?}", execution.outcomes);
        }
        (
            Err(rejection @ Rejection::BadSignature(key)),
            Err(BlockError::VoidTransaction { index: 0, rejection: void }),
        ) => {
            assert_eq!((rejection, pool), (&void, vec![Some(*key)]));
        }
        (door, block) => panic!("at the door {door:?}, in a block {block:?}"),
    }
    door.is_ok()
}

#[test]
fn a_malleated_signature_is_refused_and_names_the_same_transaction() {
    let world = World::new();
    let genuine = pay(&world, id_of(&alice()), 7).sign(&[&alice()]);
    assert!(at_door_and_in_block(&world, &genuine));
    let mut other = genuine.clone();
    other.signatures[0].signature = malleated(&genuine.signatures[0].signature);
    assert_ne!(other, genuine);
    assert_eq!(other.id(), genuine.id(), "signatures do not name a transaction");
    assert_ne!(other.leaf(), genuine.leaf(), "but a block is bound to them");
    assert!(!at_door_and_in_block(&world, &other));
    // Half of its signature from elsewhere, or none at all.
    for spoilt in [[0; 64], {
        let mut bytes = genuine.signatures[0].signature.0;
        bytes[..32].fill(0);
        bytes
    }] {
        other.signatures[0].signature = Signature(spoilt);
        assert!(!at_door_and_in_block(&world, &other));
    }
}

#[test]
fn a_key_of_small_order_can_own_an_account_and_every_node_says_so() {
    for (n, a) in small_order().into_iter().enumerate() {
        let mut world = World::new();
        let owner = KeyPolicy::single(PublicKey(a)).account();
        let fund = Operation::Transfer(Transfer { to: owner, amount: Uftns::ftns(1), memo: String::new() });
        assert!(world.one(&alice(), fund).is_executed());
        let r = small_order()[(n * 5) % 14];
        assert!(at_door_and_in_block(&world, &signed_by(pay(&world, owner, 1), PublicKey(a), signature(&r, [0; 32]))));
        assert!(!at_door_and_in_block(&world, &signed_by(pay(&world, owner, 1), PublicKey(a), signature(&r, ORDER))));
    }
}

/// A thousand transactions of as many accounts; those at `bad` are signed by somebody else's hand.
fn thousand(bad: &[usize]) -> (World, Vec<SignedTransaction>) {
    let world = World::new();
    let transactions = (0..1_000).map(|n| {
        let owner = common::agent_key(n);
        let mut signed = pay(&world, id_of(&owner), 1).sign(&[&owner]);
        if bad.contains(&usize::from(n)) {
            signed.signatures[0].signature = key(9).sign(b"something else");
        }
        signed
    });
    let transactions = transactions.collect();
    (world, transactions)
}

#[test]
fn one_bad_signature_of_a_thousand_is_the_only_one_refused() {
    let (world, transactions) = thousand(&[617]);
    let all: Vec<&SignedTransaction> = transactions.iter().collect();
    let refused: Vec<usize> = invalid_signatures(&all, &Zip215)
        .into_iter()
        .enumerate()
        .filter_map(|(index, invalid)| invalid.map(|_| index))
        .collect();
    assert_eq!(refused, [617]);
    let named = transactions[617].signatures[0].key;
    let void = execute(&world.state, &world.block(1, transactions.clone())).unwrap_err();
    assert_eq!(void, BlockError::VoidTransaction { index: 617, rejection: Rejection::BadSignature(named) });
}

#[test]
fn a_block_full_of_bad_signatures_names_the_first() {
    let (world, transactions) = thousand(&(0..1_000).collect::<Vec<_>>());
    let named = transactions[0].signatures[0].key;
    let void = execute(&world.state, &world.block(1, transactions)).unwrap_err();
    assert_eq!(void, BlockError::VoidTransaction { index: 0, rejection: Rejection::BadSignature(named) });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn halving_finds_what_one_by_one_finds(bad in prop::collection::btree_set(0_usize..60, 0..6), count in 1_usize..60) {
        let items: Vec<_> = (0..count)
            .map(|n| {
                let message = Hash::of(&[n as u8]);
                let signer = key(n as u8 % 7 + 1);
                let signature = if bad.contains(&n) { signer.sign(b"other") } else { signer.sign(message.as_bytes()) };
                (signer.public(), message, signature)
            })
            .collect();
        let one_by_one = items.iter().position(|(key, message, signature)| !verify(key, message.as_bytes(), signature));
        prop_assert_eq!(Zip215.first_invalid(&items), one_by_one);
    }
}
