//! Nodes and a ledger for the tests: transactions are executed at once, everybody reads the same state.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_consensus::group::StoreId;
use mesh30k_consensus::raft::{GroupSet, GroupSetConfig, accept_any_peer};
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::execute::execute;
use mesh30k_ledger::finality::{Validator, ValidatorSet};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisPools};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::{AgentRegistration, Capabilities, NodeRegistration, Operation, RegisterHost};
use mesh30k_ledger::parameters::Parameters;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{FreezeRecord, Regions};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::{MemoryState, StateError};
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, AgentClass, ChainId, Epoch, Hash, NodeId, Region, Round, TimeMs, TxId, Uftns};
use mesh30k_p2p::{Config, Control, Event, Events, TransportKind, keypair_from_seed, spawn};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::until::until;
use crate::bridge::{self, RaftBridge};
use crate::clock::wall_ms;
use crate::lanes;
use crate::ledger::{FinalBlockTip, SubmitError};
use crate::mesh::{MeshHandle, MeshLedger, MeshParts, MeshService, StaticReports};
use crate::raft_runtime::RaftRuntime;
use crate::roster::{Roster, SharedRoster};
use crate::telemetry::Metrics;

/// Agents of each host.
pub(super) const AGENTS_EACH: usize = 3;

fn key(seed: u64) -> SecretKey {
    SecretKey::from_seed(Hash::of(&seed.to_le_bytes()).0)
}

fn account_of(key: &SecretKey) -> AccountId {
    KeyPolicy::single(key.public()).account()
}

fn operator() -> SecretKey {
    key(1_000)
}

fn transport_seed(node: u64) -> [u8; 32] {
    key(2_000 + node).to_seed()
}

/// A ledger whose every transaction is a block.
pub(super) struct TestLedger {
    state: Mutex<MemoryState>,
    context: ChainContext,
    validators: ValidatorSet,
    recorded: Mutex<BTreeSet<TxId>>,
    finals: watch::Sender<FinalBlockTip>,
}

impl TestLedger {
    fn read<T>(&self, read: impl FnOnce(&MemoryState) -> T) -> T {
        read(&self.state.lock().unwrap())
    }

    fn execute(&self, transactions: Vec<SignedTransaction>) {
        let mut state = self.state.lock().unwrap();
        let tip = query::tip(&*state).unwrap();
        let header = Header {
            chain: self.context.chain,
            epoch: Epoch(0),
            round: Round(0),
            height: tip.height.next(),
            parent: tip.block,
            tx_root: Hash::ZERO,
            parent_state_root: tip.state_root,
            next_validators_hash: self.validators.hash(),
            time: TimeMs(wall_ms().max(tip.time.0 + 1)),
            term: 1,
            proposer: NodeId(1),
            reset: None,
        };
        let block = Block::sign(header, transactions, &self.context, &key(3_001));
        let execution = execute(&*state, &block).unwrap();
        assert!(execution.outcomes.iter().all(|outcome| outcome.is_executed()), "{:?}", execution.outcomes);
        self.recorded.lock().unwrap().extend(&execution.transactions);
        state.apply(execution.changes);
        drop(state);
        let tip = self.read(|state| query::tip(state).unwrap());
        self.finals.send_replace(FinalBlockTip { height: tip.height, time: tip.time, block: tip.block });
    }
}

impl MeshLedger for TestLedger {
    fn context(&self) -> ChainContext {
        self.context
    }
    fn finals(&self) -> watch::Receiver<FinalBlockTip> {
        self.finals.subscribe()
    }
    fn operators(&self) -> Result<Operators, StateError> {
        self.read(|state| query::operators(state))
    }
    fn freezes(&self) -> Result<Vec<FreezeRecord>, StateError> {
        self.read(|state| query::freezes(state))
    }
    fn is_recorded(&self, id: &TxId) -> Result<bool, StateError> {
        Ok(self.recorded.lock().unwrap().contains(id))
    }
    fn anchor(&self) -> Result<Option<NodeId>, StateError> {
        Ok(Some(NodeId(1)))
    }
    fn submit(&self, signed: SignedTransaction) -> Result<TxId, SubmitError> {
        let id = signed.id();
        if !self.recorded.lock().unwrap().contains(&id) {
            self.execute(vec![signed]);
        }
        Ok(id)
    }
}

/// A genesis with so many nodes, and the nodes to come.
pub(super) struct World {
    ledger: Arc<TestLedger>,
    nodes: u64,
}

impl World {
    /// Nodes 1 to `nodes`, of which 1 to `hosts` register agents, all in sector 0.
    pub(super) fn new(nodes: u64, hosts: u64) -> Self {
        let genesis = genesis(nodes);
        let mut state = MemoryState::new();
        state.apply(genesis.initial_changes().unwrap());
        let ledger = Arc::new(TestLedger {
            state: Mutex::new(state),
            context: genesis.context(),
            validators: genesis.validators,
            recorded: Mutex::default(),
            finals: watch::Sender::new(FinalBlockTip::default()),
        });
        let world = Self { ledger, nodes };
        for host in 1..=hosts {
            let agents = (0..AGENTS_EACH as u64).map(|agent| AgentRegistration {
                key: key(10_000 + 100 * host + agent).public(),
                class: AgentClass::A,
                capabilities: Capabilities::COMPUTE,
            });
            let op = Operation::RegisterHost(RegisterHost { node: None, agents: agents.collect() });
            let signed = world.transaction(&key(host), op, 0).sign(&[&key(host)]);
            world.ledger.execute(vec![signed]);
        }
        world
    }

