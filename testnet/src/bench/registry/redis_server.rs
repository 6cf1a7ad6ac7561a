//! A Redis of our own: on a private socket, without persistence, ended with us.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::resp::Client;
use crate::bench::rival::Rival;

/// Debian's package and program.
const PROGRAM: &str = "redis-server";

/// A running server. The process ends before its folder goes.
pub struct RedisServer {
    process: Rival,
    folder: Folder,
}

/// Where its socket lies; deleted when nobody needs it.
struct Folder(PathBuf);

impl RedisServer {
    /// Starts one; nothing if the program is not installed.
    ///
    /// # Errors
    /// It is there and does not come up.
    pub fn start() -> Result<Option<Self>> {
        let folder = Folder(std::env::temp_dir().join(format!("mesh30k-bench-redis-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0)?;
        let mut command = Command::new(PROGRAM);
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no", "--unixsocket"]);
        command.arg(folder.socket()).current_dir(&folder.0);
        let process = Rival::start(&mut command, || {
            Client::connect(&folder.socket()).and_then(|mut client| client.call(&[b"PING"])).is_ok()
        })?;
        Ok(process.map(|process| Self { process, folder }))
    }

    /// A new connection.
    ///
    /// # Errors
    /// It does not listen.
    pub fn connect(&self) -> Result<Client> {
        Client::connect(&self.folder.socket())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

impl Folder {
    fn socket(&self) -> PathBuf {
        Path::join(&self.0, "redis.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
