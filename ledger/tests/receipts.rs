//! Receipts hold offline, and no bit of them can change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, genesis, id_of, key};
use mesh30k_ledger::authority::AuthorityError;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::finality::{Certificate, CertificateError};
use mesh30k_ledger::finality_proof::{FinalityProof, FinalityProofError};
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::receipt::ReceiptError::NotFinal;
use mesh30k_ledger::receipt::{MAX_RECEIPT_BYTES, Receipt, ReceiptError};
use mesh30k_ledger::types::{Epoch, Hash, Height, NodeId, Uftns};
use mesh30k_ledger::{mmr, query, smt};

fn receipt() -> (World, Receipt) {
    let mut world = World::new();
    let pay = |to, amount| Operation::Transfer(Transfer { to, amount: Uftns(amount), memo: "rent".into() });
    let transactions = vec![
        world.signed(&alice(), pay(id_of(&bob()), 1)),
        world.signed(&bob(), pay(id_of(&alice()), u64::MAX)),
        world.signed(&key(1), pay(id_of(&alice()), 3)),
    ];
    let (block, execution) = world.run(10, transactions);
    let receipt = Receipt::build(&block, &execution, world.finality(&block, &execution), 1).unwrap();
    (world, receipt)
}

#[test]
fn a_receipt_holds_against_the_genesis_alone() {
    let (_, receipt) = receipt();
    assert_eq!(receipt.verify(&genesis()), Ok(()));
    let json = serde_json::to_string(&receipt).unwrap();
    let back: Receipt = serde_json::from_str(&json).unwrap();
    assert_eq!(back, receipt);
    assert_eq!(back.verify(&genesis()), Ok(()));
    assert!(
        Receipt::build(
            &World::new().block(1, vec![]),
            &World::new().try_run(1, vec![]).unwrap().1,
            receipt.finality,
            0
        )
        .is_none()
    );
}

#[test]
fn one_flipped_bit_anywhere_is_refused() {
    let (_, receipt) = receipt();
    let bytes = encode(&receipt);
    let genesis = genesis();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(changed) = decode::<Receipt>(&flipped, MAX_RECEIPT_BYTES) {
            assert!(changed.verify(&genesis).is_err(), "byte {at} may change unnoticed");
        }
    }
}

#[test]
fn the_reason_is_told() {
    let (_, good) = receipt();
    let genesis = genesis();
    let check = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        change(&mut receipt);
        receipt.verify(&genesis).unwrap_err()
    };
    assert!(matches!(check(&|r| r.transaction.tx.nonce ^= 1), ReceiptError::NotInBlock));
    assert!(matches!(check(&|r| r.finality.header.term ^= 1), NotFinal(FinalityProofError::WrongBlock { .. })));
    assert!(matches!(
        check(&|r| r.finality.commitment.state_root.0[0] ^= 1),
        NotFinal(FinalityProofError::WrongCommitment)
    ));
    let certificate = |change: &dyn Fn(&mut Certificate)| match check(&|r| change(&mut r.finality.certificate)) {
        NotFinal(FinalityProofError::Authority(AuthorityError::Certificate(error))) => error,
        other => panic!("{other}"),
    };
    assert_eq!(certificate(&|c| c.signatures[1].signature.0[5] ^= 1), CertificateError::BadSignature(NodeId(2)));
    assert!(matches!(
        certificate(&|c| {
            c.signatures.pop();
        }),
        CertificateError::TooFew { votes: 2, quorum: 3, .. }
    ));
    assert_eq!(certificate(&|c| c.signatures[2].node = NodeId(9)), CertificateError::Stranger(NodeId(9)));
    let later = check(&|r| {
        let FinalityProof { header, certificate, .. } = &mut r.finality;
        (header.epoch, certificate.epoch) = (Epoch(1), Epoch(1));
        certificate.block = header.id();
    });
    assert!(matches!(
        later,
        NotFinal(FinalityProofError::Authority(AuthorityError::OtherEpoch { known_epoch: Epoch(0), .. }))
    ));
    let lie = mesh30k_ledger::outcome::Effect::Transferred { amount: Uftns(1), transfers: 1 };
    let lie = mesh30k_ledger::outcome::Outcome::Executed { fee: good.outcome.fee(), effect: lie };
    assert!(matches!(check(&|r| r.outcome = lie.clone()), ReceiptError::WrongOutcome));
}

#[test]
fn state_and_history_are_proven_under_the_commitment() {
    let (mut world, receipt) = receipt();
    let root = receipt.finality.commitment.state_root;
    let (here, absent) = (query::account_key(&id_of(&bob())), query::account_key(&id_of(&key(222))));
    let value = mesh30k_ledger::state::StateRead::get(&world.state, &here).unwrap().unwrap();
    let proof = smt::prove(&world.state, &here).unwrap();
    assert_eq!(proof.verify(&root, &here, Some(&value)), Ok(()));
    assert!(proof.verify(&root, &here, None).is_err());
    assert!(proof.verify(&root, &here, Some(b"more")).is_err());
    assert!(proof.verify(&Hash::ZERO, &here, Some(&value)).is_err());
    let proof = smt::prove(&world.state, &absent).unwrap();
    assert_eq!(proof.verify(&root, &absent, None), Ok(()));
    assert!(proof.verify(&root, &absent, Some(&value)).is_err());

    let mut ids = vec![receipt.finality.header.id()];
    let mut last = receipt.finality.commitment;
    for _ in 0..20 {
        let (block, execution) = world.run(1, vec![]);
        ids.push(block.id());
        last = execution.commitment;
    }
    for (at, id) in ids.iter().enumerate() {
        let height = Height(at as u64 + 1);
        let proof = mmr::prove(&world.state, height).unwrap().unwrap();
        assert!(proof.verify(&last.blocks_root, height, id));
        assert!(!proof.verify(&last.blocks_root, height, &Hash::ZERO));
        assert!(!proof.verify(&last.blocks_root, height.next(), id));
    }
    assert!(mmr::prove(&world.state, Height(0)).unwrap().is_none());
    assert!(mmr::prove(&world.state, Height(22)).unwrap().is_none());
}
