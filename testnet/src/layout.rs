//! The folder of one local network: who there is, where everything lies, what each node is told.
//!
//! ```text
//! DIR/driver.pid        process id of the driver that uses the folder
//! DIR/genesis.json      for everybody, and for offline verification
//! DIR/network.json      for whoever joins from outside: `mesh30k up --network DIR/network.json`
//! DIR/keys/             operator and users, encrypted; DIR/passphrase opens them
//! DIR/node-1/           configuration, log and data directory of a node
//! ```

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::ops::NodeRegistration;
use mesh30k_ledger::types::{Hash, Region, TimeMs};
use mesh30k_node::clock::wall_ms;
use mesh30k_node::config::{GenesisSource, NetworkFile, Value, compose};
use mesh30k_node::datadir::DataDir;
use mesh30k_node::identity::NodeIdentity;
use mesh30k_node::keystore::{Kdf, KeyName, Keystore, Passphrase};

use crate::genesis::{self, CHAIN, Founder, Person};
use crate::ports::Ports;
use crate::running::is_alive;
use crate::size::Size;

/// The key that freezes, thaws and starts events.
pub const OPERATOR: &str = "operator";
/// The users of a local network and where they are: one outside the access list, one inside.
pub const USERS: [(&str, &str); 2] = [("alice", "DE"), ("bob", "BD")];
/// Where the nodes' power comes from: large countries of all continents, over and over.
const REGIONS: [&str; 20] = [
    "US", "DE", "KE", "IN", "BR", "JP", "ZA", "FR", "GB", "AU", "SE", "MX", "NG", "PL", "CA", "ID", "EG", "ES", "KR",
    "CL",
];
/// Nodes a newcomer meets first.
const BOOTSTRAP_NODES: usize = 4;
/// Seed of node 1's agents; each node adds its number, so that no two host the same agents.
const AGENT_SEED: u32 = 30_000;
/// Random bytes of the passphrase.
const PASSPHRASE_BYTES: usize = 24;
/// Blocks behind others from which on a newcomer to a crowd begins with a certified snapshot. The last to join would else carry out
/// the registrations of all others first, which is half a minute of both cores for a hundred.
const SNAPSHOT_AFTER_BLOCKS: i64 = 8;
/// Least bound on a node's peers: every node of the network, and some guests.
const PEERS_MIN: u32 = 64;

/// One node.
#[derive(Clone, Debug)]
pub struct NodeLayout {
    /// Its number here, from 1; validators come first and have the same number on the ledger.
    pub number: u32,
    /// Its name, also its folder's.
    pub name: String,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// Address of its HTTP API.
    pub api: SocketAddr,
    /// Port of its links to other nodes.
    pub p2p_port: u16,
    /// Where its power comes from.
    pub region: Region,
    /// Agents it hosts.
    pub agents: u32,
    /// Its address with its identity.
    pub address: String,
}

impl NodeLayout {
    /// Base address of its HTTP API.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }
}

/// A local network, written to disk and not yet started.
#[derive(Debug)]
pub struct Layout {
    /// Its folder.
    pub dir: PathBuf,
    /// How large it is.
    pub size: Size,
    /// Its nodes.
    pub nodes: Vec<NodeLayout>,
    /// Its beginning.
    pub genesis: Genesis,
}

impl Layout {
    /// Lays a network out in `dir`, which must be empty or not there yet. All ports are any free ones.
    ///
    /// # Errors
    /// When the folder is in use or holds something else, or can't be written, or no ports are free.
    pub fn create(dir: &Path, size: Size) -> Result<Self> {
        Self::create_with(dir, size, Ports::free)
    }

