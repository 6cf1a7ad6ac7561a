//! The table of all keys, and what each may hold.

use std::net::SocketAddr;

use super::error::{ConfigError, Origin};
use super::settings::ClassShares;
use crate::execution::HostFunction;

/// Longest text value, bytes.
const MAX_TEXT_BYTES: usize = 4_096;
/// Longest list.
const MAX_LIST: usize = 64;

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Bool,
    /// Bounds included.
    Integer(i64, i64),
    /// Any text; empty means "not set".
    Text,
    Choice(&'static [&'static str]),
    /// Two capital letters.
    Region,
    /// `127.0.0.1:PORT` or `[::1]:PORT`.
    Loopback,
    /// libp2p addresses.
    Addresses,
    /// Shares of agent classes.
    Shares,
    /// Names of host functions.
    Grants,
    /// A path or an `http://` address; empty means "not set".
    GridSource,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// `section.key`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As written in TOML.
    pub(super) default: &'static str,
    /// Unit of a number, else empty.
    pub(super) unit: &'static str,
    pub(super) doc: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, unit: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, unit, doc }
}

/// All sections, with what they are about.
pub(super) const SECTIONS: [(&str, &str); 10] = [
    ("network", "Which mesh to join; usually set by `--network FILE`."),
    ("node", "This machine."),
    ("p2p", "Links to other nodes."),
    ("api", "The HTTP API and metrics, for this machine only."),
    ("agents", "The agents this node hosts. Their network delays are replayed from measured series, see docs."),
    ("tasks", "What a task may use of this machine, at most."),
    (
        "carbon",
        "A source of this machine's own grid intensity; without one, or when it fails, the ledger's figure is used.",
    ),
    ("ledger", "The ledger's database. Whether this node is a validator is said by the genesis, not here."),
    ("harness", "For local tests only."),
    ("log", "What is written, and how."),
];

