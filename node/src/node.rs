//! The composition root: from a configuration to a running node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use libp2p::identity::Keypair;
use mesh30k_consensus::raft::GroupSet;
use mesh30k_consensus::storage::{RocksStore, StoreError, abort_on_fatal};
use mesh30k_core::beat::AgentReport;
use mesh30k_core::hosted::{Replay, ReplayError};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::ops::MAX_ADDRESSES;
use mesh30k_ledger::types::{AgentClass, Hash, NodeId, Region, RegionError, TimeMs};
use mesh30k_p2p::{AcceptError, Control, Event, Events, Multiaddr, Verdict};
use tokio_util::sync::CancellationToken;

use crate::api::{ApiParts, ApiState, Member, Starting};
use crate::clock;
use crate::config::{AgentSettings, Config, ListenError, NodeSettings, bind};
use crate::datadir::{self, DataDir, DataDirError};
use crate::disk::{self, DiskHandle, DiskState, DiskTask, DiskWatch};
use crate::duties::{self, DutyParts};
use crate::foundation::{Foundation, FoundationError, FoundationParts};
use crate::grid::{self, GridHandle};
use crate::harness::Harness;
use crate::identity::{IdentityError, NodeIdentity};
use crate::join::{self, HostProfile};
use crate::lanes;
use crate::ledger::{Announcer, LedgerHandle};
use crate::mesh::arrival::{self, ArrivalClock, ArrivalError, ArrivalHandle, ArrivalParts, P2pLink, Rules};
use crate::mesh::{AgentReports, MeshParts, MeshService};
use crate::raft_runtime::RaftRuntime;
use crate::tasks::{self, TaskParts};
use crate::telemetry::{MetricError, Metrics};

