//! A small chain to test on: four validators, three people, one operator.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod tasks;

use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::execute::{BlockError, Execution, execute};
use mesh30k_ledger::finality::{Certificate, Phase, SignedVote, Validator, ValidatorSet, Vote};
use mesh30k_ledger::finality_proof::FinalityProof;
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisOffice, GenesisPools};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::{AgentRegistration, Capabilities, NodeRegistration, Operation, RegisterHost};
use mesh30k_ledger::outcome::Outcome;
use mesh30k_ledger::parameters::Parameters;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Office, Regions};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::MemoryState;
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{
    AccountId, AgentClass, ChainId, Epoch, Hash, Height, NodeId, Region, Round, TimeMs, Uftns,
};

pub const START: TimeMs = TimeMs(1_800_000_000_000);
pub const FOREVER: TimeMs = TimeMs(u64::MAX);

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}
pub fn alice() -> SecretKey {
    key(101)
}
pub fn bob() -> SecretKey {
    key(102)
}
pub fn operator() -> SecretKey {
    key(110)
}
pub fn id_of(key: &SecretKey) -> AccountId {
    KeyPolicy::single(key.public()).account()
}
pub fn region(text: &str) -> Region {
    text.parse().unwrap()
}

pub fn genesis() -> Genesis {
    let validators = (1..=4_u8)
        .map(|n| Validator { node: NodeId(u64::from(n)), key: key(n + 50).public(), account: id_of(&key(n)) })
        .collect();
    let nodes = (1..=4_u8)
        .map(|n| GenesisNode { account: id_of(&key(n)), registration: node_registration(n), renewable_ppm: 500_000 })
        .collect();
    let account = |key: &SecretKey, ftns, place: &str| GenesisAccount {
        policy: KeyPolicy::single(key.public()),
        balance: Uftns::ftns(ftns),
        region: Some(region(place)),
    };
    let mut accounts =
        vec![account(&alice(), 10_000, "KE"), account(&bob(), 5_000, "DE"), account(&operator(), 100, "DE")];
    accounts.extend((1..=4).map(|n| account(&key(n), 1_000, "DE")));
    Genesis {
        chain: ChainId::new("test").unwrap(),
        time: START,
        validators: ValidatorSet(validators),
        nodes,
        accounts,
        operators: Operators { threshold: 1, keys: vec![operator().public()] },
        parameters: Parameters::default(),
        regions: Regions {
            intensities_mg_per_kwh: [(region("DE"), 380_000), (region("KE"), 70_000)].into(),
            default_intensity_mg_per_kwh: 480_000,
            access_list: [region("KE")].into(),
            ..Regions::default()
        },
        pools: GenesisPools { carbon_pool: Uftns::ftns(10), access_fund: Uftns::ftns(10), treasury: Uftns::ZERO },
        supply_cap: Uftns::ftns(1_000_000),
        offices: offices(),
    }
}

/// Nodes 1 to 3 report, 2 to 4 review, the operator guards.
fn offices() -> Vec<GenesisOffice> {
    let office = |office, key: &SecretKey| GenesisOffice { office, account: id_of(key) };
    let mut offices: Vec<_> = (1..=3).map(|n| office(Office::Oracle, &key(n))).collect();
    offices.extend((2..=4).map(|n| office(Office::Reviewer, &key(n))));
    offices.push(office(Office::Guardian, &operator()));
    offices
}

pub fn node_registration(n: u8) -> NodeRegistration {
    NodeRegistration {
        transport_key: vec![n; 38],
        host_key: key(n).public(),
        store_id: Hash::of(&[n]),
        addresses: vec![format!("/ip4/127.0.0.1/tcp/{}", 7_400 + u16::from(n))],
        region: region("DE"),
    }
}

pub fn agent_key(n: u16) -> SecretKey {
    SecretKey::from_seed(Hash::of(&n.to_le_bytes()).0)
}

pub fn agents(range: std::ops::Range<u16>) -> Vec<AgentRegistration> {
    range
        .map(|n| AgentRegistration {
            key: agent_key(n).public(),
            class: AgentClass::A,
            capabilities: Capabilities::COMPUTE,
        })
        .collect()
}

pub fn register(node: Option<NodeRegistration>, agents: Vec<AgentRegistration>) -> Operation {
    Operation::RegisterHost(RegisterHost { node, agents })
}

pub struct World {
    pub genesis: Genesis,
    pub context: ChainContext,
    pub state: MemoryState,
}

impl World {
    pub fn new() -> Self {
        Self::of(genesis())
    }

    pub fn of(genesis: Genesis) -> Self {
        let mut state = MemoryState::new();
        state.apply(genesis.initial_changes().unwrap());
        Self { context: genesis.context(), genesis, state }
    }

