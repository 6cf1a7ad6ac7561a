//! The local testnet that is running now: one small file under the user's data folder says where.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

/// Where a running testnet can be found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunningTestnet {
    /// Process id of the driver.
    pub pid: u32,
    /// Its folder.
    pub dir: PathBuf,
    /// Address of the first node's HTTP API.
    pub api: String,
    /// Folder with the keys of its operator and users.
    pub keys: PathBuf,
    /// File with the passphrase of those keys.
    pub passphrase_file: PathBuf,
    /// The genesis, for offline verification.
    pub genesis: PathBuf,
    /// Its nodes.
    #[serde(default)]
    pub nodes: Vec<RunningNode>,
}

/// One node of a running testnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunningNode {
    /// Its name, also its folder's.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Base address of its HTTP API.
    pub api: String,
}

/// `$XDG_DATA_HOME/mesh30k`, or `~/.local/share/mesh30k`.
///
/// # Errors
/// When neither variable is set.
pub fn data_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("XDG_DATA_HOME").filter(|home| !home.is_empty()) {
        return Ok(PathBuf::from(home).join("mesh30k"));
    }
    let home = std::env::var_os("HOME").ok_or_else(|| anyhow!("neither XDG_DATA_HOME nor HOME is set"))?;
    Ok(PathBuf::from(home).join(".local/share/mesh30k"))
}

/// Where keys of people are kept outside of a testnet.
///
/// # Errors
/// When there is no home folder.
pub fn default_keys_dir() -> Result<PathBuf> {
    Ok(data_home()?.join("keys"))
}

fn file() -> Result<PathBuf> {
    Ok(data_home()?.join("testnet.json"))
}

/// The running testnet, if its driver is alive.
#[must_use]
pub fn find() -> Option<RunningTestnet> {
    let text = fs::read_to_string(file().ok()?).ok()?;
    let running: RunningTestnet = serde_json::from_str(&text).ok()?;
    is_alive(running.pid).then_some(running)
}

/// Whether a process of this id exists.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    i32::try_from(pid).ok().and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// Says where `running` is, until the guard is dropped.
///
/// # Errors
/// When the file can't be written.
pub fn announce(running: &RunningTestnet) -> Result<Announced> {
    let announced = Announced { path: file()?, pid: running.pid };
    announced.update(running)?;
    Ok(announced)
}

fn write(path: &Path, running: &RunningTestnet) -> Result<()> {
    let parent = path.parent().map(Path::to_owned).unwrap_or_default();
    fs::create_dir_all(&parent).with_context(|| format!("creating {}", parent.display()))?;
    let fresh = path.with_extension(format!("json.{}", running.pid));
    fs::write(&fresh, serde_json::to_vec_pretty(running)?).with_context(|| format!("writing {}", fresh.display()))?;
    fs::rename(&fresh, path).with_context(|| format!("writing {}", path.display()))
}

/// Takes the announcement back when dropped.
#[derive(Debug)]
pub struct Announced {
    path: PathBuf,
    pid: u32,
}

impl Announced {
    /// Says it anew: more nodes run now.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn update(&self, running: &RunningTestnet) -> Result<()> {
        write(&self.path, running)
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let is_ours = fs::read_to_string(&self.path)
            .ok()
            .and_then(|text| serde_json::from_str::<RunningTestnet>(&text).ok())
            .is_some_and(|running| running.pid == self.pid);
        if is_ours
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}
