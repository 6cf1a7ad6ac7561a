//! Free ports on the loopback address.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, anyhow};

/// Where the first node's API is, if nobody else listens there, so that commands need not name it.
pub const DEFAULT_API_PORT: u16 = 7_400;
/// Ports tried: below the range that the operating system hands out for outgoing connections, so that no connection takes
/// a port between the moment it was found free and the moment its node listens.
const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// Hands out ports, none twice.
#[derive(Debug)]
pub struct Ports {
    next: u16,
    left: u16,
}

impl Default for Ports {
    /// Networks that start at the same time begin at different ports.
    fn default() -> Self {
        let span = u32::from(LAST - FIRST) + 1;
        let offset = std::process::id().wrapping_mul(127) % span;
        Self { next: FIRST + u16::try_from(offset).unwrap_or(0), left: LAST - FIRST }
    }
}

impl Ports {
    /// A port nobody listens at.
    ///
    /// # Errors
    /// When all were tried.
    pub fn free(&mut self) -> Result<u16> {
        while self.left > 0 {
            let port = self.next;
            self.left -= 1;
            self.next = if port == LAST { FIRST } else { port + 1 };
            if is_free(port) {
                return Ok(port);
            }
        }
        Err(anyhow!("no free port between {FIRST} and {LAST} on 127.0.0.1"))
    }

    /// [`DEFAULT_API_PORT`] if nobody listens there, else another.
    ///
    /// # Errors
    /// As [`Self::free`].
    pub fn default_api(&mut self) -> Result<u16> {
        if is_free(DEFAULT_API_PORT) { Ok(DEFAULT_API_PORT) } else { self.free() }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_skipped() {
        let mut ports = Ports::default();
        let first = ports.free().unwrap();
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        let mut again = Ports { next: first, left: 2_000 };
        assert_ne!(again.free().unwrap(), first);
        drop(held);
    }
}
