//! Taking a port, with a message that helps when it is taken.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

/// A port that can't be listened at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has it.
    #[error("{key} = {address}: port {} is already in use; stop what holds it or choose another port (0 takes a free one)",
        address.port())]
    InUse {
        /// The configuration key that names it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("{key} = {address}: can't listen there")]
    Refused {
        /// The configuration key that names it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Listens at an address that configuration key `key` names; non-blocking, ready for `tokio::net::TcpListener::from_std`.
///
/// # Errors
/// [`ListenError::InUse`] or [`ListenError::Refused`].
pub fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    let refused = |source: std::io::Error| match source.kind() {
        ErrorKind::AddrInUse => ListenError::InUse { key, address },
        _ => ListenError::Refused { key, address, source },
    };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}