    fn transaction(&self, from: &SecretKey, op: Operation, nonce: u64) -> Transaction {
        Transaction::new(&self.ledger.context, account_of(from), nonce, TimeMs(u64::MAX), Uftns::ftns(1), op)
    }

    /// Signed by the operator's account, which is an operator.
    pub(super) fn signed(&self, op: Operation, nonce: u64) -> SignedTransaction {
        self.transaction(&operator(), op, nonce).sign(&[&operator()])
    }

    /// Signed by a node, which is none.
    pub(super) fn signed_by_stranger(&self, op: Operation) -> SignedTransaction {
        self.transaction(&key(1), op, 1).sign(&[&key(1)])
    }

    /// Starts every node and connects each with each.
    pub(super) async fn start(&self) -> Vec<TestNode> {
        let mut nodes: Vec<TestNode> = Vec::new();
        for number in 1..=self.nodes {
            let node = TestNode::start(number, &self.ledger);
            until("the node listens", Duration::from_secs(5), || !node.control.listen_addresses().is_empty()).await;
            let mine = node.control.listen_addresses();
            for other in &nodes {
                for address in &mine {
                    other.control.dial(address.clone()).await.unwrap();
                }
            }
            nodes.push(node);
        }
        nodes
    }
}

fn genesis(nodes: u64) -> Genesis {
    let registration = |node: u64| NodeRegistration {
        transport_key: SecretKey::from_seed(transport_seed(node)).public().0.to_vec(),
        host_key: key(node).public(),
        store_id: Hash::of(&node.to_be_bytes()),
        addresses: vec![],
        region: Region::new(*b"KE").unwrap(),
    };
    let account = |key: &SecretKey| GenesisAccount {
        policy: KeyPolicy::single(key.public()),
        balance: Uftns::ftns(1_000),
        region: None,
    };
    Genesis {
        chain: ChainId::new("test").unwrap(),
        time: TimeMs(wall_ms() - 1_000),
        validators: ValidatorSet(vec![Validator {
            node: NodeId(1),
            key: key(3_001).public(),
            account: account_of(&key(1)),
        }]),
        nodes: (1..=nodes)
            .map(|n| GenesisNode { account: account_of(&key(n)), registration: registration(n), renewable_ppm: 0 })
            .collect(),
        accounts: (1..=nodes).map(|n| account(&key(n))).chain([account(&operator())]).collect(),
        operators: Operators { threshold: 1, keys: vec![operator().public()] },
        parameters: Parameters::default(),
        regions: Regions {
            intensities_mg_per_kwh: [(Region::new(*b"KE").unwrap(), 70_000)].into(),
            default_intensity_mg_per_kwh: 480_000,
            ..Regions::default()
        },
        pools: GenesisPools::default(),
        supply_cap: Uftns::ftns(1_000_000),
        offices: Vec::new(),
    }
}

/// One running node.
pub(super) struct TestNode {
    control: Control,
    groups: GroupSet<RaftRuntime>,
    mesh: Arc<MeshService>,
    events: JoinHandle<()>,
}

impl TestNode {
    fn start(number: u64, ledger: &Arc<TestLedger>) -> Self {
        let me = NodeId(number);
        let mut config = Config::new("test", keypair_from_seed(transport_seed(number)).unwrap(), number);
        config.transport = TransportKind::Memory;
        config.listen = vec!["/memory/0".parse().unwrap()];
        let (control, events) = spawn(config).unwrap();
        let roster = SharedRoster::default();
        roster.store(ledger.read(|state| Roster::read(state).unwrap()));
        let groups = GroupSet::new(GroupSetConfig {
            me: number,
            store_id: StoreId([u8::try_from(number).unwrap(); 32]),
            store: Arc::new(MemDisk::new(FlushMode::Immediate).open()),
            transport: Arc::new(RaftBridge::new(control.clone(), roster.clone())),
            check: accept_any_peer(),
        });
        for lane in [lanes::RAFT, lanes::RAFT_APPEND] {
            tokio::spawn(bridge::serve(control.accept(lane).unwrap(), groups.clone(), roster.clone()));
        }
        let agents = roster.load().hosted_by(me).map(|agent| agent.id).collect();
        let mesh = MeshService::start(MeshParts {
            me,
            key: key(number),
            control: control.clone(),
            roster,
            groups: groups.clone(),
            ledger: Arc::<TestLedger>::clone(ledger),
            reports: Arc::new(StaticReports::new(agents)),
            metrics: Metrics::new().unwrap(),
        });
        let mesh = Arc::new(mesh.unwrap());
        let events = tokio::spawn(deliver(events, Arc::clone(&mesh)));
        Self { control, groups, mesh, events }
    }

    pub(super) fn handle(&self) -> &MeshHandle {
        self.mesh.handle()
    }

    /// Ends the node at once, without a word to anybody.
    pub(super) async fn crash(self) {
        self.mesh.abort();
        self.events.abort();
        self.control.shutdown().await;
        self.groups.end_all().await;
    }
}

async fn deliver(mut events: Events, mesh: Arc<MeshService>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Gossip { topic, from, data, token } => {
                assert!(mesh.on_gossip(&topic, from, &data, token), "{topic}")
            }
            Event::PeerDown { peer } => mesh.on_peer_down(&peer),
            _ => {}
        }
    }
}
