//! The ledger as a file: another node begins with it as if it had been there, and takes nothing that was not certified.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

use std::sync::{Arc, LazyLock};

use mesh30k_chain::{ArchiveError, FinalBlock, History, LedgerStore, StoredBlock};
use mesh30k_consensus::storage::{FlushMode, KvStore as _, MemDisk, ScanLimit, Table};
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
use proptest::prelude::*;
use proptest::sample::Index;

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
    written(store, History::Kept)
}

fn written(store: &LedgerStore, history: History) -> Vec<String> {
    let mut lines = Vec::new();
    store.archive(history, |line| lines.push(line)).unwrap();
    lines
}

fn read(store: &LedgerStore, genesis: &Genesis, lines: &[String]) -> Result<Height, ArchiveError> {
    store.read_archive(genesis, lines.iter().map(Ok)).map(|tip| tip.height)
}

#[test]
fn a_node_that_begins_with_a_state_goes_on_like_the_one_that_made_it() {
    let genesis = genesis("archive");
    let old = newcomer(&genesis);
    assert!(matches!(old.archive(History::Kept, drop), Err(ArchiveError::NothingFinal)));
    (0..5).for_each(|_| step(&old, &genesis));
    let lines = written(&old, History::Left);
    let new = newcomer(&genesis);
    assert_eq!(read(&new, &genesis, &lines).unwrap(), Height(5));
    assert!(matches!(new.archive(History::Left, drop), Err(ArchiveError::NoProof(Height(5)))));
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
    ordered(store, genesis, &key(8), Epoch(1))
}

