//! How fast the pure ledger is, on one core and in memory, in processor time: on a machine that others use too, a clock on the
//! wall would measure them. Signatures count as verified (as in a process that caches verdicts).
//!
//! `cargo run --release -p mesh30k-ledger --example speed [ACCOUNTS [BLOCKS]]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement: it reads the clock, prints, and stops at the first surprise"
)]

use std::time::{Duration, Instant};

use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::execute::{SignatureOracle, apply, execute_with};
use mesh30k_ledger::finality::{Validator, ValidatorSet};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisPools};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey, Signature};
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::{BatchTransfer, NodeRegistration, Operation, Transfer, TransferItem};
use mesh30k_ledger::parameters::Parameters;
use mesh30k_ledger::records::Regions;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::{ChangeSet, MemoryState};
use mesh30k_ledger::transaction::{KeyedSignature, SignedTransaction, Transaction};
use mesh30k_ledger::types::{ChainId, Epoch, Hash, NodeId, Round, TimeMs, Uftns};
use mesh30k_ledger::{invariants, query, smt};
use rustix::time::{ClockId, clock_gettime};

/// Says yes: what was verified once is not verified again.
struct Verified;

impl SignatureOracle for Verified {
    fn verify(&self, _: &PublicKey, _: &Hash, _: &Signature) -> bool {
        true
    }
    fn first_invalid(&self, _: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        None
    }
}

const BATCH: usize = 1_000;

/// A key nobody can sign with, which nobody has to.
fn public(n: u64) -> PublicKey {
    PublicKey(Hash::of(&n.to_le_bytes()).0)
}

fn genesis(accounts: u64) -> Genesis {
    let policy = |n| KeyPolicy::single(public(n));
    let key = public(u64::MAX);
    let registration = NodeRegistration {
        transport_key: vec![1; 38],
        host_key: key,
        store_id: Hash::ZERO,
        addresses: vec![],
        region: "DE".parse().unwrap(),
    };
    let account = policy(0).account();
    Genesis {
        chain: ChainId::new("speed").unwrap(),
        time: TimeMs(1),
        validators: ValidatorSet(vec![Validator { node: NodeId(1), key, account }]),
        nodes: vec![GenesisNode { account, registration, renewable_ppm: 0 }],
        accounts: (0..accounts)
            .map(|n| GenesisAccount { policy: policy(n), balance: Uftns::ftns(1_000), region: None })
            .collect(),
        operators: Operators { threshold: 1, keys: vec![key] },
        parameters: Parameters::default(),
        regions: Regions::default(),
        pools: GenesisPools::default(),
        supply_cap: Uftns::ftns(1_000_000_000_000),
        offices: Vec::new(),
    }
}

struct Bench {
    state: MemoryState,
    context: ChainContext,
    validators: Hash,
    accounts: u64,
    draws: u64,
}

impl Bench {
    fn new(accounts: u64) -> Self {
        let genesis = genesis(accounts);
        let mut state = MemoryState::new();
        state.apply(genesis.initial_changes().unwrap());
        Self { state, context: genesis.context(), validators: genesis.validators.hash(), accounts, draws: 0 }
    }

    /// The next of a fixed sequence of accounts without visible order.
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        let hash = Hash::of(&self.draws.to_le_bytes());
        u64::from_le_bytes(hash.0[..8].try_into().unwrap()) % self.accounts
    }

    fn transaction(&self, from: u64, op: Operation) -> SignedTransaction {
        let key = public(from);
        let account = KeyPolicy::single(key).account();
        let nonce = query::next_nonce(&self.state, &account).unwrap();
        let tx = Transaction::new(&self.context, account, nonce, TimeMs(u64::MAX), Uftns::ftns(1), op);
        let signatures = vec![KeyedSignature { key, signature: Signature([7; 64]) }];
        SignedTransaction { tx, signatures, sponsor_signatures: Vec::new(), policy: None }
    }

    fn block(&self, transactions: Vec<SignedTransaction>) -> Block {
        let tip = query::tip(&self.state).unwrap();
        let header = Header {
            chain: self.context.chain,
            epoch: Epoch(0),
            round: Round(0),
            height: tip.height.next(),
            parent: tip.block,
            tx_root: Hash::ZERO,
            parent_state_root: tip.state_root,
            next_validators_hash: self.validators,
            time: tip.time.plus_ms(2),
            term: 1,
            proposer: NodeId(1),
            reset: None,
        };
        Block::sign(header, transactions, &self.context, &SecretKey::from_seed([9; 32]))
    }

    fn payments(&mut self) -> Block {
        let mut senders = std::collections::BTreeSet::new();
        while senders.len() < BATCH {
            senders.insert(self.draw());
        }
        let mut transactions = Vec::with_capacity(BATCH);
        for from in senders {
            let to = KeyPolicy::single(public(self.draw())).account();
            let op = Operation::Transfer(Transfer { to, amount: Uftns(5), memo: String::new() });
            transactions.push(self.transaction(from, op));
        }
        self.block(transactions)
    }

    /// As many payments, a hundred to a transaction.
    fn batches(&mut self) -> Block {
        let (mut transactions, mut senders) = (Vec::new(), std::collections::BTreeSet::new());
        while senders.len() < BATCH / 100 {
            senders.insert(self.draw());
        }
        for from in senders {
            let transfers = (0..100)
                .map(|_| TransferItem { to: KeyPolicy::single(public(self.draw())).account(), amount: Uftns(5) })
                .collect();
            transactions.push(self.transaction(from, Operation::BatchTransfer(BatchTransfer { transfers })));
        }
        self.block(transactions)
    }
}

