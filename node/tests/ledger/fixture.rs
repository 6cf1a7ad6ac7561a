//! A chain of a few nodes in this process.

use std::sync::Arc;

use bytes::Bytes;
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::finality::{Phase, Validator, ValidatorSet, Vote};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisPools};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::{NodeRegistration, Operation, Transfer};
use mesh30k_ledger::parameters::Parameters;
use mesh30k_ledger::records::Regions;
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, ChainId, Epoch, Hash, Height, NodeId, Region, Round, TimeMs, Uftns};
use mesh30k_node::clock;
use mesh30k_node::config::LedgerSettings;
use mesh30k_node::disk::{DiskHandle, DiskLimits};
use mesh30k_node::foundation::{Foundation, FoundationParts};
use mesh30k_node::identity::NodeIdentity;
use mesh30k_node::lanes;
use mesh30k_node::telemetry::Metrics;
use mesh30k_p2p::{Config, Control, Event, TransportKind};

/// Blocks behind others from which on a newcomer begins with a snapshot.
pub(crate) const SNAPSHOT_AFTER_BLOCKS: u64 = 4;
pub(crate) const BALANCE: Uftns = Uftns::ftns(1_000);

pub(crate) struct Mesh {
    pub(crate) genesis: Genesis,
    pub(crate) nodes: Vec<Foundation>,
    /// Of each node.
    pub(crate) metrics: Vec<Metrics>,
    alice: SecretKey,
    dir: tempfile::TempDir,
}

impl Mesh {
    pub(crate) fn bob(&self) -> AccountId {
        KeyPolicy::single(key(200).public()).account()
    }

    /// Starts validators and observers; returns when every validator is connected to every other.
    pub(crate) async fn start(validators: usize, observers: usize) -> Self {
        Self::start_with(validators, observers, Vec::new(), SNAPSHOT_AFTER_BLOCKS).await
    }

    /// As [`Self::start`], with more accounts in the genesis, and nodes that make a snapshot anew as often as these blocks say.
    pub(crate) async fn start_with(
        validators: usize,
        observers: usize,
        accounts: Vec<GenesisAccount>,
        after_blocks: u64,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identities: Vec<NodeIdentity> = (0..validators + observers)
            .map(|index| NodeIdentity::load_or_create(&dir.path().join(format!("{index}/keys"))).unwrap())
            .collect();
        let mut genesis = genesis(&identities[..validators]);
        genesis.accounts.extend(accounts);
        let (mut nodes, mut metrics) = (Vec::new(), Vec::new());
        for (index, identity) in identities.iter().enumerate() {
            metrics.push(Metrics::new().unwrap());
            let (dir, counters) = (dir.path().join(index.to_string()), metrics[index].clone());
            nodes.push(start(&genesis, identity, index, &dir, after_blocks, counters).await);
        }
        for one in &nodes {
            for other in &nodes {
                let (peer, address) = (other.control.local_peer_id(), other.control.listen_addresses().remove(0));
                if peer != one.control.local_peer_id() {
                    one.control.add_address(peer, address.clone()).unwrap();
                    one.control.reserve(peer, vec![address]).unwrap();
                }
            }
        }
        let expected = nodes.len() - 1;
        for node in &mut nodes {
            while node.control.peers().len() < expected {
                node.events.as_mut().unwrap().recv().await.unwrap();
            }
        }
        for node in &mut nodes {
            relay_gossip(node);
        }
        Self { genesis, nodes, metrics, alice: key(100), dir }
    }

    /// Where a node keeps what outlives it.
    pub(crate) fn home(&self, index: usize) -> std::path::PathBuf {
        self.dir.path().join(index.to_string())
    }

    /// A validator tells the others two different things about one height.
    pub(crate) fn vote_twice(&self, index: usize, height: Height) {
        let key = NodeIdentity::load_or_create(&self.home(index).join("keys")).unwrap().validator();
        let own = &self.nodes[index].control;
        for block in [b"one".as_slice(), b"other"] {
            let vote = Vote {
                phase: Phase::First,
                context: self.genesis.context(),
                epoch: Epoch(0),
                round: Round(0),
                height,
                block: Hash::of(block),
                parent: Hash::ZERO,
                commitment: Hash::ZERO,
                lock: None,
                validator: NodeId(index as u64 + 1),
            };
            let body = Bytes::from(encode(&vote.sign(&key)));
            for other in self.nodes.iter().filter(|node| node.control.local_peer_id() != own.local_peer_id()) {
                // An observer takes no votes.
                let _ = own.notify(other.control.local_peer_id(), lanes::VOTE, body.clone());
            }
        }
    }

    /// An observer comes later, and knows the validators.
    pub(crate) async fn join(&mut self) {
        self.join_alone().await;
        self.introduce_last();
    }

    /// As [`Self::join`], but knows nobody yet.
    pub(crate) async fn join_alone(&mut self) {
        let (index, home) = (self.nodes.len(), self.dir.path().join(self.nodes.len().to_string()));
        let identity = NodeIdentity::load_or_create(&home.join("keys")).unwrap();
        let metrics = Metrics::new().unwrap();
        self.metrics.push(metrics.clone());
        let mut newcomer = start(&self.genesis, &identity, index, &home, SNAPSHOT_AFTER_BLOCKS, metrics).await;
        relay_gossip(&mut newcomer);
        self.nodes.push(newcomer);
    }

