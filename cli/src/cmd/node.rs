//! `mesh30k node`: make, run and configure one node.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::AccountId;
use mesh30k_node::config::{Config, Layers, NetworkFile, Value, compose, explain};
use mesh30k_node::datadir::{self, DataDir};
use mesh30k_node::identity::NodeIdentity;
use mesh30k_node::node::Node as RunningNode;
use mesh30k_node::{priority, telemetry};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cmd::recover::Recover;
use crate::exit::UsageError;
use crate::output::{json, line};
use crate::session::Session;

/// Name of the configuration file in a node's folder.
const CONFIG_FILE: &str = "node.toml";
/// Name of the copy of the genesis in a node's folder.
const GENESIS_FILE: &str = "genesis.json";

/// Make, run or configure one node.
#[derive(Subcommand)]
pub(crate) enum Node {
    /// Make a node's folder: keys, genesis, configuration.
    #[command(after_help = "Example: mesh30k node init --network network.json --agents 10 --region KE")]
    Init(InitArgs),
    /// Run a node until Ctrl-C.
    #[command(after_help = "Example: mesh30k node run --config ~/.local/share/mesh30k/mesh30k-local/node.toml")]
    Run {
        /// Its configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Sets one key of the configuration, above the file and the environment; may be repeated.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// The public keys of a node, for votes and payments; its private keys stay where they are.
    #[command(after_help = "Example: mesh30k node identity --config ~/.local/share/mesh30k/mesh30k-local/node.toml")]
    Identity {
        /// Its configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Let a chain go on that lost its majority of validators, or halted.
    #[command(subcommand)]
    Recover(Recover),
    /// The configuration in force, or every key explained.
    #[command(after_help = "Example: mesh30k node config --explain")]
    Config {
        /// Every key with its meaning, range, unit and default.
        #[arg(long)]
        explain: bool,
        /// A configuration file to put together with the environment.
        #[arg(long, value_name = "FILE", conflicts_with = "explain")]
        config: Option<PathBuf>,
    },
}

/// What a new node needs to know.
#[derive(Args, Clone)]
pub(crate) struct InitArgs {
    /// The network to join: a file with its chain, genesis and bootstrap addresses.
    #[arg(long, value_name = "FILE")]
    pub(crate) network: PathBuf,
    /// The node's folder; one per network in the data directory when not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Agents to host.
    #[arg(long)]
    pub(crate) agents: Option<u32>,
    /// Where the machine stands: two letters of ISO 3166.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Where to listen for other nodes.
    #[arg(long, value_name = "MULTIADDR")]
    pub(crate) listen: Vec<String>,
    /// Where the HTTP API listens.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) api_listen: Option<String>,
}

impl Node {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Init(args) => {
                let made = args.init()?;
                line(format!("made {}", made.display()));
                line(format!("run it: mesh30k node run --config {}", made.display()));
                Ok(())
            }
            Self::Run { config, settings } => run(&layers(Some(&config), &settings)?.finish()?),
            Self::Identity { config } => identity(session, &layers(Some(&config), &[])?.finish()?),
            Self::Recover(step) => step.run(session),
            Self::Config { explain: true, .. } => {
                line(explain().trim_end());
                Ok(())
            }
            Self::Config { config, .. } => {
                let config = layers(config.as_deref(), &[])?.finish()?;
                if session.wants_json() {
                    return json(&config);
                }
                line(toml::to_string(&config)?.trim_end());
                Ok(())
            }
        }
    }
}

/// What others have to know of a node; works while it runs.
#[derive(Serialize)]
struct IdentityRow {
    peer: String,
    account: AccountId,
    host_key: PublicKey,
    validator_key: PublicKey,
}

fn identity(session: &Session, config: &Config) -> Result<()> {
    let keys = datadir::keys_of(&config.node.data_dir);
    if !keys.is_dir() {
        bail!("there are no keys at {}; `mesh30k node init` makes a node's folder with its keys", keys.display());
    }
    let identity = NodeIdentity::load_or_create(&keys)?;
    let host_key = identity.account().public();
    let row = IdentityRow {
        peer: identity.transport()?.public().to_peer_id().to_string(),
        account: KeyPolicy::single(host_key).account(),
        host_key,
        validator_key: identity.validator().public(),
    };
    if session.wants_json() {
        return json(&row);
    }
    line(format!("peer           {}", row.peer));
    line(format!("account        {}", row.account));
    line(format!("host key       {}", row.host_key));
    line(format!("validator key  {}", row.validator_key));
    Ok(())
}

