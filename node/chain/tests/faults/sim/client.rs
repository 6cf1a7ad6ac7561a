//! Clients: pay, look, and keep a log of their own. What they know comes from answers alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::outcome::Outcome;
use mesh30k_ledger::query;
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, Height, NodeId, TimeMs, Uftns};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::genesis::{START_MS, account_of, key};
use super::linear::{Call, Op};
use super::now_ms;
use super::process::Process;
use super::world::Common;

/// How long a client waits at one node before it asks another, ms.
const PATIENCE_MS: u64 = 1_500;
/// How often it asks.
const ASK_EVERY: Duration = Duration::from_millis(15);
/// Nobody pays more than this for a transfer, uFTNS.
const FEE_LIMIT: Uftns = Uftns(1_000_000);

/// A payment that came through, as the client was told.
#[derive(Clone, Copy, Debug)]
pub struct Paid {
    pub from: u64,
    pub to: u64,
    pub amount: u64,
    pub fee: u64,
    pub executed: bool,
}

/// What all clients wrote down together.
#[derive(Default)]
pub struct Logs {
    pub paid: Vec<Paid>,
    /// By account.
    pub calls: BTreeMap<u64, Vec<Call>>,
    /// Payments that are still on their way.
    pub open: u64,
    pub attempts: u64,
    /// The highest final height any client has been told of: a look names it.
    pub heard: Height,
}

/// When clients begin nothing new.
#[derive(Clone, Default)]
pub struct Closing(pub Arc<std::sync::atomic::AtomicBool>);

impl Closing {
    pub fn is_closed(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub fn close(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

pub struct Client {
    pub account: u64,
    pub accounts: u64,
    pub common: Common,
    pub logs: Arc<Mutex<Logs>>,
    pub closing: Closing,
    rng: ChaCha8Rng,
}

impl Client {
    pub fn new(seed: u64, account: u64, common: Common, logs: Arc<Mutex<Logs>>, closing: Closing) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { account, accounts: super::world::ACCOUNTS, common, logs, closing, rng }
    }

    pub async fn run(mut self) {
        while !self.closing.is_closed() {
            let pause = self.rng.random_range(5..150);
            SimRuntime::sleep(Duration::from_millis(pause)).await;
            if self.rng.random_range(0..4) == 0 {
                self.look().await;
            } else {
                self.pay().await;
            }
        }
    }

    fn any_process(&mut self) -> Option<Process> {
        let all = self.common.others(NodeId(0));
        let nth = self.rng.random_range(0..all.len());
        // Clients ask without a proof; what a decayed disk answers would mislead them.
        self.common.process(all[nth]).filter(|process| !self.common.is_decayed(process.me))
    }

    fn id(&self) -> AccountId {
        account_of(&key("client", self.account))
    }

    /// Reads the account at a node, which has to have reached the height that clients have heard of.
    async fn look(&mut self) {
        let Some(process) = self.any_process() else { return };
        let (start, least) = (now_ms(), self.logs.lock().unwrap().heard);
        for _ in 0..20 {
            if !process.is_up() {
                return;
            }
            if query::tip(&process.store).is_ok_and(|tip| tip.height >= least)
                && let Ok(nonce) = query::next_nonce(&process.store, &self.id())
            {
                let height = query::tip(&process.store).map_or(Height(0), |tip| tip.height);
                self.answered(Call { start, end: now_ms(), op: Op::Saw(nonce) }, height);
                return;
            }
            SimRuntime::sleep(ASK_EVERY).await;
        }
    }

    fn answered(&self, call: Call, height: Height) {
        let mut logs = self.logs.lock().unwrap();
        logs.heard = logs.heard.max(height);
        logs.calls.entry(self.account).or_default().push(call);
    }

    /// One payment, sent again and again, to one node after another, until it is final or its number is gone.
    async fn pay(&mut self) {
        let Some(process) = self.any_process() else { return };
        let Ok(nonce) = query::next_nonce(process.shared.core().state(), &self.id()) else { return };
        let to = (self.account + self.rng.random_range(1..self.accounts)) % self.accounts;
        let amount = self.rng.random_range(1..10_000);
        let signed = self.sign(nonce, to, amount);
        let start = now_ms();
        {
            let mut logs = self.logs.lock().unwrap();
            logs.open += 1;
            logs.attempts += 1;
        }
        let mut at = Some(process);
        loop {
            if let Some(process) = at
                && let Some((op, height)) = self.try_at(&process, &signed, to, amount).await
            {
                self.logs.lock().unwrap().open -= 1;
                self.answered(Call { start, end: now_ms(), op }, height);
                return;
            }
            SimRuntime::sleep(ASK_EVERY).await;
            at = self.any_process();
        }
    }

    fn sign(&mut self, nonce: u64, to: u64, amount: u64) -> SignedTransaction {
        let op = Operation::Transfer(Transfer {
            to: account_of(&key("client", to)),
            amount: Uftns(amount),
            // Two devices of one account never write the same payment.
            memo: format!("{:x}", self.rng.random::<u32>()),
        });
        let context = self.common.genesis.context();
        let until = TimeMs(START_MS + 1_000_000_000);
        Transaction::new(&context, self.id(), nonce, until, FEE_LIMIT, op).sign(&[&key("client", self.account)])
    }

    /// `None`: no answer in time; somebody else may know more.
    async fn try_at(
        &self,
        process: &Process,
        signed: &SignedTransaction,
        to: u64,
        amount: u64,
    ) -> Option<(Op, Height)> {
        let (id, nonce) = (signed.id(), signed.tx.nonce);
        let since = now_ms();
        // A refusal says nothing yet: the number may be taken by this very payment.
        process.submit(signed).ok();
        while process.is_up() && now_ms() < since + PATIENCE_MS {
            if process.ordered(&id) {
                self.common.truth.lock().unwrap().acknowledge(id);
            }
            if let Some(height) = process.final_height(&id) {
                let (_, index) = process.store.transaction(&id).ok()??;
                let outcome = process.store.block(height).ok()??.outcomes.get(index).cloned()?;
                self.note(to, amount, &outcome);
                return Some((Op::Took(nonce), height));
            }
            let next = query::next_nonce(&process.store, &self.id()).ok()?;
            if next > nonce && process.final_height(&id).is_none() && process.is_up() {
                return Some((Op::Lost(nonce), query::tip(&process.store).ok()?.height));
            }
            SimRuntime::sleep(ASK_EVERY).await;
        }
        None
    }

    fn note(&self, to: u64, amount: u64, outcome: &Outcome) {
        let (fee, executed) = match outcome {
            Outcome::Executed { fee, .. } => (fee.0, true),
            Outcome::Rejected { fee, .. } => (fee.0, false),
        };
        self.logs.lock().unwrap().paid.push(Paid { from: self.account, to, amount, fee, executed });
    }
}