/// The operators begin a round in which this key validates.
fn ordered(store: &LedgerStore, genesis: &Genesis, validator: &SecretKey, epoch: Epoch) -> Handover {
    let base = store.block(query::tip(store).unwrap().height).unwrap().unwrap().certificate;
    let seat = Validator { node: NodeId(1), key: validator.public(), account: account(1) };
    let terms = RestartTerms {
        context: genesis.context(),
        base,
        stays: Vec::new(),
        epoch,
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

/// Three blocks, a recovery with another key, two blocks.
fn recovered(genesis: &Genesis) -> LedgerStore {
    let store = newcomer(genesis);
    (0..3).for_each(|_| step(&store, genesis));
    store.carry_out(&handed_over(&store, genesis)).unwrap();
    (0..2).for_each(|_| step_by(&store, genesis, &key(8)));
    store
}

fn journal(store: &LedgerStore, genesis: &Genesis) -> Result<Vec<String>, ArchiveError> {
    let mut entries = Vec::new();
    store.journal(genesis.initial_changes().unwrap(), |entry| entries.push(entry))?;
    Ok(entries)
}

#[test]
fn a_recovery_is_part_of_the_archive_and_of_the_journal() {
    let genesis = genesis("archive");
    let old = recovered(&genesis);
    let lines = archived(&old);
    let new = newcomer(&genesis);
    let without = lines[0].split(",\"handovers\"").next().unwrap().to_owned() + ",\"handovers\":[]}";
    let unled: Vec<String> = std::iter::once(without).chain(lines[1..].iter().cloned()).collect();
    assert!(matches!(read(&new, &genesis, &unled), Err(ArchiveError::NotFinal(_))));
    assert_eq!(read(&new, &genesis, &lines).unwrap(), Height(5));
    assert_eq!(new.handovers().unwrap(), old.handovers().unwrap());
    assert_eq!(archived(&new), lines);
    let entries = journal(&old, &genesis).unwrap();
    assert_eq!(entries.len(), 6, "the opening and five blocks");
    assert_eq!(journal(&new, &genesis).unwrap(), entries);
}

/// Until its next block, no certificate vouches for the state.
#[test]
fn right_after_a_recovery_there_is_nothing_to_write() {
    let genesis = genesis("archive");
    for (validator, epoch) in [(key(8), Epoch(1)), (key(9), Epoch(0))] {
        let store = newcomer(&genesis);
        (0..3).for_each(|_| step(&store, &genesis));
        store.carry_out(&ordered(&store, &genesis, &validator, epoch)).unwrap();
        assert!(matches!(store.archive(History::Kept, drop), Err(ArchiveError::JustHandedOver(Height(3)))));
        step_by(&store, &genesis, &validator);
        let (new, lines) = (newcomer(&genesis), archived(&store));
        assert_eq!(read(&new, &genesis, &lines).unwrap(), Height(4));
        assert_eq!(archived(&new), lines);
    }
}

/// What began with a state only has a history that begins later, and says so.
#[test]
fn a_history_that_begins_later_is_read_and_written_as_one() {
    let genesis = genesis("archive");
    let old = newcomer(&genesis);
    (0..4).for_each(|_| step(&old, &genesis));
    let late = newcomer(&genesis);
    read(&late, &genesis, &written(&old, History::Left)).unwrap();
    (0..3).for_each(|_| step(&late, &genesis));
    let mut lines = Vec::new();
    let held = late.archive(History::Kept, |line| lines.push(line)).unwrap();
    assert_eq!((held.first, held.last), (Some(Height(5)), Height(7)));
    assert!(lines[0].contains("\"first_block\":5,"), "{}", lines[0]);
    let new = newcomer(&genesis);
    assert_eq!(read(&new, &genesis, &lines).unwrap(), Height(7));
    assert_eq!(archived(&new), lines);
    assert!(new.block(Height(4)).unwrap().is_none() && new.block(Height(5)).unwrap().is_some());
    assert!(matches!(journal(&new, &genesis), Err(ArchiveError::NoBlock(Height(1)))));
    assert!(matches!(read(&newcomer(&genesis), &genesis, &lines[..1]), Err(ArchiveError::CutShort(1))));
}

#[test]
fn people_can_read_a_block() {
    let genesis = genesis("archive");
    let old = newcomer(&genesis);
    step(&old, &genesis);
    let lines = archived(&old);
    let line: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    let done = &line["record"]["transactions"][0];
    let place = old.transaction(&done["id"].as_str().unwrap().parse().unwrap()).unwrap();
    assert_eq!((line["block"].as_u64(), place), (Some(1), Some((Height(1), 0))));
    assert_eq!(done["transaction"]["tx"]["op"]["transfer"]["amount"], 500);
    assert_eq!(done["outcome"]["executed"]["effect"]["transferred"]["amount"], 500);
}

/// The state's root does not vouch for the nodes of the range; the certificate does, by its own root.
#[test]
fn the_range_of_blocks_is_checked_node_by_node() {
    let genesis = genesis("archive");
    let mut other = archived(&recovered(&genesis));
    let at = other.iter().position(|line| line.starts_with("{\"key\":\"4d00")).unwrap();
    let end = other[at].len() - 3;
    let digit = if &other[at][end..=end] == "0" { "1" } else { "0" };
    other[at].replace_range(end..=end, digit);
    let Err(ArchiveError::Range { line, source }) = read(&newcomer(&genesis), &genesis, &other) else { panic!() };
    assert!(line > at as u64 && line < at as u64 + 10, "{line}: {source}");
}

/// An import that the process did not live through is taken back: by whoever looks next, or by the next import.
#[test]
fn a_broken_off_import_leaves_nothing() {
    let genesis = genesis("archive");
    let lines = archived(&recovered(&genesis));
    for cut in 1..lines.len() {
        let disk = MemDisk::new(FlushMode::Immediate);
        let store = LedgerStore::new(Arc::new(disk.open()));
        store.replace_state(&genesis.initial_changes().unwrap(), None).unwrap();
        let before = whole(&disk);
        // Whoever hands out the lines never comes back: as a process that ends.
        let dying = lines[..cut].iter().map(Ok).chain(std::iter::once_with(|| panic!("the process ends")));
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.read_archive(&genesis, dying)));
        assert!(died.is_err() && whole(&disk) != before, "cut after line {cut}");
        let again = LedgerStore::new(Arc::new(disk.open()));
        assert!(again.take_back_import().unwrap() && !again.take_back_import().unwrap());
        assert_eq!(whole(&disk), before, "cut after line {cut}");
        assert_eq!(read(&again, &genesis, &lines).unwrap(), Height(5));
        assert_eq!(archived(&again), lines);
    }
}

