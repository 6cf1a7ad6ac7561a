//! How a ledger grows on disk and in memory: a state of many accounts, many transfers through the store that nodes use, and what
//! a block, a restart and a sync by snapshot cost on the way.
//!
//! `cargo run --release -p mesh30k-chain --features rocksdb --example growth [ACCOUNTS [TRANSFERS [DIRECTORY [MINUTES]]]]`, by default a
//! million accounts and ten million transfers, a transaction each, a thousand to a block, in a directory that is made
//! and emptied first. After so many minutes, if they are given, it stops and prints what it has.
//!
//! One process in one thread: no network, no Raft log, and signatures count as verified. Blocks are not synced to disk one by one,
//! as in a node, whose Raft log is what is synced.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement: it reads the clock, prints, and stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh30k_chain::{FinalBlock, LedgerStore, StoredBlock};
use mesh30k_consensus::app::LogPosition;
use mesh30k_consensus::finality::snapshot::Assembler;
use mesh30k_consensus::storage::{RocksStore, abort_on_fatal};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::execute::{SignatureOracle, execute_with};
use mesh30k_ledger::finality::{Certificate, Phase, Validator, ValidatorSet, Vote};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisPools};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey, Signature};
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::{NodeRegistration, Operation, Transfer};
use mesh30k_ledger::parameters::Parameters;
use mesh30k_ledger::query;
use mesh30k_ledger::records::Regions;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::transaction::{KeyedSignature, SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, ChainId, Epoch, Hash, Height, NodeId, Round, TimeMs, Uftns};

const BLOCK: u64 = 1_000;
const ROWS: u64 = 8;
/// Records kept in memory: as a validator with a database cache of 128 MiB.
const RECORDS_BYTES: usize = 64 << 20;

/// Says yes: signatures have a cost and benches of their own.
struct Verified;

impl SignatureOracle for Verified {
    fn verify(&self, _: &PublicKey, _: &Hash, _: &Signature) -> bool {
        true
    }
    fn first_invalid(&self, _: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        None
    }
}

/// A key nobody can sign with, which nobody has to.
fn public(n: u64) -> PublicKey {
    PublicKey(Hash::of(&n.to_le_bytes()).0)
}

fn validator() -> SecretKey {
    SecretKey::from_seed([9; 32])
}

fn genesis(accounts: u64) -> Genesis {
    let key = validator().public();
    let registration = NodeRegistration {
        transport_key: vec![1; 38],
        host_key: key,
        store_id: Hash::ZERO,
        addresses: vec![],
        region: "DE".parse().unwrap(),
    };
    let account = KeyPolicy::single(public(0)).account();
    Genesis {
        chain: ChainId::new("growth").unwrap(),
        time: TimeMs(1),
        validators: ValidatorSet(vec![Validator { node: NodeId(1), key, account }]),
        nodes: vec![GenesisNode { account, registration, renewable_ppm: 0 }],
        accounts: (0..accounts)
            .map(|n| GenesisAccount { policy: KeyPolicy::single(public(n)), balance: Uftns::ftns(1_000), region: None })
            .collect(),
        operators: Operators { threshold: 1, keys: vec![key] },
        parameters: Parameters::default(),
        regions: Regions::default(),
        pools: GenesisPools::default(),
        supply_cap: Uftns::ftns(1_000_000_000_000),
        offices: Vec::new(),
    }
}

struct Chain {
    directory: PathBuf,
    /// Closed while it is restarted.
    open: Option<(Arc<RocksStore>, LedgerStore)>,
    context: ChainContext,
    validators: ValidatorSet,
    ids: Vec<(PublicKey, AccountId)>,
    nonces: Vec<u64>,
    draws: u64,
}

fn open(directory: &Path) -> (Arc<RocksStore>, LedgerStore) {
    let rocks = Arc::new(RocksStore::open(directory, abort_on_fatal()).unwrap());
    let store = LedgerStore::with_records(rocks.clone(), RECORDS_BYTES);
    (rocks, store)
}

