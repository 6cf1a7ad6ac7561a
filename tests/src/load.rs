//! Clients that pay each other without a pause and remember what they were told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{AccountId, TxId, Uftns};
use mesh30k_node::api::types::{HexBody, Status, TransactionRow};
use mesh30k_testnet::client::{ApiClient, ClientError};
use mesh30k_testnet::wallet::Wallet;

use crate::history::{Acknowledged, History, Payment};
use crate::wait::{Stopwatch, wait_until};

/// Payments of one client under way at a time.
const WINDOW: usize = 8;
/// How long a client waits for its oldest payment before it looks at all of them again.
const LOOK_MS: u64 = 250;
/// How long a client may find nobody to talk to: all nodes may be starting again.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the payments under way may take after the last one was sent; they are valid for a minute.
const DRAIN_MAX: Duration = Duration::from_secs(75);

/// One client: its wallet, whom it pays, and the nodes it talks to in order of preference.
pub struct Client {
    /// Signs; its own node is the first it talks to.
    pub wallet: Wallet,
    /// Is paid.
    pub to: AccountId,
    /// Asked one after the other when one is gone.
    pub nodes: Vec<ApiClient>,
    /// What a payment costs, by its weight.
    pub base_fee: Uftns,
}

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    settled: Arc<AtomicU64>,
    deaths: Arc<AtomicU64>,
    before: BTreeMap<AccountId, u64>,
    threads: Vec<JoinHandle<Vec<Payment>>>,
}

impl Load {
    /// Starts a thread for each client.
    ///
    /// # Panics
    /// When a client's account can't be read.
    #[must_use]
    pub fn start(clients: Vec<Client>) -> Self {
        let (stop, settled, deaths) = (Arc::<AtomicBool>::default(), Arc::default(), Arc::default());
        let rows: Vec<_> = clients.iter().map(|client| client.wallet.row().expect("the payer's account")).collect();
        let before = rows.iter().map(|row| (row.account, row.balance_uftns.0)).collect();
        let start = |(client, nonce): (Client, u64)| {
            let payer = Payer::new(client, nonce, Arc::clone(&settled), Arc::clone(&deaths));
            let stop = Arc::clone(&stop);
            thread::spawn(move || payer.run(&stop))
        };
        let threads = clients.into_iter().zip(rows.iter().map(|row| row.next_nonce)).map(start).collect();
        Self { stop, settled, deaths, before, threads }
    }

    /// Waits until so many more payments are final.
    ///
    /// # Panics
    /// When they are not within `within`.
    #[track_caller]
    pub fn wait_for_more(&self, payments: u64, within: Duration) {
        let goal = self.settled.load(Ordering::Relaxed) + payments;
        wait_until(&format!("{payments} more payments final"), within, || {
            let settled = self.settled.load(Ordering::Relaxed);
            if settled >= goal { Ok(()) } else { Err(format!("{} of them are", settled + payments - goal)) }
        });
    }

    /// To be told when nodes that clients talk to are dead and before they are started again: a client may not notice a
    /// node that is back at once, which owes nothing of what it only accepted.
    pub fn nodes_died(&self) {
        self.deaths.fetch_add(1, Ordering::SeqCst);
    }

    /// Lets the clients finish what is under way; what they were told.
    ///
    /// # Panics
    /// When a client did.
    #[must_use]
    pub fn finish(self) -> History {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.threads.into_iter().map(|thread| thread.join().expect("a client gave up"));
        History { payments: joined.flatten().collect(), before: self.before }
    }
}

/// A payment that is not final yet.
struct Open {
    index: usize,
    signed: SignedTransaction,
    /// In which session its node accepted it: a node that was lost meanwhile owes nothing, and it is sent again.
    accepted_in: Option<Session>,
}

/// How often a client had turned elsewhere, and how often nodes had died.
type Session = (u64, u64);

struct Payer {
    client: Client,
    node: usize,
    turns: u64,
    next_nonce: u64,
    open: VecDeque<Open>,
    payments: Vec<Payment>,
    settled: Arc<AtomicU64>,
    deaths: Arc<AtomicU64>,
}

impl Payer {
    fn new(client: Client, next_nonce: u64, settled: Arc<AtomicU64>, deaths: Arc<AtomicU64>) -> Self {
        Self { client, node: 0, turns: 0, next_nonce, open: VecDeque::new(), payments: Vec::new(), settled, deaths }
    }

