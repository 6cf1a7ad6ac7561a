//! The one network behaviour and the swarm around it.

use std::num::NonZeroUsize;
use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{
    PeerId, StreamProtocol, Swarm, allow_block_list, connection_limits, identify, kad, memory_connection_limits, ping,
};
use prometheus_client::registry::Registry;

use crate::config::{Config, Limits};
use crate::error::SpawnError;
use crate::gossip::{self, Gossipsub};
use crate::transport;

/// Connections to one peer: one, and its duplicate while that is being closed.
const MAX_CONNECTIONS_PER_PEER: u32 = 2;
/// Inbound streams of a connection that may negotiate at one time.
const MAX_NEGOTIATING_STREAMS: usize = 64;
/// Peers near the goal that a look for more peers has to find.
const LOOK_ENDS_WITH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
/// Handler events that may wait per connection.
const CONNECTION_EVENTS: usize = 32;

/// All protocols of a node. Those that refuse connections come first, so that the others never hear of what is refused.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) refused: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) kad: kad::Behaviour<kad::store::MemoryStore>,
    pub(crate) gossip: Gossipsub,
    pub(crate) streams: libp2p_stream::Behaviour,
}

impl Behaviour {
    fn new(config: &Config, registry: &mut Registry) -> Result<Self, SpawnError> {
        let local = config.keypair.public().to_peer_id();
        let interval = config.timing.ping_interval;
        Ok(Self {
            refused: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(connection_limits(&config.limits)),
            memory: memory_connection_limits::Behaviour::with_max_bytes(config.limits.process_memory_bytes_max),
            identify: identify(config, &config.keypair),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(interval).with_timeout(interval)),
            kad: kademlia(local, &config.chain),
            gossip: gossip::build(config, registry)?,
            streams: libp2p_stream::Behaviour::new(),
        })
    }
}

fn connection_limits(limits: &Limits) -> connection_limits::ConnectionLimits {
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.pending_inbound_max))
        .with_max_pending_outgoing(Some(limits.pending_outbound_max))
        .with_max_established_incoming(Some(limits.inbound_max))
        .with_max_established(Some(limits.connections_max))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER))
}

fn identify(config: &Config, keypair: &Keypair) -> identify::Behaviour {
    identify::Behaviour::new(
        identify::Config::new(config.protocol_version(), keypair.public())
            .with_agent_version(format!("mesh30k/{}", env!("CARGO_PKG_VERSION")))
            .with_push_listen_addr_updates(true)
            // Addresses are kept in our own book, bounded.
            .with_cache_size(0),
    )
}

/// Discovery only: nothing is stored for others.
fn kademlia(local: PeerId, chain: &str) -> kad::Behaviour<kad::store::MemoryStore> {
    let store_config = kad::store::MemoryStoreConfig {
        max_records: 0,
        max_value_bytes: 0,
        max_providers_per_key: 0,
        max_provided_keys: 0,
    };
    let mut config = kad::Config::new(kad_protocol(chain));
    config
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        // Only peers that identified themselves as of our chain get in.
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        // A look for peers ends with a few near ones, and only our own loop begins one: by libp2p's measure of twenty, and
        // with a look at each new peer, every node of a hundred ends up connected to all others.
        .set_replication_factor(LOOK_ENDS_WITH)
        .set_periodic_bootstrap_interval(None)
        .set_query_timeout(Duration::from_secs(10));
    let store = kad::store::MemoryStore::with_config(local, store_config);
    let mut behaviour = kad::Behaviour::with_config(local, store, config);
    behaviour.set_mode(Some(kad::Mode::Server));
    behaviour
}

/// The name of the discovery protocol of a chain.
#[allow(clippy::expect_used, reason = "a leading slash is all the name needs, and it is written here")]
pub(crate) fn kad_protocol(chain: &str) -> StreamProtocol {
    StreamProtocol::try_from_owned(format!("/mesh30k/{chain}/kad/1")).expect("starts with a slash")
}

/// Builds the swarm; nothing is dialled or listened on yet.
pub(crate) fn swarm(config: &Config, registry: &mut Registry) -> Result<Swarm<Behaviour>, SpawnError> {
    let transport = transport::build(config)?;
    let behaviour = Behaviour::new(config, registry)?;
    let swarm_config = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(config.timing.idle_connection)
        .with_max_negotiating_inbound_streams(MAX_NEGOTIATING_STREAMS)
        .with_per_connection_event_buffer_size(CONNECTION_EVENTS);
    Ok(Swarm::new(transport, behaviour, config.keypair.public().to_peer_id(), swarm_config))
}
