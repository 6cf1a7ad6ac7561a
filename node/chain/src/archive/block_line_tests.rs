use mesh30k_ledger::finality::Phase;
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{Epoch, Hash, NodeId, Round, TimeMs, Uftns};

use super::*;

/// A block without transactions; `outcomes` are too many then, and have no place in a record.
fn stored(outcomes: Vec<Outcome>) -> StoredBlock {
    let chain = "lines".parse().unwrap();
    let header = Header {
        chain,
        epoch: Epoch(0),
        round: Round(0),
        height: Height(7),
        parent: Hash::ZERO,
        tx_root: Hash::ZERO,
        parent_state_root: Hash::ZERO,
        next_validators_hash: Hash::ZERO,
        time: TimeMs(5),
        term: 1,
        proposer: NodeId(1),
        reset: None,
    };
    let block = Block { header, transactions: Vec::new(), proposer_signature: Signature([7; 64]) };
    let certificate = Certificate {
        phase: Phase::First,
        context: mesh30k_ledger::signing::ChainContext { chain, genesis: Hash::ZERO },
        epoch: Epoch(0),
        round: Round(0),
        height: Height(7),
        block: block.id(),
        parent: Hash::ZERO,
        commitment: Hash::ZERO,
        lock: None,
        signatures: Vec::new(),
    };
    let commitment = Commitment { state_root: Hash::ZERO, outcomes_root: Hash::ZERO, blocks_root: Hash::ZERO };
    StoredBlock { block, certificate, outcomes, due: Vec::new(), commitment }
}

#[test]
fn what_a_record_cannot_say_is_told_in_bytes() {
    let plain = stored(Vec::new());
    let odd = stored(vec![Outcome::Rejected { fee: Uftns(1), rejection: Rejection::ZeroAmount }]);
    for (block, is_record) in [(plain, true), (odd, false)] {
        let line = write(block.clone()).unwrap();
        assert_eq!((line.contains("\"record\""), line.contains("\"bytes\"")), (is_record, !is_record), "{line}");
        assert_eq!(encode(&read(&line).unwrap()), encode(&block));
    }
}

#[test]
fn one_block_is_one_line() {
    let block = stored(Vec::new());
    let line = write(block.clone()).unwrap();
    let (block, id) = (block.block.header.height, block.block.id());
    let bytes = Some(hex::encode(encode(&stored(Vec::new()))));
    let in_bytes = serde_json::to_string(&Line { block, id, record: None, bytes }).unwrap();
    let other_name = line.replacen(&id.to_string(), &Hash([1; 32]).to_string(), 1);
    for other in [in_bytes, other_name, format!("{line} "), line.replacen("\"block\":7", "\"block\":8", 1)] {
        assert_eq!(read(&other).unwrap_err(), HistoryError::NotAsWritten, "{other}");
    }
    assert!(matches!(read("{\"block\":7}"), Err(HistoryError::Unreadable(_))));
}