/// Everything on a disk, table by table.
fn whole(disk: &MemDisk) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let kv = disk.open();
    let all = |table| kv.scan(table, &[], None, ScanLimit { entries: usize::MAX, bytes: usize::MAX }).unwrap();
    Table::ALL.map(all).to_vec()
}

#[test]
fn what_no_validator_certified_is_refused_and_changes_nothing() {
    let genesis = genesis("archive");
    let old = newcomer(&genesis);
    step(&old, &genesis);
    let earlier = written(&old, History::Left);
    step(&old, &genesis);
    let lines = written(&old, History::Left);
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
    assert!(matches!(with(&forged), ArchiveError::NotFinal(_)));
    let another = self::genesis("another");
    let other = newcomer(&another);
    assert!(matches!(read(&other, &another, &lines), Err(ArchiveError::OtherChain { .. })));
}

#[test]
fn a_journal_has_an_entry_for_each_block_and_needs_every_block() {
    let genesis = genesis("archive");
    let old = newcomer(&genesis);
    (0..4).for_each(|_| step(&old, &genesis));
    assert_eq!(journal(&old, &genesis).unwrap().len(), 5, "the opening and four blocks");
    let new = newcomer(&genesis);
    read(&new, &genesis, &written(&old, History::Left)).unwrap();
    assert!(matches!(journal(&new, &genesis), Err(ArchiveError::NoBlock(Height(1)))));
}

/// A chain with a recovery in it, as a file.
static FILE: LazyLock<(Genesis, Vec<String>)> = LazyLock::new(|| {
    let genesis = genesis("archive");
    let lines = archived(&recovered(&genesis));
    (genesis, lines)
});

/// Refused, with nothing left of it; errors name the line where one line shows it.
fn refuse(lines: &[String]) -> Result<(), TestCaseError> {
    let genesis = &FILE.0;
    let disk = MemDisk::new(FlushMode::Immediate);
    let store = LedgerStore::new(Arc::new(disk.open()));
    store.replace_state(&genesis.initial_changes().unwrap(), None).unwrap();
    let before = whole(&disk);
    let refused = read(&store, genesis, lines);
    prop_assert!(refused.is_err(), "it was taken");
    prop_assert_eq!(whole(&disk), before);
    Ok(())
}

proptest! {
    /// Whatever byte is another one.
    #[test]
    fn a_changed_byte_is_refused(which in any::<Index>(), at in any::<Index>(), byte in 1_u8..127) {
        let mut lines = FILE.1.clone();
        let which = which.index(lines.len());
        let line = &mut lines[which];
        let at = at.index(line.len());
        let letter = char::from(byte).to_string();
        prop_assume!(line.is_char_boundary(at) && line.is_char_boundary(at + 1) && line[at..=at] != letter);
        line.replace_range(at..=at, &letter);
        refuse(&lines)?;
    }

    /// Whatever line is missing, there twice, in another place, or longer by a blank; wherever the file ends.
    #[test]
    fn another_order_of_lines_is_refused(which in any::<Index>(), to in any::<Index>(), way in 0..5) {
        let mut lines = FILE.1.clone();
        let (which, to) = (which.index(lines.len()), to.index(lines.len()));
        match way {
            0 => drop(lines.remove(which)),
            1 => lines.insert(to, lines[which].clone()),
            2 => { prop_assume!(which != to); lines.swap(which, to) }
            3 => lines[which].push(' '),
            _ => lines.truncate(which),
        }
        refuse(&lines)?;
    }
}
