//! The ledger as a file: another node begins with it as if it had been there, and takes nothing that was not certified.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

use std::sync::Arc;

use mesh30k_chain::{ArchiveError, FinalBlock, LedgerStore, StoredBlock};
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::execute::execute;
use mesh30k_ledger::export::ImportError;
use mesh30k_ledger::finality::{Certificate, Phase, Validator, ValidatorSet, Vote};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisPools};
use mesh30k_ledger::handover::{Handover, RestartTerms, SignedRestartTerms};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::{NodeRegistration, Operation, Transfer};
use mesh30k_ledger::parameters::Parameters;
use mesh30k_ledger::query;
use mesh30k_ledger::records::Regions;
use mesh30k_ledger::transaction::{KeyedSignature, Transaction};
use mesh30k_ledger::types::{AccountId, ChainId, Epoch, Hash, Height, NodeId, Round, TimeMs, Uftns};

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn account(n: u8) -> AccountId {
    KeyPolicy::single(key(n).public()).account()
}

fn genesis(chain: &str) -> Genesis {
    let registration = NodeRegistration {
        transport_key: vec![1; 38],
        host_key: key(9).public(),
        store_id: Hash::ZERO,
        addresses: vec![],
        region: "DE".parse().unwrap(),
    };
    let owner =
        |n| GenesisAccount { policy: KeyPolicy::single(key(n).public()), balance: Uftns::ftns(1_000), region: None };
    Genesis {
        chain: ChainId::new(chain).unwrap(),
        time: TimeMs(1),
        validators: ValidatorSet(vec![Validator { node: NodeId(1), key: key(9).public(), account: account(1) }]),
        nodes: vec![GenesisNode { account: account(1), registration, renewable_ppm: 0 }],
        accounts: (1..=3).map(owner).collect(),
        operators: Operators { threshold: 1, keys: vec![key(9).public()] },
        parameters: Parameters::default(),
        regions: Regions::default(),
        pools: GenesisPools::default(),
        supply_cap: Uftns::ftns(1_000_000),
        offices: Vec::new(),
    }
}

/// A node that has only its genesis.
fn newcomer(genesis: &Genesis) -> LedgerStore {
    let store = LedgerStore::new(Arc::new(MemDisk::new(FlushMode::Immediate).open()));
    store.replace_state(&genesis.initial_changes().unwrap(), None).unwrap();
    store
}

/// Makes one more block final, in which account 1 pays account 2.
fn step(store: &LedgerStore, genesis: &Genesis) {
    step_by(store, genesis, &key(9));
}

/// The same, by the one validator that there is now.
fn step_by(store: &LedgerStore, genesis: &Genesis, validator: &SecretKey) {
    let context = genesis.context();
    let (epoch, validators) = (query::epoch(store).unwrap(), query::validator_set(store).unwrap());
    let (tip, nonce) = (query::tip(store).unwrap(), query::next_nonce(store, &account(1)).unwrap());
    let op = Operation::Transfer(Transfer { to: account(2), amount: Uftns(500), memo: String::new() });
    let tx = Transaction::new(&context, account(1), nonce, TimeMs(1_000_000), Uftns::ftns(1), op);
    let header = Header {
        chain: context.chain,
        epoch,
        round: tip.round,
        height: tip.height.next(),
        parent: tip.block,
        tx_root: Hash::ZERO,
        parent_state_root: tip.state_root,
        next_validators_hash: validators.hash(),
        time: tip.time.plus_ms(100),
        term: 1,
        proposer: NodeId(1),
        reset: None,
    };
    let block = Block::sign(header, vec![tx.sign(&[&key(1)])], &context, validator);
    let done = execute(store, &block).unwrap();
    assert!(done.outcomes.iter().all(mesh30k_ledger::outcome::Outcome::is_executed));
    let vote = Vote {
        phase: Phase::First,
        context,
        epoch,
        round: tip.round,
        height: block.header.height,
        block: done.block,
        parent: block.header.parent,
        commitment: done.commitment.hash(),
        lock: None,
        validator: NodeId(1),
    };
    let certificate = Certificate::assemble(&[vote.sign(validator)]).unwrap();
    let stored =
        StoredBlock { block, certificate, outcomes: done.outcomes, due: done.due, commitment: done.commitment };
    let (changes, transactions) = (&done.changes, done.transactions.as_slice());
    store.commit(&FinalBlock { stored: &stored, changes, transactions, position: None }).unwrap();
}

fn archived(store: &LedgerStore) -> Vec<String> {
    let mut lines = Vec::new();
    store.archive(|line| lines.push(line)).unwrap();
    lines
}

fn read(store: &LedgerStore, genesis: &Genesis, lines: &[String]) -> Result<Height, ArchiveError> {
    store.read_archive(genesis, lines.iter().map(String::as_str)).map(|tip| tip.height)
}

