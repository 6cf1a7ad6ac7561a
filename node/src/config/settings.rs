//! The settings as the node uses them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use mesh30k_consensus::storage::RocksMemory;
use mesh30k_ledger::types::AgentClass;
use serde::{Deserialize, Serialize};

use crate::disk::DiskLimits;
use crate::execution::{HostFunction, Limits};

/// All settings of a node. Made by [`super::Layers::finish`]; `Default` is the table's defaults where nothing is set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which mesh.
    pub network: NetworkSettings,
    /// This machine.
    pub node: NodeSettings,
    /// Links.
    pub p2p: P2pSettings,
    /// HTTP API.
    pub api: ApiSettings,
    /// Hosted agents.
    pub agents: AgentSettings,
    /// Bounds of tasks.
    pub tasks: TaskSettings,
    /// Grid intensity.
    pub carbon: CarbonSettings,
    /// Database.
    pub ledger: LedgerSettings,
    /// Test harness.
    pub harness: HarnessSettings,
    /// Logs.
    pub log: LogSettings,
}

/// Section `network`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// Path of the genesis file; empty if the network file says it.
    pub genesis: PathBuf,
    /// Nodes to meet first, as multiaddresses.
    pub bootstrap: Vec<String>,
}

/// Section `node`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// The node's folder; empty for [`crate::datadir::default_path`].
    pub data_dir: PathBuf,
    /// Country, ISO 3166 alpha-2.
    pub region: String,
    /// Own renewable share, millionths.
    pub renewable_ppm: u32,
    /// Free room below which nothing new is written, MiB.
    pub disk_read_only_mib: u64,
    /// Free room from which on it is again, MiB.
    pub disk_resume_mib: u64,
}

impl NodeSettings {
    /// How much room on the disk is too little.
    #[must_use]
    pub const fn disk_limits(&self) -> DiskLimits {
        DiskLimits {
            read_only_bytes: self.disk_read_only_mib.saturating_mul(1 << 20),
            resume_bytes: self.disk_resume_mib.saturating_mul(1 << 20),
        }
    }
}

/// Section `p2p`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct P2pSettings {
    /// Multiaddresses to listen at.
    pub listen: Vec<String>,
    /// Multiaddresses others reach this node at.
    pub announce: Vec<String>,
    /// Connected peers, at most.
    pub max_peers: u32,
    /// Connections being made, at most.
    pub max_pending_dials: u32,
}

/// Section `api`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Loopback address and port.
    pub listen: SocketAddr,
}

/// Section `agents`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    /// How many.
    pub count: u32,
    /// Of which classes.
    pub classes: ClassShares,
    /// Seed of everything random about them.
    pub seed: u64,
    /// Whether measured delays are replayed.
    pub replay: bool,
}

/// Section `tasks`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSettings {
    /// Whether tasks of others run here.
    pub enabled: bool,
    /// Tasks at a time.
    pub parallel: usize,
    /// Memory of one, MiB.
    pub memory_mib: u64,
    /// Time of one, milliseconds.
    pub wall_ms: u64,
    /// Fuel of one, millions.
    pub fuel_millions: u64,
    /// Output of one, KiB.
    pub output_kib: u64,
    /// Names of grantable host functions.
    pub grants: Vec<String>,
}

impl TaskSettings {
    /// The bounds in the sandbox's units.
    #[must_use]
    pub fn ceiling(&self) -> Limits {
        Limits {
            fuel: self.fuel_millions.saturating_mul(1_000_000),
            memory_bytes: self.memory_mib.saturating_mul(1 << 20),
            wall_ms: self.wall_ms,
            output_bytes: self.output_kib.saturating_mul(1 << 10),
        }
    }

    /// The grantable host functions; names were checked when the configuration was read.
    #[must_use]
    pub fn granted(&self) -> Vec<HostFunction> {
        self.grants.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

/// Section `carbon`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CarbonSettings {
    /// File or `http://` address; empty for none.
    pub source: String,
    /// Zone it must be about; empty for the node's region.
    pub zone: String,
    /// Seconds between readings.
    pub refresh_s: u64,
    /// Seconds a figure counts.
    pub fresh_s: u64,
    /// Whether an oracle's node reports the source's figures.
    pub report: bool,
}

/// Section `ledger`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSettings {
    /// Cache of the database, MiB.
    pub block_cache_mib: usize,
    /// Write buffer per table, MiB.
    pub memtable_mib: usize,
    /// Blocks behind others from which on a snapshot is fetched instead.
    pub snapshot_after_blocks: u64,
}

impl LedgerSettings {
    /// Records of the state that stay in memory, in bytes: half of what the database caches.
    #[must_use]
    pub const fn records_bytes(&self) -> usize {
        self.block_cache_mib.saturating_mul(1 << 19)
    }

    /// The memory of the database.
    #[must_use]
    pub const fn memory(&self) -> RocksMemory {
        RocksMemory {
            block_cache_bytes: self.block_cache_mib.saturating_mul(1 << 20),
            memtable_bytes: self.memtable_mib.saturating_mul(1 << 20),
        }
    }
}

/// Section `harness`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HarnessSettings {
    /// Whether the truth is shown to a local harness.
    pub enabled: bool,
}

/// Section `log`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Least important level: error, warn, info, debug or trace.
    pub level: String,
    /// Form of a line.
    pub format: LogFormat,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Relative shares of the agent classes A to F.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClassShares([u32; 6]);

/// Largest single share.
const MAX_SHARE: u32 = 1_000_000;

impl ClassShares {
    /// The shares of A to F.
    #[must_use]
    pub fn shares(&self) -> [u32; 6] {
        self.0
    }

    /// How many of `count` agents are of each class: largest remainders, the earlier class first when they tie.
    #[must_use]
    pub fn counts(&self, count: u32) -> [u32; 6] {
        let total: u64 = self.0.iter().copied().map(u64::from).sum::<u64>().max(1);
        let exact = self.0.map(|share| u64::from(share) * u64::from(count));
        let mut counts = exact.map(|product| u32::try_from(product / total).unwrap_or(u32::MAX));
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|class| std::cmp::Reverse(exact.get(*class).map_or(0, |product| product % total)));
        let given: u32 = counts.iter().sum();
        for class in order.into_iter().take(count.saturating_sub(given) as usize) {
            if let Some(slot) = counts.get_mut(class) {
                *slot += 1;
            }
        }
        counts
    }
}

impl FromStr for ClassShares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shares = [0_u32; 6];
        for part in text.split(',') {
            let expected =
                || format!("{part:?} is not CLASS=SHARE with a class from A to F and a share up to {MAX_SHARE}");
            let (class, share) = part.trim().split_once('=').ok_or_else(expected)?;
            let share = share.parse().ok().filter(|share| *share <= MAX_SHARE).ok_or_else(expected)?;
            let slot = AgentClass::ALL.iter().zip(&mut shares).find(|(known, _)| known.as_str() == class);
            *slot.ok_or_else(expected)?.1 = share;
        }
        if shares.iter().all(|share| *share == 0) {
            return Err("at least one class needs a share above 0".to_owned());
        }
        Ok(Self(shares))
    }
}

impl TryFrom<String> for ClassShares {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ClassShares> for String {
    fn from(shares: ClassShares) -> Self {
        shares.to_string()
    }
}

impl fmt::Display for ClassShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> =
            AgentClass::ALL.iter().zip(self.0).map(|(class, share)| format!("{class}={share}")).collect();
        f.write_str(&parts.join(","))
    }
}