    /// As [`Self::create`], for the network that people talk to: its first node's API is where they look for it, if that
    /// port is free.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_for_people(dir: &Path, size: Size) -> Result<Self> {
        Self::create_with(dir, size, Ports::default_api)
    }

    fn create_with(dir: &Path, size: Size, first_api: fn(&mut Ports) -> Result<u16>) -> Result<Self> {
        claim(dir)?;
        let mut ports = Ports::default();
        let nodes = (1..=size.nodes).map(|number| {
            let api = if number == 1 { first_api(&mut ports)? } else { ports.free()? };
            Draft::make(dir, number, size, api, ports.free()?)
        });
        let drafts = nodes.collect::<Result<Vec<_>>>()?;
        let people = People::make(dir)?;
        let founders: Vec<Founder> = drafts.iter().take(size.validators as usize).map(|d| d.founder.clone()).collect();
        let genesis = genesis::compose(TimeMs(wall_ms()), &founders, people.operator, &people.users, size)?;
        let nodes = drafts.into_iter().map(|draft| draft.node).collect();
        let layout = Self { dir: dir.to_owned(), size, nodes, genesis };
        layout.write()?;
        Ok(layout)
    }

    /// The genesis file.
    #[must_use]
    pub fn genesis_file(&self) -> PathBuf {
        self.dir.join("genesis.json")
    }

    /// The file for whoever joins from outside.
    #[must_use]
    pub fn network_file(&self) -> PathBuf {
        self.dir.join("network.json")
    }

    /// Folder of the operator's and the users' keys.
    #[must_use]
    pub fn keys_dir(&self) -> PathBuf {
        keys_dir(&self.dir)
    }

    /// What opens them.
    #[must_use]
    pub fn passphrase_file(&self) -> PathBuf {
        passphrase_file(&self.dir)
    }

    /// The key called `name` of the operator or a user.
    ///
    /// # Errors
    /// When there is none, or the passphrase file does not open it.
    pub fn unlock(&self, name: &str) -> Result<SecretKey> {
        let passphrase = Passphrase::from_file(&self.passphrase_file())?;
        let name: KeyName = name.parse()?;
        Ok(SecretKey::from_seed(*Keystore::new(self.keys_dir()).unlock(&name, &passphrase)?.seed()))
    }

    fn write(&self) -> Result<()> {
        write(&self.genesis_file(), &serde_json::to_vec_pretty(&self.genesis)?)?;
        let network = NetworkFile {
            chain: CHAIN.to_owned(),
            genesis: GenesisSource::Path(PathBuf::from("genesis.json")),
            bootstrap: self.bootstrap().map(str::to_owned).collect(),
        };
        write(&self.network_file(), network.to_json().as_bytes())?;
        self.nodes.iter().try_for_each(|node| write(&node.config, self.config_of(node)?.as_bytes()))
    }

    fn bootstrap(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().take(BOOTSTRAP_NODES).map(|node| node.address.as_str())
    }

    fn config_of(&self, node: &NodeLayout) -> Result<String> {
        let path = |path: &Path| {
            path.to_str().map(|text| Value::Text(text.to_owned())).ok_or_else(|| anyhow!("{path:?} is not UTF-8"))
        };
        let others = self.bootstrap().filter(|address| *address != node.address).map(str::to_owned).collect();
        let peers = PEERS_MIN.max(self.size.nodes.saturating_mul(2));
        let mut settings = vec![
            ("network.genesis", path(&self.genesis_file())?),
            ("network.bootstrap", Value::List(others)),
            ("node.data_dir", path(&node.data_dir)?),
            ("node.region", Value::Text(node.region.to_string())),
            ("p2p.listen", Value::List(vec![listen_address(node.p2p_port)])),
            ("p2p.max_peers", Value::Integer(i64::from(peers))),
            ("api.listen", Value::Text(node.api.to_string())),
            ("agents.count", Value::Integer(i64::from(node.agents))),
            ("agents.seed", Value::Integer(i64::from(AGENT_SEED.saturating_add(node.number)))),
            // All nodes share this machine's cores; one task at a time keeps each of them small.
            ("tasks.parallel", Value::Integer(1)),
            ("harness.enabled", Value::Bool(true)),
            ("log.format", Value::Text("human".to_owned())),
        ];
        if self.size.is_crowd() {
            settings.push(("ledger.snapshot_after_blocks", Value::Integer(SNAPSHOT_AFTER_BLOCKS)));
        }
        compose(&settings).with_context(|| format!("composing the configuration of {}", node.name))
    }
}

/// A node with what the genesis must know of it.
struct Draft {
    node: NodeLayout,
    founder: Founder,
}

impl Draft {
    fn make(dir: &Path, number: u32, size: Size, api: u16, p2p_port: u16) -> Result<Self> {
        let name = format!("node-{number}");
        let home = dir.join(&name);
        let data_dir = home.join("data");
        let opened = DataDir::open(&data_dir)?;
        let identity = NodeIdentity::load_or_create(&opened.keys())?;
        let transport = identity.transport()?.public();
        let place = REGIONS.iter().cycle().nth(number.saturating_sub(1) as usize).copied().unwrap_or("US");
        let region = genesis::region(place)?;
        let transport_key = transport.clone().try_into_ed25519().context("a node's transport key is not Ed25519")?;
        let registration = NodeRegistration {
            transport_key: transport_key.to_bytes().to_vec(),
            host_key: identity.account().public(),
            store_id: Hash(opened.store_id()),
            addresses: vec![listen_address(p2p_port)],
            region,
        };
        let (account, validator) = (identity.account().public(), identity.validator().public());
        let address = format!("{}/p2p/{}", listen_address(p2p_port), transport.to_peer_id());
        let node = NodeLayout {
            number,
            config: home.join("config.toml"),
            log: home.join("log"),
            api: SocketAddr::from(([127, 0, 0, 1], api)),
            agents: size.agents_of(number),
            name,
            data_dir,
            p2p_port,
            region,
            address,
        };
        Ok(Self { node, founder: Founder { account, validator, registration } })
    }
}

/// Public halves of the keys of people.
struct People {
    operator: PublicKey,
    users: Vec<Person>,
}