/// A processor's time for the parts of one block, which others on the same machine change little.
struct Parts {
    hashes: Duration,
    apply: Duration,
    tree: Duration,
    whole: Duration,
    check: Duration,
    payments: u64,
}

/// How long this thread has had a processor.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn run(bench: &mut Bench, block: &Block) -> Parts {
    let start = used();
    assert_eq!(Block::transactions_root(&block.transactions), block.header.tx_root);
    let hashes = used() - start;
    let start = used();
    let applied = apply(&bench.state, block, &Verified).unwrap();
    let apply_time = used() - start;
    let payments = applied.outcomes.iter().filter(|outcome| outcome.is_executed()).count() as u64;
    assert_eq!(payments, block.transactions.len() as u64);
    let mut changes: ChangeSet = applied.changes;
    let start = used();
    smt::update(&bench.state, &mut changes).unwrap();
    let tree = used() - start;
    let start = used();
    let execution = execute_with(&bench.state, block, &Verified).unwrap();
    let whole = used() - start;
    let start = used();
    invariants::check_step(&bench.state, &execution.changes).unwrap();
    let check = used() - start;
    bench.state.apply(execution.changes);
    let payments = block.transactions.iter().map(|signed| match &signed.tx.op {
        Operation::BatchTransfer(batch) => batch.transfers.len() as u64,
        _ => 1,
    });
    Parts { hashes, apply: apply_time, tree, whole, check, payments: payments.sum() }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn report(name: &str, parts: &[Parts]) {
    let of = |part: fn(&Parts) -> Duration| median(parts.iter().map(part).collect());
    let payments = parts[0].payments;
    let (hashes, apply, tree, whole) = (of(|p| p.hashes), of(|p| p.apply), of(|p| p.tree), of(|p| p.whole));
    let carried_out = of(|p| p.apply.saturating_sub(p.hashes));
    let rate = |time: Duration| payments as f64 / time.as_secs_f64();
    println!("{name}: {payments} payments a block, medians of {} blocks, processor time", parts.len());
    println!("  apply      {:>8.3} ms   {:>10.0} payments/s", apply.as_secs_f64() * 1e3, rate(apply));
    println!("    names and messages, which signatures are over  {:>8.3} ms", hashes.as_secs_f64() * 1e3);
    println!("    the rest   {:>8.3} ms   {:>10.0} payments/s", carried_out.as_secs_f64() * 1e3, rate(carried_out));
    println!("  state tree {:>8.3} ms", tree.as_secs_f64() * 1e3);
    println!("  whole      {:>8.3} ms", whole.as_secs_f64() * 1e3);
    println!("  check      {:>8.3} ms", of(|p| p.check).as_secs_f64() * 1e3);
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a whole number"));
    let accounts = arguments.next().unwrap_or(100_000);
    let blocks = arguments.next().unwrap_or(51);
    let start = Instant::now();
    let mut bench = Bench::new(accounts);
    println!("{accounts} accounts, state built in {:.1} s", start.elapsed().as_secs_f64());
    for (name, make) in [("transfers", Bench::payments as fn(&mut Bench) -> Block), ("batches of 100", Bench::batches)]
    {
        let mut parts = Vec::new();
        for _ in 0..blocks {
            let block = make(&mut bench);
            parts.push(run(&mut bench, &block));
        }
        report(name, &parts);
    }
}