/// Why a node did not start, each with what to do.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The genesis file.
    #[error("the genesis {path} can't be used")]
    Genesis {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A multiaddress in the configuration.
    #[error("{field}: `{value}` is no multiaddress such as /ip4/0.0.0.0/tcp/7401")]
    Address {
        /// Which key of the configuration.
        field: &'static str,
        /// What stands there.
        value: String,
    },
    /// The region in the configuration.
    #[error("node.region can't be used")]
    Region(#[from] RegionError),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Room on the disk.
    #[error("the free room on the disk of {path} can't be read")]
    Disk {
        /// The data directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Limits of the room that the disk can't have.
    #[error(
        "node.disk_resume_mib = {resume_mib} MiB is more than the whole disk of {path} has, {total_mib} MiB: this node would never \
         write anything; lower it and node.disk_read_only_mib, or take a larger disk"
    )]
    SmallDisk {
        /// The data directory.
        path: PathBuf,
        /// The limit.
        resume_mib: u64,
        /// What there is.
        total_mib: u64,
    },
    /// The keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The transport key.
    #[error("the transport key is no Ed25519 key")]
    TransportKey,
    /// The embedded delay series.
    #[error("the replayed delay series in this binary are damaged")]
    Replay(#[from] ReplayError),
    /// The arrival thread.
    #[error(transparent)]
    Arrival(#[from] ArrivalError),
    /// The database.
    #[error("the node's database can't be opened")]
    Store(#[from] StoreError),
    /// The counters.
    #[error("the metrics can't be set up")]
    Metrics(#[from] MetricError),
    /// Network and ledger.
    #[error(transparent)]
    Foundation(#[from] FoundationError),
    /// A lane is taken.
    #[error("a network lane is in use already")]
    Lane(#[from] AcceptError),
    /// The API's address.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// What starting a node tells the person who started it, one line each.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// A running node. Dropping it ends the process's part in the mesh without a farewell, as a crash would.
pub struct Node {
    foundation: Foundation,
    groups: GroupSet<RaftRuntime>,
    mesh: Arc<OnceLock<MeshService>>,
    arrival: ArrivalHandle,
    api: SocketAddr,
    stop: CancellationToken,
    _data: DataDir,
}

impl Node {
    /// Starts a node; returns when it is registered on the ledger and its parts run.
    ///
    /// # Errors
    /// [`NodeError`], each with what to do.
    pub async fn start(config: &Config, progress: Progress) -> Result<Self, NodeError> {
        let genesis = read_genesis(&config.network.genesis)?;
        let data = open_data(config, &genesis)?;
        let identity = Arc::new(NodeIdentity::load_or_create(&data.keys())?);
        let metrics = Metrics::new()?;
        // Bound before anything is joined: a port in use must not cost a registration.
        let listener = bind("api.listen", config.api.listen)?;
        let api = listener.local_addr().map_err(|source| ListenError::Refused {
            key: "api.listen",
            address: config.api.listen,
            source,
        })?;
        let unusable = |source| ListenError::Refused { key: "api.listen", address: config.api.listen, source };
        let starting = Starting::serve(&listener, "opening the database").map_err(unusable)?;
        let disk = open_disk(&data, &config.node)?;
        let store_id = Hash(data.store_id());
        let open = || RocksStore::open_with(&data.db(), config.ledger.memory(), abort_on_fatal());
        let kv = Arc::new(tokio::task::block_in_place(open)?);
        data.note_database()?;
        starting.doing("reading the ledger and its log");
        let mut foundation = Foundation::start(FoundationParts {
            network: network_config(config, &genesis, identity.transport()?, &store_id)?,
            genesis,
            kv,
            ledger: config.ledger.clone(),
            identity: &identity,
            store_id,
            dir: data.path().to_owned(),
            sign_log: data.sign_log(),
            metrics: metrics.clone(),
            disk: disk.clone(),
        })
        .await?;
        progress(&format!("identity {}", foundation.control.local_peer_id()));
        let (stop, mesh, member) = (CancellationToken::new(), Arc::default(), Arc::new(OnceLock::new()));
        serve_gossip(&mut foundation, &mesh);
        let harness = if config.harness.enabled { Harness::enabled() } else { Harness::default() };
        let grid = grid::start(&config.carbon, &config.node.region, stop.clone());
        let state = ApiState::new(ApiParts {
            ledger: foundation.ledger.clone(),
            control: foundation.control.clone(),
            metrics: metrics.clone(),
            harness: harness.clone(),
            member: Arc::clone(&member),
            replay: replay_note(&config.agents),
            grid: grid.clone(),
        });
        watch_disk(&foundation, disk, &metrics, &stop);
        starting.is_over();
        tokio::spawn(serve_api(listener, state, stop.clone()));
        progress(&format!("API at http://{api}"));
        let profile = profile(config, &identity, store_id, &foundation)?;
        let me = join::join(&foundation.ledger, &foundation.control, &identity, &profile, foundation.validator).await;
        progress(&format!("registered as node {me} with {} agents", profile.agents.len()));
        let groups = foundation.groups(me)?;
        let parts = MemberParts { config, me, identity, groups: &groups, harness, metrics, grid, stop: &stop };
        let (service, started) = start_member(&foundation, parts)?;
        let arrival = started.arrival.clone();
        // Both are set here and nowhere else.
        let _ = (mesh.set(service), member.set(started));
        Ok(Self { foundation, groups, mesh, arrival, api, stop, _data: data })
    }

    /// Where the API listens.
    #[must_use]
    pub const fn api(&self) -> SocketAddr {
        self.api
    }

    /// The ledger.
    #[must_use]
    pub const fn ledger(&self) -> &LedgerHandle {
        &self.foundation.ledger
    }

    /// Leaves: hands leadership on, says farewell, closes the network.
    pub async fn shutdown(self) {
        if let Some(mesh) = self.mesh.get() {
            mesh.shutdown().await;
        }
        self.arrival.stop();
        self.stop.cancel();
        self.groups.stop_all().await;
        self.foundation.control.shutdown().await;
    }
}

/// Looks at the disk for the first time. Limits that could never be kept are refused.
fn open_disk(data: &DataDir, settings: &NodeSettings) -> Result<DiskHandle, NodeError> {
    let (path, limits) = (data.path().to_owned(), settings.disk_limits());
    let reading = disk::read(&path).map_err(|source| NodeError::Disk { path: path.clone(), source })?;
    if reading.total_bytes < limits.resume_bytes {
        let (resume_mib, total_mib) = (settings.disk_resume_mib, reading.total_bytes >> 20);
        return Err(NodeError::SmallDisk { path, resume_mib, total_mib });
    }
    let mut watch = DiskWatch::new(limits, DiskState::Writable);
    watch.observe(TimeMs(clock::wall_ms()), reading);
    let handle = DiskHandle::new(path, limits);
    handle.show(watch.state(), reading);
    Ok(handle)
}

/// Watches the room on the disk from now on.
fn watch_disk(foundation: &Foundation, disk: DiskHandle, metrics: &Metrics, stop: &CancellationToken) {
    let (ledger, groups) = (foundation.ledger.clone(), Arc::clone(&foundation.groups));
    tokio::spawn(disk::run(DiskTask { disk, ledger, groups, metrics: metrics.clone(), stop: stop.clone() }));
}

pub(crate) fn read_genesis(path: &Path) -> Result<Genesis, NodeError> {
    let read = || serde_json::from_slice(&std::fs::read(path)?).map_err(std::io::Error::from);
    read().map_err(|source| NodeError::Genesis { path: path.to_owned(), source })
}

pub(crate) fn open_data(config: &Config, genesis: &Genesis) -> Result<DataDir, NodeError> {
    if !config.node.data_dir.as_os_str().is_empty() {
        return Ok(DataDir::open(&config.node.data_dir)?);
    }
    let variable = |name: &str| std::env::var(name).ok();
    let (xdg, home) = (variable("XDG_DATA_HOME"), variable("HOME"));
    let path = datadir::default_path(genesis.chain.as_str(), xdg.as_deref(), home.as_deref())?;
    Ok(DataDir::open(&path)?)
}

fn network_config(
    config: &Config,
    genesis: &Genesis,
    keypair: Keypair,
    store_id: &Hash,
) -> Result<mesh30k_p2p::Config, NodeError> {
    // Two chains of one name must not meet: some digits of the genesis tell them apart.
    let chain = format!("{}-{}", genesis.chain, genesis.hash().short());
    let mut network = mesh30k_p2p::Config::new(chain, keypair, network_seed(store_id));
    network.listen = addresses("p2p.listen", &config.p2p.listen)?;
    network.bootstrap = addresses("network.bootstrap", &config.network.bootstrap)?;
    network.limits.connections_max = config.p2p.max_peers;
    network.limits.inbound_max = config.p2p.max_peers.saturating_sub(config.p2p.max_peers / 4).max(1);
    network.limits.pending_outbound_max = config.p2p.max_pending_dials;
    network.limits.pending_inbound_max = config.p2p.max_pending_dials;
    Ok(network)
}

fn addresses(field: &'static str, texts: &[String]) -> Result<Vec<Multiaddr>, NodeError> {
    let parse = |text: &String| text.parse().map_err(|_| NodeError::Address { field, value: text.clone() });
    texts.iter().map(parse).collect()
}

/// Differs from node to node; it only spreads retries in time.
fn network_seed(store_id: &Hash) -> u64 {
    u64::from_le_bytes(*store_id.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]))
}

fn profile(
    config: &Config,
    identity: &NodeIdentity,
    store_id: Hash,
    foundation: &Foundation,
) -> Result<HostProfile, NodeError> {
    let public = identity.transport()?.public().try_into_ed25519().map_err(|_| NodeError::TransportKey)?;
    let announced = if config.p2p.announce.is_empty() {
        foundation.control.listen_addresses().iter().map(ToString::to_string).collect()
    } else {
        config.p2p.announce.clone()
    };
    Ok(HostProfile {
        transport_key: public.to_bytes().to_vec(),
        store_id,
        addresses: announced.into_iter().take(MAX_ADDRESSES).collect(),
        region: config.node.region.parse::<Region>()?,
        agents: classes_in_turn(config.agents.classes.counts(config.agents.count)),
    })
}

/// Spreads classes evenly over the order of agents, so that each cluster gets its share of every class.
fn classes_in_turn(counts: [u32; 6]) -> Vec<AgentClass> {
    let total: u32 = counts.iter().sum();
    let mut given = [0_u32; 6];
    let mut classes = Vec::with_capacity(total as usize);
    for place in 1..=u64::from(total) {
        // The class that is furthest behind its share at this place comes next.
        let behind = |(count, given): (&u32, &u32)| {
            i64::try_from(u64::from(*count) * place).unwrap_or(i64::MAX) - i64::from(*given) * i64::from(total)
        };
        let next =
            counts.iter().zip(&given).map(behind).enumerate().max_by_key(|(class, behind)| (*behind, -(*class as i64)));
        let Some((class, _)) = next else { break };
        if let (Some(given), Some(named)) = (given.get_mut(class), AgentClass::ALL.get(class)) {
            *given += 1;
            classes.push(*named);
        }
    }
    classes
}

fn replay_note(agents: &AgentSettings) -> String {
    if agents.count == 0 {
        return String::new();
    }
    "delays between leads and hosted agents are replayed from measured series (Seattle, PlanetLab, city pings), their \
     clocks are virtual and their processing times synthetic; the sockets are real"
        .to_owned()
}

struct MemberParts<'a> {
    config: &'a Config,
    me: NodeId,
    identity: Arc<NodeIdentity>,
    groups: &'a GroupSet<RaftRuntime>,
    harness: Harness,
    metrics: Metrics,
    grid: Option<GridHandle>,
    stop: &'a CancellationToken,
}

/// Starts what a registered node adds: arrival, sectors, tasks.
fn start_member(foundation: &Foundation, parts: MemberParts<'_>) -> Result<(MeshService, Member), NodeError> {
    let MemberParts { config, me, identity, groups, harness, metrics, grid, stop } = parts;
    let (ledger, control, roster) = (&foundation.ledger, &foundation.control, &foundation.roster);
    let reports = Arc::new(MeasuredReports::default());
    let service = MeshService::start(MeshParts {
        me,
        key: identity.account(),
        control: control.clone(),
        roster: roster.clone(),
        groups: groups.clone(),
        ledger: Arc::new(ledger.clone()),
        reports: Arc::clone(&reports) as Arc<dyn AgentReports>,
        metrics: metrics.clone(),
    })?;
    let mesh = service.handle().clone();
    let (mesh_clock, rules_of) = (mesh.clock().clone(), ledger.clone());
    let arrival = arrival::start(ArrivalParts {
        me,
        context: ledger.context(),
        key: identity.account(),
        roster: roster.clone(),
        view: Arc::new(mesh.clone()),
        link: Box::new(P2pLink::new(control.clone(), roster.clone())),
        clock: ArrivalClock::new(move |wall_us| {
            let reading = mesh_clock.reading();
            arrival::Now { wall_us, mesh: reading.mesh_time(wall_us), corrected_us: reading.corrected_us }
        }),
        rules: Arc::new(move || rules_of.read(Rules::read)),
        replay: Arc::new(Replay::embedded()?),
        seed: config.agents.seed,
        harness,
        metrics: metrics.clone(),
    })?;
    reports.set(arrival.clone());
    mesh.freezes().set_sink(Arc::new(arrival.clone()));
    tokio::spawn(arrival::serve(arrival.clone(), control.accept(lanes::EVENT)?, roster.clone(), stop.clone()));
    tokio::spawn(arrival::follow_rules(arrival.clone(), ledger.finals(), stop.clone()));
    let duties = duties::start(DutyParts {
        me,
        key: identity.account(),
        ledger: ledger.clone(),
        sectors: mesh.sectors().clone(),
        grid: grid.clone().filter(|_| config.carbon.report),
        metrics: metrics.clone(),
        stop: stop.clone(),
    });
    let tasks = tasks::start(TaskParts {
        ledger: ledger.clone(),
        control: control.clone(),
        mesh: mesh.clone(),
        identity,
        settings: config.tasks.clone(),
        grid,
        metrics,
        shutdown: stop.clone(),
    })?;
    Ok((service, Member { mesh, arrival, tasks, duties }))
}

/// The reports of agents, once the arrival thread runs that measures them.
#[derive(Default)]
struct MeasuredReports(OnceLock<ArrivalHandle>);

impl MeasuredReports {
    fn set(&self, arrival: ArrivalHandle) {
        // Set once, right after the thread was started.
        let _ = self.0.set(arrival);
    }
}

impl AgentReports for MeasuredReports {
    fn reports(&self) -> Vec<AgentReport> {
        self.0.get().map(AgentReports::reports).unwrap_or_default()
    }
}

async fn serve_api(listener: std::net::TcpListener, state: ApiState, stop: CancellationToken) {
    if let Err(error) = crate::api::serve(listener, state, stop).await {
        tracing::error!(%error, "the local API ended");
    }
}

fn serve_gossip(foundation: &mut Foundation, mesh: &Arc<OnceLock<MeshService>>) {
    let Some(events) = foundation.events.take() else { return };
    let (announcer, ledger) = (foundation.announcer.clone(), foundation.ledger.clone());
    tokio::spawn(dispatch(events, announcer, ledger, Arc::clone(mesh), foundation.control.clone()));
}

/// Takes what the network reports until it closes: gossip goes to whom its topic belongs.
async fn dispatch(
    mut events: Events,
    announcer: Announcer,
    ledger: LedgerHandle,
    mesh: Arc<OnceLock<MeshService>>,
    control: Control,
) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Gossip { topic, from, data, token } if topic == lanes::TOPIC_BLOCK => {
                let node = ledger.roster().node_of(&from).unwrap_or(NodeId(0));
                let verdict = announcer.on_announcement(node, &data);
                // Too late is no harm: the message was ignored meanwhile.
                let _ = control.validate(token, verdict);
            }
            Event::Gossip { topic, from, data, token } => {
                let taken = mesh.get().is_some_and(|mesh| mesh.on_gossip(&topic, from, &data, token));
                if !taken {
                    let _ = control.validate(token, Verdict::Ignore);
                }
            }
            Event::PeerUp { .. } => ledger.metrics().peers.set(peer_count(&control)),
            Event::PeerDown { peer } => {
                ledger.metrics().peers.set(peer_count(&control));
                if let Some(mesh) = mesh.get() {
                    mesh.on_peer_down(&peer);
                }
            }
            Event::PeerRefused { peer, reason } => tracing::info!(%peer, ?reason, "a peer was refused"),
            Event::Listening { address } => tracing::info!(%address, "listening"),
            Event::ListenClosed { address } => tracing::warn!(%address, "no longer listening"),
        }
    }
}

fn peer_count(control: &Control) -> i64 {
    i64::try_from(control.peers().len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stretch_of_agents_holds_the_classes_in_their_shares() {
        let counts = [25, 20, 13, 5, 7, 5];
        let classes = classes_in_turn(counts);
        for (class, count) in AgentClass::ALL.into_iter().zip(counts) {
            assert_eq!(classes.iter().filter(|one| **one == class).count(), count as usize);
            for (place, stretch) in classes.chunks(25).enumerate() {
                let found = stretch.iter().filter(|one| **one == class).count();
                let share = count as usize / 3;
                assert!(
                    found >= share.saturating_sub(1) && found <= share + 2,
                    "stretch {place} has {found} of {class}"
                );
            }
        }
    }
}
