use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use mesh30k_core::event::{ArrivalParams, Event, SignedEvent, Strategy};
use mesh30k_core::hosted::Replay;
use mesh30k_core::lead::{Fencing, Lease, LeaseError, LeaseTable, Tenure};
use mesh30k_core::time::TimeUs;
use mesh30k_core::wire::{Frame, MAX_BODY_BYTES};
use mesh30k_ledger::codec::decode;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::ops::Capabilities;
use mesh30k_ledger::records::{AgentRange, AgentRecord, ClusterRecord, NodeRecord, SectorRecord};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentClass, AgentId, ChainId, ClusterId, Hash, NodeId, SectorId};
use mesh30k_p2p::PeerId;

use super::super::wire::Message;
use super::super::*;
use crate::api::types::{PlanRequest, ReleaseRow};
use crate::clock::wall_us;
use crate::mesh::tests::until::holds_within;
use crate::roster::{Roster, RosterNode, SharedRoster};

pub(super) const NODES: u64 = 3;
/// A node that hosts nobody and votes nowhere.
const OUTSIDER: u64 = NODES + 1;
pub(super) const PER_NODE: u32 = 20;
pub(super) const AGENTS: u64 = NODES * PER_NODE as u64;
const CLASSES: [AgentClass; 4] = [AgentClass::A, AgentClass::A, AgentClass::B, AgentClass::C];

pub(super) fn context() -> ChainContext {
    ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash::of(b"genesis") }
}

pub(super) fn operator() -> SecretKey {
    SecretKey::from_seed([42; 32])
}

pub(super) fn host_key(node: u64) -> SecretKey {
    SecretKey::from_seed([u8::try_from(node).unwrap(); 32])
}

/// Agents of the three clusters sit on all three nodes, so that every lead has foreign hosts.
pub(super) fn cluster_of(agent: u64) -> ClusterId {
    match agent % 3 {
        0 => ClusterId { sector: SectorId(0), index: 0 },
        1 => ClusterId { sector: SectorId(0), index: 1 },
        _ => ClusterId { sector: SectorId(1), index: 0 },
    }
}

/// Leads: 0-0 by node 2, 0-1 by node 3, 1-0 by node 1. Coordinators: sector 0 by node 1, sector 1 by node 2.
pub(super) struct FixedView(LeaseTable);

impl FixedView {
    pub(super) fn new() -> Self {
        let mut table = LeaseTable::new();
        for (agent, lead, index) in [(3, 2, 1), (1, 3, 2), (2, 1, 3)] {
            let lease = Lease {
                cluster: cluster_of(agent),
                lead: NodeId(lead),
                deputy: None,
                from: TimeUs(0),
                until: TimeUs::MAX,
                fencing: Fencing::new(1, index),
            };
            table.follow(lease).unwrap();
        }
        Self(table)
    }
}

impl MeshView for FixedView {
    fn coordinator(&self, sector: SectorId) -> Option<NodeId> {
        Some(NodeId(u64::from(sector.0) + 1))
    }

    fn lead(&self, cluster: ClusterId, now: TimeUs) -> Option<(NodeId, Tenure)> {
        self.0.holder(cluster, now)
    }

    fn led_by(&self, node: NodeId, now: TimeUs) -> BTreeMap<ClusterId, Tenure> {
        self.0.held_by(node, now).collect()
    }

    fn check_lead(&self, cluster: ClusterId, node: NodeId, tenure: Tenure, now: TimeUs) -> Result<(), LeaseError> {
        self.0.check(cluster, node, tenure, now)
    }
}

fn node_record(node: u64) -> NodeRecord {
    let key = host_key(node).public();
    NodeRecord {
        id: NodeId(node),
        transport_key: vec![u8::try_from(node).unwrap(); 32],
        account: KeyPolicy::single(key).account(),
        host_key: key,
        store_id: Hash::ZERO,
        addresses: Vec::new(),
        region: "US".parse().unwrap(),
        renewable_ppm: 0,
        sector: None,
        voter_seats: 0,
        agents: vec![AgentRange { first: AgentId((node - 1) * u64::from(PER_NODE) + 1), count: PER_NODE }],
    }
}

pub(super) fn roster() -> Roster {
    let mut roster = Roster::default();
    for node in 1..=NODES {
        roster.nodes.insert(NodeId(node), RosterNode { record: node_record(node), peer: PeerId::random() });
    }
    let record = NodeRecord { agents: Vec::new(), ..node_record(OUTSIDER) };
    roster.nodes.insert(NodeId(OUTSIDER), RosterNode { record, peer: PeerId::random() });
    for agent in 1..=AGENTS {
        let cluster = cluster_of(agent);
        let record = AgentRecord {
            id: AgentId(agent),
            key: PublicKey([0; 32]),
            class: CLASSES[usize::try_from(agent).unwrap() % CLASSES.len()],
            capabilities: Capabilities::SENSE,
            node: NodeId((agent - 1) / u64::from(PER_NODE) + 1),
            cluster,
        };
        roster.agents.insert(record);
        let known = roster.clusters.entry(cluster).or_insert_with(|| ClusterRecord { id: cluster, agents: Vec::new() });
        known.agents.push(AgentId(agent));
        roster.sectors.entry(cluster.sector).or_insert_with(|| SectorRecord {
            id: cluster.sector,
            agents: 0,
            clusters: 0,
            last_cluster_agents: 0,
            nodes: Vec::new(),
            voters: (1..=NODES).map(NodeId).collect(),
        });
    }
    roster
}

type Peers = Arc<Mutex<BTreeMap<NodeId, ArrivalHandle>>>;

struct DirectLink {
    me: NodeId,
    peers: Peers,
    sent_down: Arc<AtomicU64>,
}