/// All keys, grouped by section.
pub(super) const KEYS: &[Key] = &[
    key("network.genesis", Kind::Text, r#""""#, "", "Path of the genesis file (JSON); empty: from the network file."),
    key("network.bootstrap", Kind::Addresses, "[]", "", "Addresses of nodes to meet first, with /p2p/PEER at the end."),
    key(
        "node.data_dir",
        Kind::Text,
        r#""""#,
        "",
        "Folder of this node; empty: $XDG_DATA_HOME/mesh30k/CHAIN. Never shared by two nodes.",
    ),
    key(
        "node.region",
        Kind::Region,
        r#""US""#,
        "",
        "Country of this machine (ISO 3166 alpha-2), for the carbon intensity of its power.",
    ),
    key(
        "node.renewable_ppm",
        Kind::Integer(0, 1_000_000),
        "0",
        "millionths",
        "Share of on-site or contracted renewable power (not the grid's own share).",
    ),
    key(
        "node.disk_read_only_mib",
        Kind::Integer(1, 1_048_576),
        "256",
        "MiB",
        "With less room on the disk of the data folder this node writes nothing new: it takes no transactions and votes for nothing.",
    ),
    key(
        "node.disk_resume_mib",
        Kind::Integer(2, 1_048_576),
        "384",
        "MiB",
        "With this much room it goes on by itself; above node.disk_read_only_mib.",
    ),
    key(
        "p2p.listen",
        Kind::Addresses,
        r#"["/ip4/0.0.0.0/tcp/7430"]"#,
        "",
        "Addresses to listen at; tcp/0 takes a free port.",
    ),
    key(
        "p2p.announce",
        Kind::Addresses,
        "[]",
        "",
        "Addresses others reach this node at, where they differ (behind a router).",
    ),
    key("p2p.max_peers", Kind::Integer(1, 1_000), "64", "peers", "Connected peers, at most."),
    key(
        "p2p.max_pending_dials",
        Kind::Integer(1, 1_000),
        "16",
        "dials",
        "Connections being made at the same time, at most.",
    ),
    key(
        "api.listen",
        Kind::Loopback,
        r#""127.0.0.1:7400""#,
        "",
        "Where the API listens; loopback only; port 0 takes a free one.",
    ),
    key("agents.count", Kind::Integer(0, 3_000), "75", "agents", "How many agents this node hosts."),
    key(
        "agents.classes",
        Kind::Shares,
        r#""A=10,B=8,C=5,D=2,E=3,F=2""#,
        "",
        "Shares of the classes A edge, B serverless, C persistent, D gpu, E local, F human.",
    ),
    key(
        "agents.seed",
        Kind::Integer(0, i64::MAX),
        "1",
        "",
        "Chooses delays, clock offsets and processing times; the same seed, the same agents.",
    ),
    key(
        "agents.replay",
        Kind::Bool,
        "true",
        "",
        "Replay measured delays on top of the real links; false: only the real links.",
    ),
    key("tasks.enabled", Kind::Bool, "true", "", "Run tasks of others in the sandbox."),
    key(
        "tasks.parallel",
        Kind::Integer(1, 64),
        "2",
        "tasks",
        "Tasks that run at the same time; sixteen times as many may wait.",
    ),
    key("tasks.memory_mib", Kind::Integer(1, 1_024), "16", "MiB", "Memory of one task."),
    key("tasks.wall_ms", Kind::Integer(10, 600_000), "10000", "ms", "Time of one task."),
    key(
        "tasks.fuel_millions",
        Kind::Integer(1, 1_000_000),
        "2000",
        "10^6 fuel",
        "Fuel of one task, about one unit per instruction.",
    ),
    key("tasks.output_kib", Kind::Integer(1, 65_536), "1024", "KiB", "Output of one task."),
    key(
        "tasks.grants",
        Kind::Grants,
        r#"["mesh30k.log", "mesh30k.input_len"]"#,
        "",
        "Host functions a task may be granted.",
    ),
    key(
        "carbon.source",
        Kind::GridSource,
        r#""""#,
        "",
        "File or http:// address in the Electricity Maps format; empty: none.",
    ),
    key(
        "carbon.zone",
        Kind::Text,
        r#""""#,
        "",
        "Zone the source must be about, such as US-CAL-CISO; empty: node.region.",
    ),
    key("carbon.refresh_s", Kind::Integer(5, 86_400), "300", "s", "Seconds between readings of the source."),
    key(
        "carbon.fresh_s",
        Kind::Integer(60, 86_400),
        "7200",
        "s",
        "How old a figure may be; older ones fall back to the ledger's.",
    ),
    key(
        "carbon.report",
        Kind::Bool,
        "true",
        "",
        "Report the source's figures to the ledger while the node's account is an oracle; without the office nothing is reported.",
    ),
    key(
        "ledger.block_cache_mib",
        Kind::Integer(1, 4_096),
        "8",
        "MiB",
        "Database cache shared by everything in this process; half as much again keeps records of the ledger.",
    ),
    key(
        "ledger.memtable_mib",
        Kind::Integer(1, 256),
        "4",
        "MiB",
        "Writes kept in memory per table before they go to a file.",
    ),
    key(
        "ledger.snapshot_after_blocks",
        Kind::Integer(4, 1_000_000),
        "256",
        "",
        "A node this many blocks behind begins with a certified snapshot, without the history; others are served one a quarter as old.",
    ),
    key(
        "harness.enabled",
        Kind::Bool,
        "false",
        "",
        "Shows true release times, which no node may know, to a test harness on this machine.",
    ),
    key(
        "log.level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        r#""info""#,
        "",
        "Least important level written; RUST_LOG overrides it.",
    ),
    key(
        "log.format",
        Kind::Choice(&["auto", "human", "json"]),
        r#""auto""#,
        "",
        "auto: for people on a terminal, JSON otherwise.",
    ),
];

/// The key of that name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The refusal of a key nobody knows.
pub(super) fn unknown(origin: &Origin, name: &str) -> ConfigError {
    let nearest = super::nearest(name, KEYS.iter().map(|key| key.name));
    ConfigError::UnknownKey { origin: origin.clone(), key: name.to_owned(), nearest }
}

impl Key {
    /// Section and name within it.
    pub(super) fn split(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    /// What the key holds, in words.
    pub(super) fn expects(&self) -> String {
        match self.kind {
            Kind::Bool => "true or false".to_owned(),
            Kind::Integer(min, max) if max == i64::MAX => format!("a whole number from {min}"),
            Kind::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Text => "a text".to_owned(),
            Kind::Choice(choices) => format!("one of {}", choices.join(", ")),
            Kind::Region => "two capital letters".to_owned(),
            Kind::Loopback => "a loopback address with a port".to_owned(),
            Kind::Addresses => "a list of addresses like /ip4/192.0.2.1/tcp/7430".to_owned(),
            Kind::Shares => "shares like A=10,B=8,C=5".to_owned(),
            Kind::Grants => "a list of host functions".to_owned(),
            Kind::GridSource => "a path or an http:// address".to_owned(),
        }
    }

    /// Takes a value of a TOML file.
    pub(super) fn take_toml(&self, origin: &Origin, value: &toml::Value) -> Result<Value, ConfigError> {
        let taken = match value {
            toml::Value::Boolean(value) => Value::Bool(*value),
            toml::Value::Integer(value) => Value::Integer(*value),
            toml::Value::String(text) => Value::Text(text.clone()),
            toml::Value::Array(items) => {
                let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                Value::List(texts.ok_or_else(|| self.wrong_type(origin, "a list of other things than texts"))?)
            }
            other => return Err(self.wrong_type(origin, &format!("a {}", other.type_str()))),
        };
        self.check(origin, taken)
    }

    /// Takes the text of a variable or flag; lists are separated by commas.
    pub(super) fn take_text(&self, origin: &Origin, text: &str) -> Result<Value, ConfigError> {
        let given = || format!("{text:?}");
        let taken = match self.kind {
            Kind::Bool => Value::Bool(text.parse().map_err(|_| self.wrong_type(origin, &given()))?),
            Kind::Integer(..) => Value::Integer(text.parse().map_err(|_| self.wrong_type(origin, &given()))?),
            Kind::Addresses | Kind::Grants => {
                Value::List(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
            }
            _ => Value::Text(text.to_owned()),
        };
        self.check(origin, taken)
    }

    /// Passes a value on if the key may hold it.
    pub(super) fn check(&self, origin: &Origin, value: Value) -> Result<Value, ConfigError> {
        match (self.kind, &value) {
            (Kind::Bool, Value::Bool(_)) => {}
            (Kind::Integer(min, max), Value::Integer(number)) => {
                if !(min..=max).contains(number) {
                    let (key, unit) = (self.name.to_owned(), self.unit);
                    return Err(ConfigError::OutOfRange {
                        origin: origin.clone(),
                        key,
                        value: *number,
                        min,
                        max,
                        unit,
                    });
                }
            }
            (Kind::Addresses | Kind::Grants, Value::List(items)) => {
                if items.len() > MAX_LIST {
                    let reason = format!("a list has at most {MAX_LIST} entries");
                    return Err(self.refused(origin, &items.len().to_string(), reason));
                }
                for item in items {
                    self.check_text(item).map_err(|reason| self.refused(origin, item, reason))?;
                }
            }
            (Kind::Bool | Kind::Integer(..) | Kind::Addresses | Kind::Grants, found) => {
                return Err(self.wrong_type(origin, found.describe()));
            }
            (_, Value::Text(text)) => {
                self.check_text(text).map_err(|reason| self.refused(origin, text, reason))?;
            }
            (_, found) => return Err(self.wrong_type(origin, found.describe())),
        }
        Ok(value)
    }

    /// Why a text can't be the value, or an entry of it.
    fn check_text(&self, text: &str) -> Result<(), String> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(format!("a text has at most {MAX_TEXT_BYTES} bytes"));
        }
        match self.kind {
            Kind::Choice(choices) if !choices.contains(&text) => {
                let hint = super::nearest(text, choices.iter().copied());
                Err(format!(
                    "it must be {}{}",
                    self.expects(),
                    hint.map_or(String::new(), |h| format!("; did you mean {h}?"))
                ))
            }
            Kind::Region if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Err("it must be an ISO 3166 country code, two capital letters like DE".to_owned())
            }
            Kind::Loopback => check_loopback(text),
            Kind::GridSource if text.contains("://") && !text.starts_with("http://") => Err(
                "it must be a path or an http:// address; for https, let a timer fetch the file (see docs/carbon.md)"
                    .to_owned(),
            ),
            Kind::Addresses => check_address(text),
            Kind::Shares => text.parse::<ClassShares>().map(|_| ()),
            Kind::Grants => text.parse::<HostFunction>().map(|_| ()).map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    }

    fn wrong_type(&self, origin: &Origin, found: &str) -> ConfigError {
        ConfigError::WrongType {
            origin: origin.clone(),
            key: self.name.to_owned(),
            expected: self.expects(),
            found: found.to_owned(),
        }
    }

    fn refused(&self, origin: &Origin, value: &str, reason: String) -> ConfigError {
        let value = value.chars().take(200).collect();
        ConfigError::Refused { origin: origin.clone(), key: self.name.to_owned(), value, reason }
    }
}

impl Value {
    fn describe(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
        }
    }

    /// As written in TOML.
    pub(super) fn to_toml(&self) -> toml::Value {
        match self {
            Self::Bool(value) => toml::Value::Boolean(*value),
            Self::Integer(value) => toml::Value::Integer(*value),
            Self::Text(text) => toml::Value::String(text.clone()),
            Self::List(items) => toml::Value::Array(items.iter().cloned().map(toml::Value::String).collect()),
        }
    }
}

fn check_loopback(text: &str) -> Result<(), String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "it must be an address with a port, like 127.0.0.1:7400".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(());
    }
    Err("the API has neither token nor TLS yet and acts with this node's rights, so it listens on loopback only \
         (127.0.0.1 or [::1]); to reach it from elsewhere, forward the port over ssh"
        .to_owned())
}

/// A first look at a multiaddress; the network layer parses it in full.
fn check_address(text: &str) -> Result<(), String> {
    let mut parts = text.split('/');
    let begins = parts.next() == Some("");
    let host = matches!(parts.next(), Some("ip4" | "ip6" | "dns" | "dns4" | "dns6" | "memory"));
    if begins && host && parts.next().is_some_and(|part| !part.is_empty()) {
        return Ok(());
    }
    Err("it must be a libp2p address like /ip4/192.0.2.1/tcp/7430 or /dns4/host/tcp/7430/p2p/PEER".to_owned())
}
