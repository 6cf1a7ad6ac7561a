//! A small mesh of real node processes, laid out and started as `mesh30k testnet up` does, that can be hurt.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::types::{AccountId, Height, NodeId, Uftns};
use mesh30k_node::api::types::{AccountRow, MeshTree, Status};
use mesh30k_node::clock::monotonic_us;
use mesh30k_testnet::client::{ApiClient, ClientError};
use mesh30k_testnet::launcher::Fleet;
use mesh30k_testnet::layout::{Layout, NodeLayout};
use mesh30k_testnet::process::NodeProcess;
use mesh30k_testnet::ready;
use mesh30k_testnet::render::Console;
use mesh30k_testnet::size::Size;
use mesh30k_testnet::stop::StopFlag;
use mesh30k_testnet::wallet::Wallet;
use tempfile::TempDir;

use crate::chain::{Chain, block_id};
use crate::load::Client;
use crate::program::program;
use crate::wait::wait_until;

/// How long a node may take to answer one question.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a node may take to come back and be where the others are.
pub const RETURN_MAX: Duration = Duration::from_secs(45);
/// How long one payment may take.
const PAYMENT_MAX: Duration = Duration::from_secs(20);
/// Lines of each node's log that a failed test shows.
const LOG_LINES: usize = 25;

/// A running mesh. When it is dropped its processes are killed and its folder is removed; a failed test keeps the folder.
pub struct TestMesh {
    fleet: Fleet,
    layout: Layout,
    program: PathBuf,
    home: Option<TempDir>,
}

impl TestMesh {
    /// Starts a mesh and waits until it has formed. Nodes 1 to `validators` vote; the others observe.
    ///
    /// # Panics
    /// When it does not form.
    #[must_use]
    pub fn start(nodes: usize, validators: usize, agents: u32) -> Self {
        let program = program();
        let home = tempfile::Builder::new().prefix("mesh30k-test-").tempdir().expect("a temporary folder");
        let size = Size::new(nodes, validators, agents).expect("a possible size");
        let layout = Layout::create(&home.path().join("net"), size).expect("a laid out network");
        let started_us = monotonic_us();
        let fleet = Fleet::start(&layout, &program).expect("started nodes");
        let mut mesh = Self { fleet, layout, program, home: Some(home) };
        let (console, stop) = (Console::new(true), StopFlag::default());
        if let Err(error) = ready::wait(&mut mesh.fleet, &mesh.layout, &console, &stop, started_us) {
            panic!("the mesh did not form: {error:#}");
        }
        mesh
    }

    /// Where everything lies.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Numbers of all nodes.
    #[must_use]
    pub fn numbers(&self) -> Vec<u32> {
        self.layout.nodes.iter().map(|node| node.number).collect()
    }

    /// Numbers of all nodes but one.
    #[must_use]
    pub fn others(&self, number: u32) -> Vec<u32> {
        self.numbers().into_iter().filter(|other| *other != number).collect()
    }