impl InitArgs {
    /// The configuration file of the node's folder, there or to be made.
    pub(crate) fn config_path(&self) -> Result<PathBuf> {
        let network = NetworkFile::read(&self.network)?;
        Ok(self.folder(&network)?.join(CONFIG_FILE))
    }

    fn folder(&self, network: &NetworkFile) -> Result<PathBuf> {
        if let Some(dir) = &self.dir {
            return Ok(std::path::absolute(dir)?);
        }
        let (xdg, home) = (std::env::var("XDG_DATA_HOME").ok(), std::env::var("HOME").ok());
        Ok(datadir::default_path(&network.chain, xdg.as_deref(), home.as_deref())?)
    }

    /// Makes the node's folder; an existing configuration is never overwritten.
    pub(crate) fn init(&self) -> Result<PathBuf> {
        let network = NetworkFile::read(&self.network)?;
        let genesis_json = network.genesis_json()?;
        let genesis: Genesis = serde_json::from_str(&genesis_json).context("the network's genesis can't be read")?;
        if genesis.chain.to_string() != network.chain {
            bail!("the network file is for chain {}, its genesis for chain {}", network.chain, genesis.chain);
        }
        let folder = self.folder(&network)?;
        let config = folder.join(CONFIG_FILE);
        if config.exists() {
            bail!("{} exists already; run it with `mesh30k node run --config {0}`", config.display());
        }
        let text = self.compose(&network, &folder)?;
        let data = DataDir::open(&folder)?;
        let identity = NodeIdentity::load_or_create(&data.keys())?;
        fs::write(folder.join(GENESIS_FILE), genesis_json)
            .with_context(|| format!("writing {}", folder.join(GENESIS_FILE).display()))?;
        // Last: a folder with a configuration is complete.
        write_new(&config, &text)?;
        line(format!("account {}", KeyPolicy::single(identity.account().public()).account()));
        line(format!("peer id {}", identity.transport()?.public().to_peer_id()));
        Ok(config)
    }

    fn compose(&self, network: &NetworkFile, folder: &Path) -> Result<String> {
        let path = |path: PathBuf| Value::Text(path.display().to_string());
        let mut settings = vec![
            ("network.genesis", path(folder.join(GENESIS_FILE))),
            ("network.bootstrap", Value::List(network.bootstrap.clone())),
            ("node.data_dir", path(folder.to_owned())),
        ];
        if let Some(agents) = self.agents {
            settings.push(("agents.count", Value::Integer(i64::from(agents))));
        }
        if let Some(region) = &self.region {
            settings.push(("node.region", Value::Text(region.clone())));
        }
        if !self.listen.is_empty() {
            settings.push(("p2p.listen", Value::List(self.listen.clone())));
        }
        if let Some(address) = &self.api_listen {
            settings.push(("api.listen", Value::Text(address.clone())));
        }
        Ok(compose(&settings)?)
    }
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| format!("writing {}", path.display()))
}

/// Defaults, file, environment, flags.
pub(crate) fn layers(config: Option<&Path>, settings: &[String]) -> Result<Layers> {
    let mut layers = Layers::new();
    if let Some(path) = config {
        layers = layers.file(path)?;
    }
    // Variables that are not text can't be ours.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    layers = layers.variables(variables)?;
    for setting in settings {
        let pair = setting.split_once('=');
        let (key, value) = pair.ok_or_else(|| UsageError(format!("--set takes KEY=VALUE, not `{setting}`")))?;
        layers = layers.flag("--set", key, value)?;
    }
    Ok(layers)
}

/// Runs a node until Ctrl-C or SIGTERM; a second signal ends the process at once.
pub(crate) fn run(config: &Config) -> Result<()> {
    telemetry::init(&config.log, std::env::var("RUST_LOG").ok().as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(priority::give_way)
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Registration may have to wait for validators; leaving must not.
        let started = tokio::select! {
            started = Box::pin(RunningNode::start(config, Arc::new(|text: &str| line(text)))) => Some(started?),
            () = asked_to_end(&mut interrupt, &mut terminate) => None,
        };
        let Some(node) = started else { return Ok(()) };
        asked_to_end(&mut interrupt, &mut terminate).await;
        tokio::select! {
            () = node.shutdown() => {}
            () = asked_to_end(&mut interrupt, &mut terminate) => {}
        }
        Ok(())
    })
}

async fn asked_to_end(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