#[test]
fn a_node_that_begins_with_an_archive_goes_on_like_the_one_that_made_it() {
    let genesis = genesis("archive");
    let old = newcomer(&genesis);
    assert!(matches!(old.archive(drop), Err(ArchiveError::NothingFinal)));
    (0..5).for_each(|_| step(&old, &genesis));
    let lines = archived(&old);
    let new = newcomer(&genesis);
    assert_eq!(read(&new, &genesis, &lines).unwrap(), Height(5));
    assert!(matches!(new.archive(drop), Err(ArchiveError::NoProof(Height(5)))));
    assert_eq!((new.final_tip().unwrap(), archived_state(&new)), (old.final_tip().unwrap(), archived_state(&old)));
    for store in [&old, &new] {
        step(store, &genesis);
    }
    assert_eq!(query::tip(&new).unwrap(), query::tip(&old).unwrap());
    assert!(matches!(read(&new, &genesis, &lines), Err(ArchiveError::NotNew(Height(6)))));
}

/// The state's lines; the first line needs the last block, which a newcomer has not.
fn archived_state(store: &LedgerStore) -> Vec<String> {
    let mut lines = Vec::new();
    mesh30k_ledger::export::export(store, |line| lines.push(line)).unwrap();
    lines
}

/// The operators give the seat to another key, after the last block of `store`.
fn handed_over(store: &LedgerStore, genesis: &Genesis) -> Handover {
    let base = store.block(query::tip(store).unwrap().height).unwrap().unwrap().certificate;
    let seat = Validator { node: NodeId(1), key: key(8).public(), account: account(1) };
    let terms = RestartTerms {
        context: genesis.context(),
        base,
        stays: Vec::new(),
        epoch: Epoch(1),
        round: Round(1),
        new_chain: None,
        validators: ValidatorSet(vec![seat]),
        statements: Hash::ZERO,
        valid_until: TimeMs(0),
    };
    let signature = key(9).sign(terms.signing_hash().as_bytes());
    let signatures = vec![KeyedSignature { key: key(9).public(), signature }];
    Handover::Restart(SignedRestartTerms { terms, signatures })
}

#[test]
fn a_recovery_is_part_of_the_archive_and_of_the_journal() {
    let genesis = genesis("archive");
    let old = newcomer(&genesis);
    (0..3).for_each(|_| step(&old, &genesis));
    old.carry_out(&handed_over(&old, &genesis)).unwrap();
    (0..2).for_each(|_| step_by(&old, &genesis, &key(8)));
    let lines = archived(&old);
    let new = newcomer(&genesis);
    let without = lines[0].split(",\"handovers\"").next().unwrap().to_owned() + "}";
    let unled: Vec<String> = std::iter::once(without).chain(lines[1..].iter().cloned()).collect();
    assert!(matches!(read(&new, &genesis, &unled), Err(ArchiveError::Certificate(_))));
    assert_eq!(read(&new, &genesis, &lines).unwrap(), Height(5));
    assert_eq!(new.handovers().unwrap(), old.handovers().unwrap());
    let mut entries = Vec::new();
    let last = old.journal(genesis.initial_changes().unwrap(), |entry| entries.push(entry)).unwrap();
    assert_eq!((last, entries.len()), (Height(5), 6), "the opening and five blocks");
}

#[test]
fn what_no_validator_certified_is_refused_and_changes_nothing() {
    let genesis = genesis("archive");
    let old = newcomer(&genesis);
    step(&old, &genesis);
    let earlier = archived(&old);
    step(&old, &genesis);
    let lines = archived(&old);
    let new = newcomer(&genesis);
    let before = archived_state(&new);
    let with = |changed: &dyn Fn(&mut Vec<String>)| {
        let mut other = lines.clone();
        changed(&mut other);
        let refused = read(&new, &genesis, &other).unwrap_err();
        assert_eq!((archived_state(&new), new.final_tip().unwrap()), (before.clone(), None), "{refused}");
        refused
    };
    assert!(matches!(with(&|lines| lines[0] = "{}".to_owned()), ArchiveError::Head(_)));
    assert!(matches!(with(&|lines| drop(lines.pop())), ArchiveError::Import(ImportError::Root { .. })));
    assert!(matches!(with(&|lines| lines[0] = earlier[0].clone()), ArchiveError::NotCertified(_)));
    let forged = |lines: &mut Vec<String>| lines[0] = lines[0].replacen("\"time\":", "\"time\":1", 1);
    assert!(matches!(with(&forged), ArchiveError::NotCertified(_)));
    let another = self::genesis("another");
    let other = newcomer(&another);
    assert!(matches!(read(&other, &another, &lines), Err(ArchiveError::OtherChain { .. })));
}

#[test]
fn a_journal_has_an_entry_for_each_block_and_needs_every_block() {
    let genesis = genesis("archive");
    let old = newcomer(&genesis);
    (0..4).for_each(|_| step(&old, &genesis));
    let mut entries = Vec::new();
    let last = old.journal(genesis.initial_changes().unwrap(), |entry| entries.push(entry)).unwrap();
    assert_eq!((last, entries.len()), (Height(4), 5), "the opening and four blocks");
    let new = newcomer(&genesis);
    read(&new, &genesis, &archived(&old)).unwrap();
    let refused = new.journal(genesis.initial_changes().unwrap(), drop);
    assert!(matches!(refused, Err(ArchiveError::NoBlock(Height(1)))));
}