impl Link for DirectLink {
    fn send(&self, to: NodeId, frame: Bytes) -> bool {
        if let Ok(Frame::Message(envelope)) = Frame::decode(&frame)
            && let Ok(Message::Down { .. }) = decode(&envelope.body, MAX_BODY_BYTES)
        {
            self.sent_down.fetch_add(1, Ordering::Relaxed);
        }
        let peer = self.peers.lock().unwrap().get(&to).cloned();
        peer.inspect(|peer| peer.deliver(self.me, wall_us(), frame)).is_some()
    }
}

/// The three nodes.
pub(super) struct Trio {
    pub(super) nodes: Vec<ArrivalHandle>,
    pub(super) rules: Arc<Mutex<Rules>>,
    peers: Peers,
    roster: SharedRoster,
    sent_down: Arc<AtomicU64>,
    metrics: Vec<Metrics>,
}

impl Drop for Trio {
    fn drop(&mut self) {
        self.nodes.iter().for_each(ArrivalHandle::stop);
        self.peers.lock().unwrap().clear();
    }
}

fn replay() -> Arc<Replay> {
    static REPLAY: OnceLock<Arc<Replay>> = OnceLock::new();
    REPLAY.get_or_init(|| Arc::new(Replay::embedded().unwrap())).clone()
}

impl Trio {
    pub(super) fn start() -> Self {
        let peers = Peers::default();
        let shared = SharedRoster::default();
        shared.store(roster());
        let rules = Arc::new(Mutex::new(Rules {
            operators: vec![operator().public()],
            params: ArrivalParams::from_ledger(990_000, 0),
            anchor: NodeId(1),
        }));
        let metrics = (1..=NODES).map(|_| Metrics::new().unwrap()).collect();
        let mut trio = Self { nodes: Vec::new(), rules, peers, roster: shared, sent_down: Arc::default(), metrics };
        trio.nodes = (1..).zip(&trio.metrics).map(|(node, metrics)| trio.start_node(node, metrics.clone())).collect();
        trio
    }

    /// One more node, which hosts nobody and votes nowhere.
    pub(super) fn outsider(&self) -> ArrivalHandle {
        self.start_node(OUTSIDER, Metrics::new().unwrap())
    }

    fn start_node(&self, node: u64, metrics: Metrics) -> ArrivalHandle {
        let (me, read) = (NodeId(node), self.rules.clone());
        let handle = start(ArrivalParts {
            me,
            context: context(),
            key: host_key(node),
            roster: self.roster.clone(),
            view: Arc::new(FixedView::new()),
            link: Box::new(DirectLink { me, peers: self.peers.clone(), sent_down: self.sent_down.clone() }),
            clock: ArrivalClock::new(|wall_us| Now { wall_us, mesh: TimeUs(wall_us), corrected_us: 0 }),
            rules: Arc::new(move || Ok(read.lock().unwrap().clone())),
            replay: replay(),
            seed: 5,
            harness: Harness::enabled(),
            metrics,
        });
        let handle = handle.unwrap();
        self.peers.lock().unwrap().insert(me, handle.clone());
        handle
    }

    /// Until nearly every link is measured, as every node hears of it.
    pub(super) async fn warm(&self) {
        if holds_within(Duration::from_secs(60), || self.nodes.iter().all(|node| node.warm_up().is_warm(980_000))).await
        {
            return;
        }
        let warm: Vec<_> = self.nodes.iter().map(ArrivalHandle::warm_up).collect();
        let counters: Vec<_> = self.nodes.iter().map(ArrivalHandle::counters).collect();
        panic!("not warm after a minute: {warm:?} {counters:?}");
    }

    pub(super) async fn plan(&self, strategy: &str) -> crate::api::types::PlanAnswer {
        self.nodes[0].plan(&request(strategy)).await.unwrap()
    }

    /// Events that nodes sent each other, down the tree.
    pub(super) fn sent_down(&self) -> u64 {
        self.sent_down.load(Ordering::Relaxed)
    }

    /// The metrics of a node, as text.
    pub(super) fn metrics(&self, node: u64) -> String {
        self.metrics[usize::try_from(node).unwrap() - 1].encode(None).unwrap()
    }

    /// True releases on all nodes, of each slot the first: on a busy machine a standby may act for an agent as well.
    pub(super) fn releases(&self, event: mesh30k_core::event::EventId) -> Vec<ReleaseRow> {
        let mut rows: Vec<ReleaseRow> = self.nodes.iter().flat_map(|node| node.releases(event).unwrap()).collect();
        rows.sort_by_key(|row| (row.agent, row.error_us));
        rows.dedup_by_key(|row| row.agent);
        rows
    }

    /// A node that dies: its thread ends and nothing reaches it.
    pub(super) fn kill(&self, node: u64) {
        self.nodes[usize::try_from(node).unwrap() - 1].stop();
        self.peers.lock().unwrap().remove(&NodeId(node));
    }
}

/// The earliest instant for everybody but people.
pub(super) fn request(strategy: &str) -> PlanRequest {
    PlanRequest {
        strategy: strategy.to_owned(),
        at_us: None,
        sector: None,
        classes: Vec::new(),
        capabilities: Vec::new(),
        agents: Vec::new(),
        sample: None,
    }
}

pub(super) fn unsigned(kind: EventKind, strategy: Strategy, target_us: i64, payload: &[u8]) -> Event {
    let nonce = Hash::of(&[target_us.to_le_bytes().as_slice(), payload].concat());
    kind.event(strategy, TimeUs(target_us), payload.to_vec(), nonce.as_bytes())
}

pub(super) fn signed(kind: EventKind, strategy: Strategy, target_us: i64, payload: &[u8]) -> SignedEvent {
    unsigned(kind, strategy, target_us, payload).sign(&context(), &operator())
}
