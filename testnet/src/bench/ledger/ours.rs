//! Our side: validators as processes, accounts with money, clients that sign.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{BatchTransfer, Operation, Transfer, TransferItem};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, Hash, NodeId, TimeMs, Uftns};
use mesh30k_node::api::types::{BatchAnswer, BatchBody, HexBody, Status, TransactionRow};
use mesh30k_node::clock::{monotonic_us, wall_ms};

use super::closed_loop::Client;
use super::http::Http;
use crate::client::ApiClient;
use crate::launcher::{Environment, Fleet};
use crate::layout::{Layout, NodeLayout, USERS};
use crate::ready;
use crate::render::Console;
use crate::size::Size;
use crate::stop::StopFlag;
use crate::wallet::Wallet;

/// Accounts that pay each other.
pub const ACCOUNTS: u64 = 3_000;
/// What each begins with.
const OPENING: Uftns = Uftns::ftns(100);
/// The most one transfer may cost: the base fee rises while blocks are full.
const FEE_LIMIT: Uftns = Uftns(100_000);
/// How long a transfer stays valid, ms.
const VALIDITY_MS: u64 = 120_000;
/// How long a client asks to wait for its transfers to be final, ms.
const WAIT_MS: u64 = 30_000;
/// How long funding may take.
const FUNDING_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a node may take to come back: this many looks, and the pause between two.
const RESTART_TRIES: u32 = 300;
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// What a run of nodes needs of the bench around it.
pub struct Watched {
    /// The program whose nodes are measured.
    pub program: PathBuf,
    /// Where progress is told.
    pub console: Console,
    /// Somebody asked to end.
    pub stop: StopFlag,
}

/// A running network of validators.
pub struct Ours {
    fleet: Fleet,
    layout: Layout,
    context: ChainContext,
}

/// An account that signs by itself.
#[derive(Clone, Debug)]
pub struct Payer {
    key: SecretKey,
    account: AccountId,
    context: ChainContext,
    nonce: u64,
}

impl Payer {
    /// The account number `number`, which nobody used before.
    #[must_use]
    pub fn new(number: u64, context: ChainContext) -> Self {
        let key = SecretKey::from_seed(Hash::derive("mesh30k bench payer v1", &[&number.to_be_bytes()]).0);
        let account = KeyPolicy::single(key.public()).account();
        Self { key, account, context, nonce: 0 }
    }

    /// Its account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Signs the next transfer of one uFTNS.
    pub fn transfer(&mut self, to: AccountId, memo: &str) -> SignedTransaction {
        let op = Operation::Transfer(Transfer { to, amount: Uftns(1), memo: memo.to_owned() });
        let valid_until = TimeMs(wall_ms().saturating_add(VALIDITY_MS));
        let tx = Transaction::new(&self.context, self.account, self.nonce, valid_until, FEE_LIMIT, op);
        self.nonce = self.nonce.saturating_add(1);
        tx.sign(&[&self.key])
    }
}

impl Ours {
    /// Starts `validators` processes in `dir` and gives every account money.
    ///
    /// # Errors
    /// They don't come up, or the accounts can't be funded.
    pub fn start(dir: &Path, validators: usize, watched: &Watched) -> Result<Self> {
        let Watched { program, console, stop } = watched;
        let agents = u32::try_from(validators)?;
        let layout = Layout::create(dir, Size::new(validators, validators, agents)?)?;
        let started_us = monotonic_us();
        let mut fleet = Fleet::start_in(&layout, program, Environment::Roomy)?;
        ready::wait(&mut fleet, &layout, console, stop, started_us).context("forming")?;
        let context = layout.genesis.context();
        let ours = Self { fleet, layout, context };
        ours.fund()?;
        Ok(ours)
    }

    fn fund(&self) -> Result<()> {
        let [(alice, _), _] = USERS;
        let first = self.layout.nodes.first().context("a network without nodes")?;
        let wallet = Wallet::open(ApiClient::new(&first.api_url()), self.layout.unlock(alice)?)?;
        let accounts: Vec<AccountId> = (0..ACCOUNTS).map(|number| Payer::new(number, self.context).account).collect();
        for some in accounts.chunks(500) {
            let transfers = some.iter().map(|to| TransferItem { to: *to, amount: OPENING }).collect();
            wallet.execute(Operation::BatchTransfer(BatchTransfer { transfers }), FUNDING_TIMEOUT)?;
        }
        Ok(())
    }

    /// All accounts, in order.
    #[must_use]
    pub fn payers(&self) -> Vec<Payer> {
        (0..ACCOUNTS).map(|number| Payer::new(number, self.context)).collect()
    }

