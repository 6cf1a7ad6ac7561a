//! What `netns/run.sh` can't do in a shell: lay a network out over several addresses, pay, wait.
//!
//! ```text
//! netns-helper layout DIR                       keys, genesis and configurations of the nodes in DIR
//! netns-helper level URL HEIGHT SECONDS         waits until a node is ready and has that final block; prints its id
//! netns-helper height URL                       prints a node's final height
//! netns-helper pay URL BLOCKS SECONDS           pays until so many more blocks are final; prints the height
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a fixture that fails is a failed test")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{NodeRegistration, Operation, Transfer};
use mesh30k_ledger::types::{Hash, Height, TimeMs, Uftns};
use mesh30k_node::api::types::Status;
use mesh30k_node::clock::wall_ms;
use mesh30k_node::config::{Value, compose};
use mesh30k_node::datadir::DataDir;
use mesh30k_node::identity::NodeIdentity;
use mesh30k_testnet::client::ApiClient;
use mesh30k_testnet::genesis::{self, Founder, Person};
use mesh30k_testnet::size::Size;
use mesh30k_testnet::wallet::Wallet;
use mesh30k_tests::chain::block_id;
use mesh30k_tests::wait::{Stopwatch, wait_until};

/// Nodes 1 to 3 are in the genesis and vote; node 4 comes later.
const NODES: u8 = 4;
const VALIDATORS: u8 = 3;
/// Agents of each node.
const AGENTS: u32 = 5;
/// Ports are the same everywhere: every node has a network namespace to itself.
const P2P_PORT: u16 = 7_401;
const API: &str = "127.0.0.1:7400";
/// Seeds of people's keys; this network ends with the test.
const OPERATOR_SEED: [u8; 32] = [101; 32];
const PAYER_SEED: [u8; 32] = [102; 32];
const PAID_SEED: [u8; 32] = [103; 32];
/// How long one payment may take.
const PAYMENT_MAX: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["layout", dir] => layout(Path::new(dir)),
        ["level", url, height, seconds] => level(url, Height(height.parse()?), Duration::from_secs(seconds.parse()?)),
        ["height", url] => {
            println!("{}", ApiClient::new(url).get::<Status>("/v1/status")?.final_height);
            Ok(())
        }
        ["pay", url, blocks, seconds] => pay(url, blocks.parse()?, Duration::from_secs(seconds.parse()?)),
        _ => bail!("usage: netns-helper layout DIR | level URL HEIGHT SECONDS | height URL | pay URL BLOCKS SECONDS"),
    }
}

/// A node with what the genesis must know of it.
struct Draft {
    number: u8,
    identity: NodeIdentity,
    store_id: Hash,
}

fn layout(dir: &Path) -> Result<()> {
    let drafts = (1..=NODES).map(|number| draft(dir, number)).collect::<Result<Vec<_>>>()?;
    let founders = drafts.iter().take(VALIDATORS.into()).map(founder).collect::<Result<Vec<_>>>()?;
    let public = |seed| SecretKey::from_seed(seed).public();
    let people = [PAYER_SEED, PAID_SEED].map(|seed| Person { key: public(seed), region: None });
    let size = Size::new(NODES.into(), VALIDATORS.into(), AGENTS.saturating_mul(NODES.into()))?;
    let genesis = genesis::compose(TimeMs(wall_ms()), &founders, public(OPERATOR_SEED), &people, size)?;
    fs::write(dir.join("genesis.json"), serde_json::to_vec_pretty(&genesis)?)?;
    let first = drafts.first().context("there is a first node")?;
    let peer = first.identity.transport()?.public().to_peer_id();
    let bootstrap = format!("{}/p2p/{peer}", address(first.number));
    drafts.iter().try_for_each(|draft| configure(dir, draft, &bootstrap))
}

fn draft(dir: &Path, number: u8) -> Result<Draft> {
    let opened = DataDir::open(&dir.join(format!("node-{number}/data")))?;
    let identity = NodeIdentity::load_or_create(&opened.keys())?;
    Ok(Draft { number, identity, store_id: Hash(opened.store_id()) })
}

/// The genesis names no address of anybody: who is where, nodes must find out.
fn founder(draft: &Draft) -> Result<Founder> {
    let transport = draft.identity.transport()?.public().try_into_ed25519()?;
    let account = draft.identity.account().public();
    let registration = NodeRegistration {
        transport_key: transport.to_bytes().to_vec(),
        host_key: account,
        store_id: draft.store_id,
        addresses: Vec::new(),
        region: genesis::region("KE")?,
    };
    Ok(Founder { account, validator: draft.identity.validator().public(), registration })
}

fn configure(dir: &Path, draft: &Draft, bootstrap: &str) -> Result<()> {
    let home = dir.join(format!("node-{}", draft.number));
    let path = |path: &Path| Value::Text(path.to_string_lossy().into_owned());
    let others = if draft.number == 1 { Vec::new() } else { vec![bootstrap.to_owned()] };
    let settings = [
        ("network.genesis", path(&dir.join("genesis.json"))),
        ("network.bootstrap", Value::List(others)),
        ("node.data_dir", path(&home.join("data"))),
        ("node.region", Value::Text("KE".to_owned())),
        ("p2p.listen", Value::List(vec![address(draft.number)])),
        ("api.listen", Value::Text(API.to_owned())),
        ("agents.count", Value::Integer(i64::from(AGENTS))),
        ("agents.seed", Value::Integer(i64::from(draft.number))),
        ("log.format", Value::Text("human".to_owned())),
    ];
    Ok(fs::write(home.join("config.toml"), compose(&settings)?)?)
}

/// The address that `run.sh` gives to the node's namespace.
fn address(number: u8) -> String {
    format!("/ip4/10.30.0.{number}/tcp/{P2P_PORT}")
}

fn level(url: &str, height: Height, within: Duration) -> Result<()> {
    let client = ApiClient::new(url);
    wait_until(&format!("{url} is ready and has block {height}"), within, || {
        let status: Status = client.get("/v1/status").map_err(|error| error.to_string())?;
        if status.final_height >= height && status.not_ready.is_empty() {
            return Ok(());
        }
        let (at, peers, missing) = (status.final_height, status.peers, status.not_ready);
        Err(format!("it is at block {at}, has {peers} peers, not ready: {missing:?}"))
    });
    // A node that began with a snapshot has no block that is older.
    println!("{}", block_id(&client, height).map_or_else(|_| "none".to_owned(), |id| id.to_string()));
    Ok(())
}

fn pay(url: &str, blocks: u64, within: Duration) -> Result<()> {
    let wallet = Wallet::open(ApiClient::new(url), SecretKey::from_seed(PAYER_SEED))?;
    let to = KeyPolicy::single(SecretKey::from_seed(PAID_SEED).public()).account();
    let height = || Ok::<_, anyhow::Error>(wallet.client().get::<Status>("/v1/status")?.final_height);
    let goal = height()?.0 + blocks;
    let begin = Stopwatch::start();
    while height()?.0 < goal {
        if begin.elapsed() > within {
            bail!("block {} after {} s, {goal} was wanted", height()?, within.as_secs());
        }
        // One after the other: each is a block of its own.
        let transfer = Transfer { to, amount: Uftns(1), memo: String::new() };
        wallet.execute(Operation::Transfer(transfer), PAYMENT_MAX)?;
    }
    println!("{}", height()?);
    Ok(())
}