impl Chain {
    fn new(accounts: u64, directory: PathBuf) -> Self {
        let genesis = genesis(accounts);
        let open = open(&directory);
        open.1.replace_state(&genesis.initial_changes().unwrap(), None).unwrap();
        let ids = (0..accounts).map(|n| (public(n), KeyPolicy::single(public(n)).account())).collect();
        Self {
            directory,
            open: Some(open),
            context: genesis.context(),
            validators: genesis.validators,
            ids,
            nonces: vec![0; usize::try_from(accounts).unwrap()],
            draws: 0,
        }
    }

    fn store(&self) -> &LedgerStore {
        &self.open.as_ref().unwrap().1
    }

    /// The next of a fixed sequence of accounts without visible order (splitmix64).
    fn draw(&mut self) -> usize {
        self.draws = self.draws.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.draws;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % self.ids.len() as u64).unwrap()
    }

    fn payment(&mut self) -> SignedTransaction {
        let (from, to) = (self.draw(), self.draw());
        let (key, account) = self.ids[from];
        let nonce = self.nonces[from];
        self.nonces[from] += 1;
        let op = Operation::Transfer(Transfer { to: self.ids[to].1, amount: Uftns(5), memo: String::new() });
        let tx = Transaction::new(&self.context, account, nonce, TimeMs(u64::MAX), Uftns::ftns(1), op);
        let signatures = vec![KeyedSignature { key, signature: Signature([7; 64]) }];
        SignedTransaction { tx, signatures, sponsor_signatures: Vec::new(), policy: None }
    }

    fn block(&mut self) -> Block {
        let transactions = (0..BLOCK).map(|_| self.payment()).collect();
        let tip = query::tip(self.store()).unwrap();
        let header = Header {
            chain: self.context.chain,
            epoch: Epoch(0),
            round: Round(0),
            height: tip.height.next(),
            parent: tip.block,
            tx_root: Hash::ZERO,
            parent_state_root: tip.state_root,
            next_validators_hash: self.validators.hash(),
            time: tip.time.plus_ms(100),
            term: 1,
            proposer: NodeId(1),
            reset: None,
        };
        Block::sign(header, transactions, &self.context, &validator())
    }

    /// Carries a block out and writes it; how long that took, and how much of it was the writing.
    fn step(&mut self) -> (Duration, Duration) {
        let block = self.block();
        let start = Instant::now();
        let execution = execute_with(self.store(), &block, &Verified).unwrap();
        let carried_out = start.elapsed();
        let header = block.header;
        let vote = Vote {
            phase: Phase::First,
            context: self.context,
            epoch: header.epoch,
            round: header.round,
            height: header.height,
            block: execution.block,
            parent: header.parent,
            commitment: execution.commitment.hash(),
            lock: None,
            validator: NodeId(1),
        };
        // What the rest of a validator does: voting has a cost of its own.
        let certificate = Certificate::assemble(&[vote.sign(&validator())]).unwrap();
        assert!(execution.outcomes.iter().all(mesh30k_ledger::outcome::Outcome::is_executed));
        let stored = StoredBlock {
            block,
            certificate,
            outcomes: execution.outcomes,
            due: execution.due,
            commitment: execution.commitment,
        };
        let position = Some(LogPosition { term: 1, index: header.height.0 });
        let (changes, transactions) = (&execution.changes, execution.transactions.as_slice());
        let start = Instant::now();
        self.store().commit(&FinalBlock { stored: &stored, changes, transactions, position }).unwrap();
        let written = start.elapsed();
        (carried_out + written, written)
    }

    /// Closes the database and opens it again, up to where blocks and proofs are made.
    fn restart(&mut self) -> Duration {
        let before = query::tip(self.store()).unwrap();
        self.open = None;
        let start = Instant::now();
        let (rocks, store) = open(&self.directory);
        store.final_tip().unwrap();
        store.prepare().unwrap();
        let key = self.ids[0].1;
        query::account(&store, &key).unwrap().unwrap();
        let took = start.elapsed();
        assert_eq!(query::tip(&store).unwrap(), before, "the same state");
        self.open = Some((rocks, store));
        took
    }

    /// Makes a snapshot, and takes it in another directory: how long each took, and how many bytes it has.
    fn sync(&self) -> (Duration, Duration, usize) {
        let start = Instant::now();
        let snapshot = self.store().snapshot(self.context).unwrap().unwrap();
        let made = start.elapsed();
        let beside = self.directory.with_extension("synced");
        let _ = std::fs::remove_dir_all(&beside);
        let (_, target) = open(&beside);
        let bytes = snapshot.chunks.iter().map(Vec::len).sum();
        let start = Instant::now();
        let manifest = snapshot.manifest.verify(&self.context, &self.validators, Height(0)).unwrap();
        let mut assembler = Assembler::new(manifest);
        let mut pairs = Vec::new();
        for (index, chunk) in snapshot.chunks.iter().enumerate() {
            pairs.extend(assembler.on_chunk(index, chunk).unwrap());
        }
        target.take_snapshot(assembler, pairs).unwrap();
        let taken = start.elapsed();
        assert_eq!(query::tip(&target).unwrap(), query::tip(self.store()).unwrap(), "the same state");
        drop(target);
        std::fs::remove_dir_all(&beside).unwrap();
        (made, taken, bytes)
    }
}

