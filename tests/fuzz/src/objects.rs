//! Blocks, transactions, votes, certificates, receipts, evidence.

use mesh30k_consensus::finality::Evidence;
use mesh30k_ledger::block::{Block, Header, MAX_BLOCK_BYTES};
use mesh30k_ledger::execute::{Zip215, check, execute};
use mesh30k_ledger::finality::{Certificate, SignedVote, Vote};
use mesh30k_ledger::invariants;
use mesh30k_ledger::keys::verify;
use mesh30k_ledger::outcome::Outcome;
use mesh30k_ledger::receipt::{MAX_RECEIPT_BYTES, Receipt};
use mesh30k_ledger::transaction::{Digests, MAX_TRANSACTION_BYTES, SignedTransaction};

use crate::strict::{strict, through_json};
use crate::world::CERTIFIED;

/// More than any vote or certificate has.
const SMALL_BYTES: usize = 64 * 1_024;

/// A block, alone and against a chain: what is carried out keeps every invariant.
pub fn block(bytes: &[u8]) {
    strict::<Header>(bytes, SMALL_BYTES);
    let Some(block) = strict::<Block>(bytes, MAX_BLOCK_BYTES) else { return };
    through_json(&block);
    for signed in &block.transactions {
        digests_agree(signed);
    }
    let state = &CERTIFIED.world.state;
    if let Ok(execution) = execute(state, &block) {
        assert!(block.is_signed_by(&CERTIFIED.world.genesis.validators.0[0].key, &CERTIFIED.world.context));
        invariants::check_step(state, &execution.changes).expect("a block keeps the invariants");
    }
}

/// A transaction, alone and at the door of a chain.
pub fn transaction(bytes: &[u8]) {
    let Some(signed) = strict::<SignedTransaction>(bytes, MAX_TRANSACTION_BYTES) else {
        assert!(SignedTransaction::from_bytes(bytes).is_err());
        return;
    };
    assert_eq!(SignedTransaction::from_bytes(bytes).as_ref(), Ok(&signed));
    through_json(&signed);
    digests_agree(&signed);
    let world = &CERTIFIED.world;
    let verdict = check(&world.state, world.now().plus_ms(1), &signed, &Zip215).expect("state can be read");
    if verdict.is_ok() {
        let message = signed.tx.signing_hash();
        assert!(!signed.signatures.is_empty(), "nobody signed");
        for one in signed.signatures.iter().chain(&signed.sponsor_signatures) {
            assert!(verify(&one.key, message.as_bytes(), &one.signature));
        }
    }
}

/// The parts of the digests are what each has by itself.
fn digests_agree(signed: &SignedTransaction) {
    let Digests { bytes, id, message, leaf } = signed.digests();
    let alone = (signed.to_bytes().len(), signed.id(), signed.tx.signing_hash(), signed.leaf());
    assert_eq!((bytes, id, message, leaf), alone);
    assert!(signed.tx.weight() > 0);
}

/// A vote.
pub fn vote(bytes: &[u8]) {
    if let Some(vote) = strict::<Vote>(bytes, SMALL_BYTES) {
        through_json(&vote);
    }
    let Some(signed) = strict::<SignedVote>(bytes, SMALL_BYTES) else { return };
    through_json(&signed);
    let (genesis, certified) = (&CERTIFIED.world.genesis, &CERTIFIED.certificate);
    for seat in &genesis.validators.0 {
        if signed.is_signed_by(&seat.key) {
            assert_eq!(signed.vote, certified.vote_of(seat.node), "a vote that nobody gave");
        }
    }
}

/// A certificate: the only one that holds is of the certified block.
pub fn certificate(bytes: &[u8]) {
    let Some(certificate) = strict::<Certificate>(bytes, SMALL_BYTES) else { return };
    through_json(&certificate);
    let (world, genuine) = (&CERTIFIED.world, &CERTIFIED.certificate);
    if certificate.verify(&world.genesis.validators, &world.context).is_ok() {
        assert_eq!(certificate.vote_of(genuine.signatures[0].node), genuine.vote_of(genuine.signatures[0].node));
        assert!(certificate.signatures.len() >= world.genesis.validators.quorum());
    }
}

/// A receipt: the only ones that hold are of the two payments.
pub fn receipt(bytes: &[u8]) {
    strict::<Outcome>(bytes, MAX_RECEIPT_BYTES);
    let Some(receipt) = strict::<Receipt>(bytes, MAX_RECEIPT_BYTES) else { return };
    through_json(&receipt);
    if receipt.verify(&CERTIFIED.world.genesis).is_ok() {
        let same = |genuine: &Receipt| {
            (&genuine.transaction, &genuine.outcome, &genuine.finality.header, &genuine.finality.commitment)
                == (&receipt.transaction, &receipt.outcome, &receipt.finality.header, &receipt.finality.commitment)
        };
        assert!((0..2).any(|index| same(&CERTIFIED.receipt(index))), "a forged receipt holds: {receipt:?}");
    }
}

/// Evidence: what holds speaks only against validators.
pub fn evidence(bytes: &[u8]) {
    let Ok(evidence) = Evidence::decode(bytes) else { return };
    assert_eq!(evidence.encode(), bytes);
    let _ = evidence.height();
    let (set, context) = (&CERTIFIED.world.genesis.validators, &CERTIFIED.world.context);
    if let Ok(finding) = evidence.verify(set, context) {
        assert!(finding.culprits.iter().all(|node| set.get(*node).is_some()), "a stranger is accused");
    }
}
