//! PostgreSQL: a primary with two synchronous standbys, from Debian's package.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::closed_loop::Client;
use super::ours::ACCOUNTS;
use super::pg_wire::Connection;
use crate::bench::rival::Rival;
use crate::bench::tools::Numbers;
use crate::ports::Ports;

/// Where Debian puts the programs, one folder a version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// What to do where there is none.
pub const NO_POSTGRES: &str =
    "PostgreSQL is not installed, so ours stands alone; `apt-get install postgresql` puts it beside.";
/// Standbys that have every transaction on disk before it is answered.
const STANDBYS: [&str; 2] = ["s1", "s2"];
/// Copies of the data.
pub const REPLICAS: usize = STANDBYS.len() + 1;
/// How long a server may take to accept clients: this many looks, and the pause between two.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A running primary with its standbys, which end before it.
pub struct Postgres {
    servers: Vec<Rival>,
    address: SocketAddr,
}

/// The user that the servers run as, for they refuse root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

/// Programs and who runs them.
struct Tools {
    programs: PathBuf,
    user: Option<User>,
}

impl Postgres {
    /// Starts one with its data in `dir`; nothing if the programs are not installed.
    ///
    /// # Errors
    /// They are there and do not come up.
    pub async fn start(dir: &Path) -> Result<Option<Self>> {
        let Some(tools) = Tools::find()? else { return Ok(None) };
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
        if let Some(user) = tools.user {
            chown(dir, Some(user.uid), Some(user.gid)).with_context(|| format!("giving {} away", dir.display()))?;
        }
        let mut ports = Ports::default();
        let (primary, port) = (dir.join("primary"), ports.free()?);
        tools.run("initdb", |command| {
            command.args(["-U", "postgres", "-A", "trust", "--no-sync", "-D"]).arg(&primary);
        })?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut postgres = Self { servers: Vec::new(), address };
        let names = format!("synchronous_standby_names=FIRST {} ({})", STANDBYS.len(), STANDBYS.join(", "));
        postgres.servers.push(tools.serve(&primary, port, &[&names])?);
        drop(postgres.connect().await?);
        for name in STANDBYS {
            let (data, own_port) = (dir.join(name), ports.free()?);
            let from = format!("host=127.0.0.1 port={port} user=postgres application_name={name}");
            tools.run("pg_basebackup", |command| {
                command.args(["-d", &from, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"]).arg(&data);
            })?;
            postgres.servers.push(tools.serve(&data, own_port, &[&format!("cluster_name={name}")])?);
        }
        postgres.fill().await?;
        Ok(Some(postgres))
    }

    /// A new connection with its statements prepared; waits until the server accepts clients.
    ///
    /// # Errors
    /// It does not.
    pub async fn connect(&self) -> Result<Connection> {
        let mut last = None;
        for _ in 0..TRIES {
            match Connection::open(self.address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(last.context("PostgreSQL was never asked")?)
    }

    /// Accounts with money. This waits for both standbys, as every transaction does.
    async fn fill(&self) -> Result<()> {
        let sql = format!(
            "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL); \
             CREATE TABLE history (payer int NOT NULL, payee int NOT NULL, amount bigint NOT NULL, \
             at timestamptz NOT NULL DEFAULT now()); \
             INSERT INTO accounts SELECT id, 100000000 FROM generate_series(0, {}) AS id;",
            ACCOUNTS - 1
        );
        self.connect().await?.simple(&sql).await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A server that is killed leaves its shared memory behind; one that is told to quit at once does not.
        self.servers.iter_mut().rev().for_each(|server| server.ask_to_end(Signal::QUIT));
    }
}

impl Tools {
    fn find() -> Result<Option<Self>> {
        let Ok(versions) = fs::read_dir(VERSIONS) else { return Ok(None) };
        let mut folders: Vec<PathBuf> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
        folders.retain(|folder| ["initdb", "postgres", "pg_basebackup"].iter().all(|name| folder.join(name).is_file()));
        folders.sort();
        let Some(programs) = folders.pop() else { return Ok(None) };
        if !rustix::process::geteuid().is_root() {
            return Ok(Some(Self { programs, user: None }));
        }
        let passwd = fs::read_to_string("/etc/passwd")?;
        let user = user_of(&passwd, "postgres").context("there is no user `postgres`, and PostgreSQL refuses root")?;
        Ok(Some(Self { programs, user: Some(user) }))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir("/").env("LC_ALL", "C");
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> Result<()> {
        let mut command = self.command(program);
        arguments(&mut command);
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} can't be started"))?;
        if !output.status.success() {
            bail!("{program} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    fn serve(&self, data: &Path, port: u16, more: &[&str]) -> Result<Rival> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(data);
        let port = format!("port={port}");
        let settings = [
            "listen_addresses=127.0.0.1",
            &port,
            "unix_socket_directories=",
            "fsync=on",
            "synchronous_commit=on",
            "shared_buffers=256MB",
            "max_connections=200",
            "max_wal_size=4GB",
        ];
        for setting in settings.iter().chain(more) {
            command.args(["-c", setting]);
        }
        // Whether it accepts clients is seen by connecting.
        Rival::start(&mut command, || true)?.context("postgres vanished")
    }
}

fn user_of(passwd: &str, name: &str) -> Option<User> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

/// A client that makes one transfer after the other: two updates and an insert in a transaction, sent in one go.
pub struct Transferrer {
    connection: Connection,
    numbers: Numbers,
}

impl Transferrer {
    /// A client with its own choice of accounts.
    ///
    /// # Errors
    /// The server refuses a statement.
    pub async fn new(mut connection: Connection, seed: u64) -> Result<Self> {
        connection.prepare("begin", "BEGIN").await?;
        connection.prepare("move", "UPDATE accounts SET balance = balance + $2 WHERE id = $1").await?;
        connection.prepare("note", "INSERT INTO history (payer, payee, amount) VALUES ($1, $2, $3)").await?;
        connection.prepare("commit", "COMMIT").await?;
        Ok(Self { connection, numbers: Numbers::new(seed) })
    }
}

/// From whom to whom, never the same.
fn pair(numbers: &mut Numbers) -> (u64, u64) {
    let from = numbers.below(ACCOUNTS);
    (from, (from + 1 + numbers.below(ACCOUNTS - 1)) % ACCOUNTS)
}

impl Client for Transferrer {
    async fn once(&mut self) -> Result<u64> {
        let (from, to) = pair(&mut self.numbers);
        let (out, into) = ([from.to_string(), "-1".to_owned()], [to.to_string(), "1".to_owned()]);
        let note = [from.to_string(), to.to_string(), "1".to_owned()];
        // Everybody locks the lower account first, so that no two wait for each other.
        let (first, second) = if from < to { (&out, &into) } else { (&into, &out) };
        let statements: [(&str, &[String]); 5] =
            [("begin", &[]), ("move", first), ("move", second), ("note", &note), ("commit", &[])];
        self.connection.execute(&statements).await?;
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresql:x:1:1::/:/bin/sh\npostgres:x:105:110:,,,:/var:/bin/bash\n";
        assert_eq!(user_of(passwd, "postgres"), Some(User { uid: 105, gid: 110 }));
        assert_eq!(user_of(passwd, "post"), None);
    }

    #[test]
    fn nobody_pays_himself() {
        let mut numbers = Numbers::new(3);
        for _ in 0..1_000 {
            let (from, to) = pair(&mut numbers);
            assert!(from != to && from < ACCOUNTS && to < ACCOUNTS);
        }
    }
}