    fn session(&self) -> Session {
        (self.turns, self.deaths.load(Ordering::SeqCst))
    }

    fn run(mut self, stop: &AtomicBool) -> Vec<Payment> {
        while !stop.load(Ordering::Relaxed) {
            while self.open.len() < WINDOW {
                self.pay();
            }
            self.look();
        }
        let drain = Stopwatch::start();
        while !self.open.is_empty() && drain.elapsed() < DRAIN_MAX {
            self.look();
        }
        self.payments
    }

    fn pay(&mut self) {
        // Amounts differ, so that one payment booked for another shows in the balances.
        let amount = 1 + self.next_nonce % 97;
        let transfer = Transfer { to: self.client.to, amount: Uftns(amount), memo: String::new() };
        let signed = self.client.wallet.sign(self.next_nonce, Operation::Transfer(transfer));
        self.next_nonce += 1;
        self.payments.push(Payment {
            id: signed.id(),
            from: self.client.wallet.account(),
            to: self.client.to,
            amount,
            fee: signed.tx.fee(self.client.base_fee).0,
            acknowledged: Acknowledged::Nothing,
            final_at: None,
            refusal: None,
        });
        self.open.push_back(Open { index: self.payments.len() - 1, signed, accepted_in: None });
        self.send(self.open.len() - 1);
    }

    fn send(&mut self, place: usize) {
        let session = self.session();
        let open = &mut self.open[place];
        let body = HexBody { hex: hex::encode(open.signed.to_bytes()) };
        match self.client.nodes[self.node].post::<_, TransactionRow>("/v1/transactions", &body) {
            Ok(_) => {
                open.accepted_in = Some(session);
                let payment = &mut self.payments[open.index];
                payment.acknowledged = payment.acknowledged.max(Acknowledged::Accepted);
                payment.refusal = None;
            }
            Err(ClientError::Refused(problem)) => self.payments[open.index].refusal = Some(problem.detail),
            Err(_) => self.turn_elsewhere(),
        }
    }

    /// Looks at everything under way; waits on the oldest when nothing moved.
    fn look(&mut self) {
        let mut moved = false;
        for place in 0..self.open.len() {
            let (id, session) = (self.open[place].signed.id(), self.session());
            let Some(row) = self.ask(&id, 0) else { return };
            moved |= self.note(place, &row);
            let is_owed = self.open[place].accepted_in == Some(session);
            let is_promised = self.payments[self.open[place].index].acknowledged >= Acknowledged::Ordered;
            if row.status == "unknown" && !is_owed && !is_promised {
                self.send(place);
            }
        }
        let payments = &self.payments;
        self.open.retain(|open| payments[open.index].acknowledged < Acknowledged::Final);
        if let Some(oldest) = self.open.front().filter(|_| !moved).map(|open| open.signed.id()) {
            let _ = self.ask(&oldest, LOOK_MS);
        }
    }

    fn ask(&mut self, id: &TxId, wait_ms: u64) -> Option<TransactionRow> {
        let row = self.client.nodes[self.node].get(&format!("/v1/transactions/{id}?wait_ms={wait_ms}"));
        if row.is_err() {
            self.turn_elsewhere();
        }
        row.ok()
    }

    /// Remembers what a node says of a payment; true when that is news.
    fn note(&mut self, place: usize, row: &TransactionRow) -> bool {
        let payment = &mut self.payments[self.open[place].index];
        let said = match row.status.as_str() {
            "final" => Acknowledged::Final,
            "ordered" => Acknowledged::Ordered,
            _ => Acknowledged::Nothing,
        };
        if said <= payment.acknowledged {
            return false;
        }
        payment.acknowledged = said;
        if said == Acknowledged::Final {
            payment.final_at = row.height;
            payment.refusal = row.outcome.clone().filter(|_| row.succeeded != Some(true));
            self.settled.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// The node is gone: the next one that answers.
    fn turn_elsewhere(&mut self) {
        self.turns += 1;
        let nodes = &self.client.nodes;
        self.node = wait_until("a client finds a node that answers", SILENCE_MAX, || {
            let turn = (1..=nodes.len()).map(|step| (self.node + step) % nodes.len());
            let answers = |node: &usize| nodes[*node].get::<Status>("/v1/status").is_ok();
            turn.into_iter().find(answers).ok_or_else(|| "none does".to_owned())
        });
    }
}