    /// Where a node lies.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn node(&self, number: u32) -> &NodeLayout {
        self.layout.nodes.iter().find(|node| node.number == number).expect("a node of the mesh")
    }

    /// A client of a node.
    #[must_use]
    pub fn api(&self, number: u32) -> ApiClient {
        ApiClient::with_timeout(&self.node(number).api_url(), ANSWER_MAX)
    }

    /// What a node says of itself.
    ///
    /// # Errors
    /// When it can't be asked.
    pub fn status(&self, number: u32) -> Result<Status, ClientError> {
        self.api(number).get("/v1/status")
    }

    /// The tree as a node sees it.
    ///
    /// # Errors
    /// When it can't be asked.
    pub fn tree(&self, number: u32) -> Result<MeshTree, ClientError> {
        self.api(number).get("/v1/mesh/tree")
    }

    /// The last final block of a living node.
    ///
    /// # Panics
    /// When it can't be asked.
    #[must_use]
    pub fn height(&self, number: u32) -> Height {
        self.status(number).expect("a node's status").final_height
    }

    /// Number of the node that the ledger knows as `id`.
    ///
    /// # Panics
    /// When none of the living nodes is it.
    #[must_use]
    pub fn number_of(&self, id: NodeId) -> u32 {
        let is_it = |number: &u32| self.status(*number).is_ok_and(|status| status.node == Some(id));
        self.numbers().into_iter().find(is_it).unwrap_or_else(|| panic!("no living node is number {id} on the ledger"))
    }

    /// The validator that leads the ledger, as all living validators say.
    ///
    /// # Panics
    /// When they do not come to agree.
    #[must_use]
    pub fn leader(&self) -> u32 {
        let validators = self.layout.size.validators;
        let leader = wait_until("the validators agree on a leader", Duration::from_secs(15), || {
            let said: Vec<Option<NodeId>> =
                (1..=validators).filter_map(|number| self.status(number).ok()).map(|status| status.leader).collect();
            match said.first() {
                Some(Some(first)) if said.iter().all(|one| *one == Some(*first)) => Ok(*first),
                _ => Err(format!("{said:?}")),
            }
        });
        u32::try_from(leader.0).expect("validators have the first numbers")
    }

    /// Kills a node without warning (SIGKILL); it is gone when this returns.
    pub fn kill(&mut self, number: u32) {
        self.process(number).kill();
    }

    /// Tells a node to leave (SIGTERM) and waits until it is gone; false if it had to be killed.
    pub fn stop(&mut self, number: u32) -> bool {
        self.process(number).stop()
    }

    /// Starts a node again on what it left.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn restart(&mut self, number: u32) {
        let node = self.node(number).clone();
        let config = node.config.to_str().expect("a UTF-8 path");
        let arguments = ["node", "run", "--config", config].map(str::to_owned);
        let process = NodeProcess::start(&node.name, &self.program, &arguments, &node.log).expect("a started node");
        *self.process(number) = process;
    }

    /// Process id of a node.
    pub fn pid(&mut self, number: u32) -> u32 {
        self.process(number).pid()
    }

    /// How a node's process ended, if it did.
    pub fn ended(&mut self, number: u32) -> Option<ExitStatus> {
        self.process(number).ended()
    }

    /// Everything a node has logged.
    #[must_use]
    pub fn log(&self, number: u32) -> String {
        String::from_utf8_lossy(&fs::read(&self.node(number).log).unwrap_or_default()).into_owned()
    }

    /// Waits until a node has the final block that `other` had when this was called.
    ///
    /// # Panics
    /// When it takes longer than [`RETURN_MAX`].
    #[track_caller]
    pub fn wait_level(&mut self, number: u32, other: u32) {
        let goal = self.height(other);
        let wanted = block_id(&self.api(other), goal).expect("the last final block");
        wait_until(&format!("node {number} has block {goal} of node {other}"), RETURN_MAX, || {
            if let Some(status) = self.ended(number) {
                return Err(format!("it ended: {status}"));
            }
            match block_id(&self.api(number), goal) {
                Ok(found) if found == wanted => Ok(()),
                Ok(found) => Err(format!("its block {goal} is {found}, not {wanted}")),
                Err(error) => Err(error.to_string()),
            }
        });
    }

    /// Waits until all nodes have come to one height, and compares their blocks there. The blocks of the first are returned.
    ///
    /// # Panics
    /// When they do not come to the same height or differ.
    #[track_caller]
    pub fn wait_same_chain(&mut self) -> Chain {
        let highest = self.numbers().into_iter().map(|number| self.height(number)).max().unwrap_or_default();
        wait_until(&format!("every node is at block {highest}"), RETURN_MAX, || {
            let heights: Vec<Height> = self.numbers().into_iter().map(|number| self.height(number)).collect();
            if heights.iter().all(|height| *height >= highest) { Ok(()) } else { Err(format!("{heights:?}")) }
        });
        let first = Chain::fetch(&self.api(1)).expect("the blocks of node 1");
        assert_eq!(first.gap(), None, "the blocks of node 1 do not follow each other");
        let last = first.blocks.get(&highest).map(|block| block.id);
        for number in self.others(1) {
            assert_eq!(block_id(&self.api(number), highest).ok(), last, "block {highest} of node {number}");
        }
        first
    }

    /// A wallet of `name` (`operator`, `alice` or `bob`) at a node.
    ///
    /// # Panics
    /// When the key can't be opened or the node can't be asked.
    #[must_use]
    pub fn wallet(&self, name: &str, number: u32) -> Wallet {
        let key = self.layout.unlock(name).expect("a key of the testnet");
        // Its requests may wait at the node until something is final or complete.
        Wallet::open(ApiClient::new(&self.node(number).api_url()), key).expect("a wallet")
    }

    /// Alice pays bob 1 uFTNS through a node, which shows that the ledger goes on.
    ///
    /// # Panics
    /// When it is not final in time.
    #[track_caller]
    pub fn pay(&self, number: u32) {
        let transfer = Transfer { to: self.account("bob"), amount: Uftns(1), memo: String::new() };
        let paid = self.wallet("alice", number).execute(Operation::Transfer(transfer), PAYMENT_MAX);
        assert!(paid.is_ok(), "a payment through node {number}: {paid:?}");
    }

    /// The account of `name`.
    ///
    /// # Panics
    /// When the key can't be opened.
    #[must_use]
    pub fn account(&self, name: &str) -> AccountId {
        KeyPolicy::single(self.layout.unlock(name).expect("a key of the testnet").public()).account()
    }

    /// A client for the load: `from` pays `to`, talking to these nodes in this order.
    ///
    /// # Panics
    /// When a key can't be opened or the first node can't be asked.
    #[must_use]
    pub fn client(&self, from: &str, to: &str, nodes: &[u32]) -> Client {
        let first = nodes.first().copied().unwrap_or(1);
        Client {
            wallet: self.wallet(from, first),
            to: self.account(to),
            nodes: nodes.iter().map(|number| self.api(*number)).collect(),
            base_fee: Uftns(self.layout.genesis.parameters.get(Parameter::BaseFee)),
        }
    }

    /// Balances as a node has them at its last final block, uFTNS.
    ///
    /// # Panics
    /// When it can't be asked.
    #[must_use]
    pub fn balances(&self, number: u32, names: &[&str]) -> BTreeMap<AccountId, u64> {
        let balance = |name: &&str| {
            let account = self.account(name);
            let row: AccountRow = self.api(number).get(&format!("/v1/accounts/{account}")).expect("an account");
            (account, row.balance_uftns.0)
        };
        names.iter().map(balance).collect()
    }

    fn process(&mut self, number: u32) -> &mut NodeProcess {
        self.fleet.process_mut(number).expect("a node of the mesh")
    }
}

impl Drop for TestMesh {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for number in self.numbers() {
            let (log, ended) = (self.log(number), self.ended(number));
            let lines: Vec<&str> = log.lines().collect();
            let shown = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n  ");
            eprintln!(
                "node {number} ({}), the end of its log:\n  {shown}",
                match ended {
                    None => "running".to_owned(),
                    Some(status) => status.to_string(),
                }
            );
        }
        if let Some(home) = self.home.take() {
            eprintln!("the nodes' folders and whole logs stay in {}", home.keep().display());
        }
    }
}