fn disk_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap();
    // A file that a compaction takes away meanwhile counts for nothing.
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

/// Resident memory of this process, now and at most so far, in MiB.
fn resident_mib() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn quantile_ms(sorted: &[Duration], thousandths: usize) -> f64 {
    sorted.get((sorted.len().saturating_sub(1)) * thousandths / 1_000).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// How long this process has had processors, with what RocksDB does in the background.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name of the program, which may hold blanks: the twelfth and thirteenth are ticks of a hundredth of a second.
    let fields = stat.rsplit_once(')').unwrap().1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

fn print_sync(chain: &Chain) {
    let (made, taken, bytes) = chain.sync();
    let (made, taken, mib) = (made.as_secs_f64(), taken.as_secs_f64(), bytes >> 20);
    println!(
        "\nsnapshot of {mib} MiB: made in {made:.1} s, checked and taken in {taken:.1} s, at most {} MiB resident\n",
        resident_mib().1
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(default, |text| text.parse().expect("a whole number"));
    let (accounts, transfers) = (number(1_000_000), number(10_000_000));
    let directory = arguments.next().map_or_else(|| std::env::temp_dir().join("mesh30k-growth"), PathBuf::from);
    let limit = arguments.next().map(|text| Duration::from_secs(60 * text.parse::<u64>().expect("minutes")));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let start = Instant::now();
    let mut chain = Chain::new(accounts, directory);
    println!("{accounts} accounts, state written in {:.1} s", start.elapsed().as_secs_f64());
    chain.step();
    print_sync(&chain);
    println!(
        "| transfers | disk MiB | bytes a transfer | resident MiB | database MiB | block p50 ms | p99 ms | max ms | writing p50 ms | processor ms a block | restart ms | minutes |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let blocks = transfers / BLOCK;
    let every = (blocks / ROWS).max(1);
    let before = disk_bytes(&chain.directory);
    let (mut times, mut writes, mut used) = (Vec::new(), Vec::new(), processor());
    for block in 1..=blocks {
        let (time, writing) = chain.step();
        times.push(time);
        writes.push(writing);
        let over = limit.is_some_and(|limit| start.elapsed() > limit);
        if block % every == 0 || over {
            times.sort();
            writes.sort();
            let each = (processor() - used).as_secs_f64() * 1e3 / times.len() as f64;
            let (resident, database) = (resident_mib().0, chain.open.as_ref().unwrap().0.memory_bytes() >> 20);
            let restart = chain.restart();
            let disk = disk_bytes(&chain.directory);
            println!(
                "| {} | {} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} | {:.1} |",
                block * BLOCK,
                disk >> 20,
                disk.saturating_sub(before) / (block * BLOCK),
                resident,
                database,
                quantile_ms(&times, 500),
                quantile_ms(&times, 990),
                quantile_ms(&times, 1_000),
                quantile_ms(&writes, 500),
                each,
                restart.as_secs_f64() * 1e3,
                start.elapsed().as_secs_f64() / 60.0,
            );
            (times, writes, used) = (Vec::new(), Vec::new(), processor());
        }
        if over {
            break;
        }
    }
    print_sync(&chain);
}