    /// The nodes' processes.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.fleet.processes().iter().map(crate::process::NodeProcess::pid).collect()
    }

    /// Where each node's API listens.
    #[must_use]
    pub fn apis(&self) -> Vec<SocketAddr> {
        self.layout.nodes.iter().map(|node| node.api).collect()
    }

    /// The node that leads, from 1.
    ///
    /// # Errors
    /// None of the nodes knows.
    pub fn leader(&self) -> Result<u32> {
        let ask = |node: &NodeLayout| {
            let client = ApiClient::with_timeout(&node.api_url(), Duration::from_secs(2));
            client.get::<Status>("/v1/status").ok().and_then(|status| status.leader)
        };
        let NodeId(leader) = self.layout.nodes.iter().find_map(ask).context("no node knows who leads")?;
        Ok(u32::try_from(leader)?)
    }

    /// Where the leader's API listens.
    ///
    /// # Errors
    /// As [`Self::leader`].
    pub fn leader_api(&self) -> Result<SocketAddr> {
        let leader = self.leader()?;
        let node = self.layout.nodes.iter().find(|node| node.number == leader).context("an unknown leader")?;
        Ok(node.api)
    }

    /// Ends a node without warning.
    ///
    /// # Errors
    /// There is no such node.
    pub fn kill(&mut self, number: u32) -> Result<()> {
        self.fleet.process_mut(number).context("no such node")?.kill();
        Ok(())
    }

    /// Starts a node again that was ended, and waits until it answers.
    ///
    /// # Errors
    /// It does not come up.
    pub fn restart(&mut self, number: u32) -> Result<()> {
        let node = self.layout.nodes.iter().find(|node| node.number == number).context("no such node")?;
        self.fleet.restart(node)?;
        let client = ApiClient::with_timeout(&node.api_url(), Duration::from_secs(2));
        for _ in 0..RESTART_TRIES {
            if client.get::<Status>("/v1/status").is_ok_and(|status| status.leader.is_some()) {
                return Ok(());
            }
            std::thread::sleep(RESTART_PAUSE);
        }
        bail!("{} does not answer after {:?}", node.name, RESTART_PAUSE * RESTART_TRIES)
    }
}

/// A client that writes one transfer at a time and waits until it is final.
pub struct OneByOne {
    http: Http,
    path: String,
    payer: Payer,
    to: AccountId,
    memo: String,
}

impl OneByOne {
    /// A client of the node at `api`.
    ///
    /// # Errors
    /// It does not listen.
    pub async fn connect(api: SocketAddr, payer: Payer, memo_bytes: usize) -> Result<Self> {
        let (http, path) = (Http::connect(api).await?, format!("/v1/transactions?wait_ms={WAIT_MS}"));
        let to = payer.account;
        Ok(Self { http, path, payer, to, memo: "m".repeat(memo_bytes) })
    }
}

impl Client for OneByOne {
    async fn once(&mut self) -> Result<u64> {
        let signed = self.payer.transfer(self.to, &self.memo);
        let body = serde_json::to_string(&HexBody { hex: hex::encode(signed.to_bytes()) })?;
        let answer = self.http.post(&self.path, &body).await?;
        let row: Option<TransactionRow> = serde_json::from_slice(&answer.body).ok();
        match row {
            Some(row) if row.succeeded == Some(true) => Ok(1),
            _ => bail!("a transfer did not become final: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
}

/// A client that writes a batch of transfers of many senders and waits until all are final.
pub struct InBatches {
    http: Http,
    path: String,
    payers: Vec<Payer>,
    next: usize,
    batch: usize,
}

impl InBatches {
    /// A client of the node at `api` that signs for `payers` in turn.
    ///
    /// # Errors
    /// It does not listen.
    pub async fn connect(api: SocketAddr, payers: Vec<Payer>, batch: usize) -> Result<Self> {
        let (http, path) = (Http::connect(api).await?, format!("/v1/transactions/batch?wait_ms={WAIT_MS}"));
        Ok(Self { http, path, payers, next: 0, batch })
    }
}

impl Client for InBatches {
    async fn once(&mut self) -> Result<u64> {
        let mut body = BatchBody { hex: Vec::with_capacity(self.batch) };
        for _ in 0..self.batch {
            let to = self.payers.get((self.next + 1) % self.payers.len()).context("no payers")?.account;
            let count = self.payers.len();
            let payer = self.payers.get_mut(self.next % count).context("no payers")?;
            body.hex.push(hex::encode(payer.transfer(to, "").to_bytes()));
            self.next += 1;
        }
        let answer = self.http.post(&self.path, &serde_json::to_string(&body)?).await?;
        let done: Option<BatchAnswer> = serde_json::from_slice(&answer.body).ok();
        match done {
            Some(done) if done.succeeded == self.batch => Ok(done.succeeded as u64),
            _ => bail!("a batch did not become final: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
}
