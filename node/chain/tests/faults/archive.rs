//! Ledgers that lived through something, as files: who begins with one holds what its writer holds, byte for byte.

use std::sync::Arc;

use mesh30k_chain::{FinalBlock, History, LedgerStore, StoredBlock};
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::execute::{Execution, execute};
use mesh30k_ledger::finality_proof::FinalityProof;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::handover::{Handover, leading_to};
use mesh30k_ledger::query;
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::state::ChangeSet;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{Height, TxId};

fn newcomer(genesis: &Genesis) -> LedgerStore {
    let store = LedgerStore::new(Arc::new(MemDisk::new(FlushMode::Immediate).open()));
    store.replace_state(&genesis.initial_changes().unwrap(), None).unwrap();
    store
}

/// The ledger as a file, read by a newcomer, is the same ledger. Gives the first block in it.
pub(super) fn comes_back(genesis: &Genesis, store: &LedgerStore) -> Height {
    let mut lines = Vec::new();
    let held = store.archive(History::Kept, |line| lines.push(line)).unwrap();
    let copy = newcomer(genesis);
    let tip = copy.read_archive(genesis, lines.iter().map(Ok)).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(Some(tip), store.final_tip().unwrap());
    assert_eq!(query::tip(&copy).unwrap(), query::tip(store).unwrap());
    assert_eq!(copy.handovers().unwrap(), store.handovers().unwrap());
    let first = held.first.unwrap();
    for height in (first.0..=held.last.0).map(Height) {
        let (own, other) = (store.block(height).unwrap().unwrap(), copy.block(height).unwrap().unwrap());
        assert_eq!(encode(&own), encode(&other), "block {height}");
        for (index, signed) in own.block.transactions.iter().enumerate() {
            assert_eq!(copy.transaction(&signed.id()).unwrap(), Some((height, index)));
            let receipt = receipt(&copy, genesis, &signed.id());
            assert_eq!(receipt, self::receipt(store, genesis, &signed.id()));
            receipt.verify(genesis).unwrap();
            for account in signed.tx.accounts() {
                let kept = |(height, _): &(Height, usize)| *height >= first;
                let history: Vec<_> = store.history(&account, 1_000).unwrap().into_iter().filter(kept).collect();
                assert_eq!(copy.history(&account, 1_000).unwrap(), history);
            }
        }
    }
    let mut again = Vec::new();
    copy.archive(History::Kept, |line| again.push(line)).unwrap();
    assert!(again == lines, "the second file is another one");
    first
}

/// As a node makes it.
fn receipt(store: &LedgerStore, genesis: &Genesis, id: &TxId) -> Receipt {
    let (height, index) = store.transaction(id).unwrap().unwrap();
    let StoredBlock { block, certificate, outcomes, due, commitment } = store.block(height).unwrap().unwrap();
    let handovers = leading_to(&genesis.validators, &store.handovers().unwrap(), &certificate).to_vec();
    let finality = FinalityProof { header: block.header, commitment, certificate, handovers };
    let transactions = block.transactions.iter().map(SignedTransaction::id).collect();
    let execution = Execution { changes: ChangeSet::new(), outcomes, due, commitment, block: block.id(), transactions };
    Receipt::build(&block, &execution, finality, index).unwrap()
}

/// The file that is written right after the last block of an epoch: nobody has used the hand-over to the next one yet.
pub(super) fn comes_back_between_two_epochs(genesis: &Genesis, store: &LedgerStore) {
    let Some(Handover::Voted(voted)) = store.handovers().unwrap().into_iter().next() else {
        panic!("the first hand-over is not by a vote")
    };
    let until = newcomer(genesis);
    for height in (1..=voted.header.height.0).map(Height) {
        let StoredBlock { block, certificate, .. } = store.block(height).unwrap().unwrap();
        let Execution { changes, outcomes, due, commitment, transactions, .. } = execute(&until, &block).unwrap();
        let stored = StoredBlock { block, certificate, outcomes, due, commitment };
        let (changes, transactions) = (&changes, transactions.as_slice());
        until.commit(&FinalBlock { stored: &stored, changes, transactions, position: None }).unwrap();
    }
    assert_eq!(until.handovers().unwrap().len(), 1);
    assert_eq!(comes_back(genesis, &until), Height(1));
}