    pub fn tx(&self, from: &SecretKey, op: Operation) -> Transaction {
        let nonce = query::next_nonce(&self.state, &id_of(from)).unwrap();
        Transaction::new(&self.context, id_of(from), nonce, FOREVER, Uftns::ftns(1), op)
    }

    pub fn signed(&self, from: &SecretKey, op: Operation) -> SignedTransaction {
        self.tx(from, op).sign(&[from])
    }

    pub fn header(&self, after_ms: u64) -> Header {
        let tip = query::tip(&self.state).unwrap();
        Header {
            chain: self.context.chain,
            epoch: query::epoch(&self.state).unwrap(),
            round: tip.round,
            height: tip.height.next(),
            parent: tip.block,
            tx_root: Hash::ZERO,
            parent_state_root: tip.state_root,
            next_validators_hash: query::next_validator_set(&self.state).unwrap().hash(),
            time: tip.time.plus_ms(after_ms),
            term: 1,
            proposer: NodeId(1),
            reset: None,
        }
    }

    pub fn block(&self, after_ms: u64, transactions: Vec<SignedTransaction>) -> Block {
        Block::sign(self.header(after_ms), transactions, &self.context, &key(51))
    }

    pub fn try_run(
        &self,
        after_ms: u64,
        transactions: Vec<SignedTransaction>,
    ) -> Result<(Block, Execution), BlockError> {
        let block = self.block(after_ms, transactions);
        let execution = execute(&self.state, &block)?;
        Ok((block, execution))
    }

    /// Carries out a block and keeps it.
    pub fn run(&mut self, after_ms: u64, transactions: Vec<SignedTransaction>) -> (Block, Execution) {
        let (block, execution) = self.try_run(after_ms, transactions).unwrap();
        self.state.apply(execution.changes.clone());
        mesh30k_ledger::invariants::check(&self.state).unwrap();
        (block, execution)
    }

    /// Carries out one operation in a block of its own.
    pub fn one(&mut self, from: &SecretKey, op: Operation) -> Outcome {
        let signed = self.signed(from, op);
        self.run(10, vec![signed]).1.outcomes.remove(0)
    }

    /// Carries it out, in a block of its own; gives the name of what it made, and what it did.
    pub fn must(&mut self, from: &SecretKey, op: Operation) -> (Hash, Outcome) {
        let signed = self.signed(from, op);
        let id = signed.id();
        let outcome = self.run(10, vec![signed]).1.outcomes.remove(0);
        assert!(outcome.is_executed(), "{outcome:?}");
        (id, outcome)
    }

    pub fn balance(&self, id: &AccountId) -> u64 {
        query::account(&self.state, id).unwrap().map_or(0, |account| account.balance.0)
    }

    pub fn height(&self) -> Height {
        query::tip(&self.state).unwrap().height
    }

    pub fn now(&self) -> TimeMs {
        query::tip(&self.state).unwrap().time
    }

    /// Three of the four validators certify a block.
    pub fn certify(&self, block: &Block, execution: &Execution) -> Certificate {
        self.certify_by(&[1, 2, 3], block, execution)
    }

    /// These nodes vote for a block, whether they are enough or not.
    pub fn certify_by(&self, nodes: &[u8], block: &Block, execution: &Execution) -> Certificate {
        let vote = |n: &u8| {
            Vote {
                phase: Phase::First,
                context: self.context,
                epoch: block.header.epoch,
                round: block.header.round,
                height: block.header.height,
                block: block.id(),
                parent: block.header.parent,
                commitment: execution.commitment.hash(),
                lock: None,
                validator: NodeId(u64::from(*n)),
            }
            .sign(&key(n + 50))
        };
        let votes: Vec<SignedVote> = nodes.iter().map(vote).collect();
        Certificate::assemble(&votes).unwrap()
    }

    /// Three of the four validators certify a block, and there were no hand-overs.
    pub fn finality(&self, block: &Block, execution: &Execution) -> FinalityProof {
        let certificate = self.certify(block, execution);
        let (header, commitment) = (block.header, execution.commitment);
        FinalityProof { header, commitment, certificate, handovers: Vec::new() }
    }
}

/// A vote of the first epoch, as honest ones are but for the block.
pub fn vote(context: ChainContext, validator: u64, height: u64, block: &[u8]) -> Vote {
    Vote {
        phase: Phase::First,
        context,
        epoch: Epoch(0),
        round: Round(0),
        height: Height(height),
        block: Hash::of(block),
        parent: Hash::ZERO,
        commitment: Hash::ZERO,
        lock: None,
        validator: NodeId(validator),
    }
}