    /// The last node gets to know the others.
    pub(crate) fn introduce_last(&self) {
        let (newcomer, others) = self.nodes.split_last().unwrap();
        for one in others {
            connect(&newcomer.control, &one.control);
        }
    }
}

/// One dials the other, and does not let go.
pub(crate) fn connect(one: &Control, other: &Control) {
    let (peer, address) = (other.local_peer_id(), other.listen_addresses().remove(0));
    one.add_address(peer, address.clone()).unwrap();
    one.reserve(peer, vec![address]).unwrap();
}

/// A peer of this chain with a network and nothing else.
pub(crate) async fn bare_peer(mesh: &Mesh, seed: u8) -> Control {
    let keypair = mesh30k_p2p::keypair_from_seed([seed; 32]).unwrap();
    let (control, mut events) = mesh30k_p2p::spawn(network(keypair, seed.into())).unwrap();
    while control.listen_addresses().is_empty() {
        events.recv().await.unwrap();
    }
    for node in &mesh.nodes {
        connect(&control, &node.control);
    }
    while control.peers().len() < mesh.nodes.len() {
        events.recv().await.unwrap();
    }
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    control
}

fn network(keypair: mesh30k_p2p::Keypair, seed: u64) -> Config {
    let mut network = Config::new("test", keypair, seed);
    network.transport = TransportKind::Memory;
    network.listen = vec!["/memory/0".parse().unwrap()];
    network
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// Blocks go where a running node would take them.
fn relay_gossip(node: &mut Foundation) {
    let mut events = node.events.take().unwrap();
    let (control, announcer) = (node.control.clone(), node.announcer.clone());
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Gossip { data, token, .. } = event {
                let verdict = announcer.on_announcement(NodeId(0), &data);
                let _ = control.validate(token, verdict);
            }
        }
    });
}

async fn start(
    genesis: &Genesis,
    identity: &NodeIdentity,
    index: usize,
    dir: &std::path::Path,
    snapshot_after_blocks: u64,
    metrics: Metrics,
) -> Foundation {
    Foundation::start(FoundationParts {
        genesis: genesis.clone(),
        kv: Arc::new(MemDisk::new(FlushMode::Immediate).open()),
        ledger: LedgerSettings { block_cache_mib: 2, memtable_mib: 4, snapshot_after_blocks },
        identity,
        store_id: store_id(index),
        dir: dir.to_owned(),
        sign_log: dir.join("sign.log"),
        network: network(identity.transport().unwrap(), index as u64),
        metrics,
        disk: DiskHandle::new(dir.to_owned(), DiskLimits { read_only_bytes: 1, resume_bytes: 2 }),
    })
    .await
    .unwrap()
}

fn store_id(index: usize) -> Hash {
    Hash::of(&index.to_le_bytes())
}

fn genesis(validators: &[NodeIdentity]) -> Genesis {
    let account_of = |key: &SecretKey| KeyPolicy::single(key.public()).account();
    let nodes = validators.iter().enumerate().map(|(index, identity)| GenesisNode {
        account: account_of(&identity.account()),
        registration: NodeRegistration {
            transport_key: identity.transport().unwrap().public().try_into_ed25519().unwrap().to_bytes().to_vec(),
            host_key: identity.account().public(),
            store_id: store_id(index),
            addresses: Vec::new(),
            region: Region::new(*b"DE").unwrap(),
        },
        renewable_ppm: 0,
    });
    let set = validators.iter().enumerate().map(|(index, identity)| Validator {
        node: NodeId(index as u64 + 1),
        key: identity.validator().public(),
        account: account_of(&identity.account()),
    });
    let owners = validators.iter().map(NodeIdentity::account).chain([key(100), key(200)]);
    Genesis {
        chain: ChainId::new("test").unwrap(),
        time: TimeMs(clock::wall_ms()),
        validators: ValidatorSet(set.collect()),
        nodes: nodes.collect(),
        accounts: owners
            .map(|owner| GenesisAccount { policy: KeyPolicy::single(owner.public()), balance: BALANCE, region: None })
            .collect(),
        operators: Operators { threshold: 1, keys: vec![key(100).public()] },
        parameters: Parameters::default(),
        regions: Regions::default(),
        pools: GenesisPools::default(),
        supply_cap: Uftns::ftns(1_000_000),
        offices: Vec::new(),
    }
}

/// Alice pays bob.
pub(crate) fn transfer(mesh: &Mesh, nonce: u64, amount: Uftns) -> SignedTransaction {
    let alice = KeyPolicy::single(mesh.alice.public()).account();
    let op = Operation::Transfer(Transfer { to: mesh.bob(), amount, memo: String::new() });
    let valid_until = TimeMs(clock::wall_ms() + 60_000);
    Transaction::new(&mesh.genesis.context(), alice, nonce, valid_until, Uftns::ftns(1), op).sign(&[&mesh.alice])
}

/// Accounts that take much room: some 1,800 fill a chunk of a snapshot.
pub(crate) fn crowd(accounts: u32) -> Vec<GenesisAccount> {
    let shared: Vec<_> = (210..225).map(|seed| key(seed).public()).collect();
    let own = |n: u32| SecretKey::from_seed(Hash::of(&n.to_le_bytes()).0).public();
    let policy = |n: u32| KeyPolicy::new(1, shared.iter().copied().chain([own(n)]).collect());
    (0..accounts).map(|n| GenesisAccount { policy: policy(n), balance: Uftns::ftns(1), region: None }).collect()
}
