//! What carries the bytes: sockets or memory, always encrypted by Noise and multiplexed by Yamux.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, MemoryTransport, TransportError};
use libp2p::core::upgrade::Version;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, PeerId, Swarm, Transport, dns, noise, tcp, yamux};

use crate::config::{Config, TransportKind};
use crate::error::SpawnError;

/// Streams of one connection, both directions: the lanes' and the protocols'.
const MAX_STREAMS_PER_CONNECTION: usize = 256;

type Carrier = Boxed<(PeerId, StreamMuxerBox)>;

pub(crate) fn build(config: &Config) -> Result<Carrier, SpawnError> {
    match config.transport {
        TransportKind::Memory => secured(config, MemoryTransport::default()),
        TransportKind::Net => net(config),
    }
}

fn net(config: &Config) -> Result<Carrier, SpawnError> {
    let sockets = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let carrier = match dns::tokio::Transport::system(sockets()) {
        Ok(named) => secured(config, named)?,
        Err(error) => {
            // A machine without a resolver configuration can still speak to addresses.
            tracing::warn!(%error, "no DNS: addresses by name cannot be dialled");
            secured(config, sockets())?
        }
    };
    Ok(with_quic(config, carrier))
}

#[cfg(not(feature = "quic"))]
fn with_quic(_config: &Config, carrier: Carrier) -> Carrier {
    carrier
}

#[cfg(feature = "quic")]
fn with_quic(config: &Config, carrier: Carrier) -> Carrier {
    use libp2p::quic;
    let mut quic_config = quic::Config::new(&config.keypair);
    quic_config.handshake_timeout = config.timing.handshake;
    quic::tokio::Transport::new(quic_config)
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
        .or_transport(carrier)
        .map(|either, _| either.into_inner())
        .boxed()
}

fn secured<T>(config: &Config, sockets: T) -> Result<Carrier, SpawnError>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: futures::AsyncRead + futures::AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send,
    T::ListenerUpgrade: Send,
{
    let noise = noise::Config::new(&config.keypair).map_err(|e| SpawnError::Transport(e.into()))?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(MAX_STREAMS_PER_CONNECTION);
    let timeout = config.timing.handshake;
    Ok(sockets.upgrade(Version::V1Lazy).authenticate(noise).multiplex(yamux).timeout(timeout).boxed())
}

/// Starts to listen. libp2p binds with SO_REUSEPORT, by which two processes of one user would share a port and each
/// get half of its connections; so an ordinary socket has to find the port free first.
pub(crate) fn listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    address: Multiaddr,
) -> Result<(), TransportError<io::Error>> {
    if let Some(socket) = tcp_socket(&address) {
        TcpListener::bind(socket).map_err(TransportError::Other)?;
    }
    swarm.listen_on(address).map(|_| ())
}

/// The socket of a TCP address with a port of its own.
fn tcp_socket(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) if port != 0 => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}
