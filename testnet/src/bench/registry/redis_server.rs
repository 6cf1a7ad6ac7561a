//! A Redis of our own: on a private socket, without persistence, ended with us.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::resp::Client;

/// Debian's package and program.
const PROGRAM: &str = "redis-server";
/// How long it may take to listen.
const START_TRIES: u32 = 200;
const START_PAUSE: Duration = Duration::from_millis(25);

/// A running server.
pub struct RedisServer {
    child: Child,
    folder: PathBuf,
}

impl RedisServer {
    /// Starts one; nothing if the program is not installed.
    ///
    /// # Errors
    /// It is there and does not come up.
    pub fn start() -> Result<Option<Self>> {
        let folder = std::env::temp_dir().join(format!("mesh30k-bench-redis-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let socket = folder.join("redis.sock");
        let spawned = Command::new(PROGRAM)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no", "--unixsocket"])
            .arg(&socket)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                std::fs::remove_dir_all(&folder)?;
                return Ok(None);
            }
            Err(error) => return Err(error).context("redis-server can't be started"),
        };
        let mut server = Self { child, folder };
        for _ in 0..START_TRIES {
            if server.connect().and_then(|mut client| client.call(&[b"PING"])).is_ok() {
                return Ok(Some(server));
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("redis-server ended at once: {status}");
            }
            std::thread::sleep(START_PAUSE);
        }
        bail!("redis-server does not listen after {} s", START_TRIES / 40)
    }

    /// A new connection.
    ///
    /// # Errors
    /// It does not listen.
    pub fn connect(&self) -> Result<Client> {
        Client::connect(&self.folder.join("redis.sock"))
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Nothing of it is to be kept; what fails here fails for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