impl People {
    fn make(dir: &Path) -> Result<Self> {
        let mut secret = [0_u8; PASSPHRASE_BYTES];
        getrandom::fill(&mut secret).map_err(|error| anyhow!("no random bytes for a passphrase: {error}"))?;
        let text = hex::encode(secret);
        let path = passphrase_file(dir);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| writeln!(file, "{text}"));
        written.with_context(|| format!("writing {}", path.display()))?;
        let (keystore, passphrase) = (Keystore::new(keys_dir(dir)), Passphrase::new(text)?);
        let create = |name: &str| -> Result<PublicKey> {
            let name: KeyName = name.parse()?;
            Ok(PublicKey(keystore.create(&name, &passphrase, Kdf::local_testnet())?.public()))
        };
        let users =
            USERS.iter().map(|(name, place)| Ok(Person { key: create(name)?, region: Some(genesis::region(place)?) }));
        Ok(Self { operator: create(OPERATOR)?, users: users.collect::<Result<_>>()? })
    }
}

/// Makes the folder and notes who uses it.
fn claim(dir: &Path) -> Result<()> {
    if let Some(pid) = user_of(dir) {
        bail!(
            "a testnet runs in {} (pid {pid}); stop it with `mesh30k testnet down`, or choose another --dir",
            dir.display()
        );
    }
    let is_used = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if is_used {
        bail!("{} is not empty; a testnet begins in an empty folder: delete it or choose another --dir", dir.display());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("making folder {}", dir.display()))?;
    write(&pid_file(dir), std::process::id().to_string().as_bytes())
}

/// The living driver that uses a folder.
#[must_use]
pub fn user_of(dir: &Path) -> Option<u32> {
    let pid = fs::read_to_string(pid_file(dir)).ok()?.trim().parse().ok()?;
    is_alive(pid).then_some(pid)
}

fn pid_file(dir: &Path) -> PathBuf {
    dir.join("driver.pid")
}

fn keys_dir(dir: &Path) -> PathBuf {
    dir.join("keys")
}

fn passphrase_file(dir: &Path) -> PathBuf {
    dir.join("passphrase")
}

fn listen_address(port: u16) -> String {
    format!("/ip4/127.0.0.1/tcp/{port}")
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt as _;

    use mesh30k_node::config::Layers;

    fn create(dir: &Path, nodes: usize, validators: usize, agents: u32) -> Layout {
        Layout::create(dir, Size::new(nodes, validators, agents).unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_is_what_nodes_and_newcomers_read() {
        let home = tempfile::tempdir().unwrap();
        let layout = create(&home.path().join("net"), 3, 2, 31);
        let genesis: Genesis = serde_json::from_slice(&fs::read(layout.genesis_file()).unwrap()).unwrap();
        assert_eq!(genesis.hash(), layout.genesis.hash());
        assert!(genesis.initial_changes().is_ok());
        assert_eq!((genesis.nodes.len(), genesis.validators.0.len()), (2, 2));
        let network = NetworkFile::read(&layout.network_file()).unwrap();
        assert_eq!(network.bootstrap.len(), 3);
        assert_eq!(serde_json::from_str::<Genesis>(&network.genesis_json().unwrap()).unwrap().hash(), genesis.hash());
        let configs: Vec<_> =
            layout.nodes.iter().map(|node| Layers::new().file(&node.config).unwrap().finish().unwrap()).collect();
        assert_eq!(configs.iter().map(|config| config.agents.count).sum::<u32>(), 31);
        assert!(configs.iter().all(|config| config.harness.enabled && config.network.bootstrap.len() == 2));
    }

    #[test]
    fn the_store_a_validator_is_registered_with_is_the_one_on_its_disk() {
        let home = tempfile::tempdir().unwrap();
        let layout = create(home.path(), 2, 1, 2);
        let opened = DataDir::open(&layout.nodes[0].data_dir).unwrap();
        assert_eq!(layout.genesis.nodes[0].registration.store_id, Hash(opened.store_id()));
    }

    #[test]
    fn the_passphrase_file_opens_every_key_and_is_nobody_elses() {
        let home = tempfile::tempdir().unwrap();
        let layout = create(home.path(), 1, 1, 1);
        let operator = layout.unlock(OPERATOR).unwrap().public();
        assert_eq!(layout.genesis.operators.keys, vec![operator]);
        for (name, _) in USERS {
            let key = layout.unlock(name).unwrap().public();
            assert!(layout.genesis.accounts.iter().any(|account| account.policy.contains(&key)));
        }
        assert_eq!(fs::metadata(layout.passphrase_file()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn no_two_nodes_share_a_port() {
        let home = tempfile::tempdir().unwrap();
        let layout = create(home.path(), 6, 3, 6);
        let ports: BTreeSet<u16> = layout.nodes.iter().flat_map(|node| [node.api.port(), node.p2p_port]).collect();
        assert_eq!(ports.len(), 12);
    }

    #[test]
    fn a_folder_in_use_is_refused_naming_the_pid() {
        let home = tempfile::tempdir().unwrap();
        let size = Size::new(1, 1, 1).unwrap();
        create(home.path(), 1, 1, 1);
        let refusal = Layout::create(home.path(), size).unwrap_err().to_string();
        assert!(refusal.contains(&format!("pid {}", std::process::id())), "{refusal}");
        fs::remove_file(pid_file(home.path())).unwrap();
        assert!(Layout::create(home.path(), size).unwrap_err().to_string().contains("not empty"));
    }
}
