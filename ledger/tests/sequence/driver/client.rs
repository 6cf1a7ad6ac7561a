//! What the clients remember between operations, from what they sent and what was answered.

use crate::common::{agent_key, key, operator};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::outcome::{DueEvent, Effect, Outcome};
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::records::{Declared, Duty, ListingKind, ProposalStatus};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{AccountId, AgentId, Hash, NodeId, ProposalId, Scope, TimeMs, TxId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Remembered of each sort of thing, at most; the oldest is forgotten.
const REMEMBERED: usize = 200;

/// An agent whose key the clients hold.
#[derive(Clone)]
pub struct Agent {
    pub id: AgentId,
    pub node: NodeId,
    pub key: SecretKey,
}

/// An escrow as its opener remembers it.
#[derive(Clone)]
pub struct Task {
    pub id: TxId,
    pub opener: AccountId,
    pub task: Hash,
    pub module: Hash,
    pub parts: u32,
}

/// An auction as its opener announces it.
#[derive(Clone)]
pub struct Lot {
    pub id: TxId,
    pub commit_until: TimeMs,
    pub reveal_until: TimeMs,
    pub max_price: u64,
}

/// A bid as its bidder remembers it.
#[derive(Clone)]
pub struct Bid {
    pub lot: Lot,
    pub who: SecretKey,
    pub price: u64,
    pub carbon_ug: u64,
    pub salt: Hash,
}

/// An offer as its seller remembers it.
#[derive(Clone)]
pub struct Offer {
    pub id: TxId,
    pub seller: AccountId,
    pub kind: ListingKind,
    pub content: Hash,
}

/// Everybody who sends.
pub struct Client {
    pub people: Vec<SecretKey>,
    pub of_account: BTreeMap<AccountId, usize>,
    pub context: ChainContext,
    pub tasks: Vec<Task>,
    pub proposals: Vec<ProposalId>,
    pub agents: Vec<Agent>,
    pub keys_used: u16,
    pub frozen: Vec<Scope>,
    pub schedules: Vec<(TxId, AccountId)>,
    pub bonded: Vec<(AccountId, Duty)>,
    pub savings: Vec<Hash>,
    pub creditors: Vec<AccountId>,
    pub offences: u64,
    pub declared: Vec<TxId>,
    pub contents: Vec<Hash>,
    pub bought: Vec<(Hash, AccountId)>,
    pub contributions: Vec<Hash>,
    /// What accounts said of themselves and nobody attested yet.
    pub declarations: Vec<(AccountId, Declared)>,
    pub claims: Vec<(TxId, u32, AccountId)>,
    /// Disputed claims with those of their panels who have not ruled.
    pub disputes: Vec<(TxId, u32, Vec<AccountId>)>,
    pub auctions: Vec<Lot>,
    pub bids: Vec<Bid>,
    /// Orders that nodes won, with their tasks.
    pub won: Vec<(Bid, Task)>,
    /// Who has quota.
    pub holders: Vec<AccountId>,
    /// Offers of quota with their owners.
    pub offers: Vec<(TxId, AccountId)>,
    /// Tasks of disaster response with their openers.
    pub disasters: Vec<(TxId, AccountId)>,
    /// The same of luxury and proof-of-work.
    pub luxuries: Vec<(TxId, AccountId)>,
    /// Contents with their owners.
    pub owned: Vec<(Hash, AccountId)>,
    pub listings: Vec<Offer>,
    /// Orders with their buyers.
    pub orders: Vec<(TxId, AccountId)>,
    /// Contents that are the modules of tasks.
    pub modules: Vec<Hash>,
    /// Orders of content with buyer and seller.
    pub deliveries: Vec<(TxId, AccountId, AccountId)>,
    /// Who signs for whom, where that is not the first key.
    pub policies: BTreeMap<AccountId, KeyPolicy>,
    pub now: TimeMs,
}

impl Client {
    pub fn new(people: Vec<SecretKey>, context: ChainContext) -> Self {
        let of_account = people.iter().enumerate().map(|(n, key)| (crate::common::id_of(key), n)).collect();
        Self {
            people,
            of_account,
            context,
            tasks: Vec::new(),
            proposals: Vec::new(),
            agents: Vec::new(),
            keys_used: 0,
            frozen: Vec::new(),
            schedules: Vec::new(),
            bonded: Vec::new(),
            savings: Vec::new(),
            creditors: Vec::new(),
            offences: 0,
            declared: Vec::new(),
            contents: Vec::new(),
            bought: Vec::new(),
            contributions: Vec::new(),
            declarations: Vec::new(),
            claims: Vec::new(),
            disputes: Vec::new(),
            auctions: Vec::new(),
            bids: Vec::new(),
            won: Vec::new(),
            holders: Vec::new(),
            offers: Vec::new(),
            disasters: Vec::new(),
            luxuries: Vec::new(),
            owned: Vec::new(),
            listings: Vec::new(),
            orders: Vec::new(),
            modules: Vec::new(),
            deliveries: Vec::new(),
            policies: BTreeMap::new(),
            now: TimeMs(0),
        }
    }

    pub fn anybody(&self, rng: &mut ChaCha8Rng) -> SecretKey {
        match rng.random_range(0..20) {
            0 => key(rng.random_range(1..=4)),
            1 => operator(),
            2..10 => self.people[rng.random_range(0..self.people.len() / 10) * 10].clone(),
            _ => self.people[rng.random_range(0..self.people.len())].clone(),
        }
    }

    pub fn owner(&self, id: &AccountId) -> Option<SecretKey> {
        self.of_account.get(id).map(|n| self.people[*n].clone())
    }

    /// The node's key signs as host; the nodes of the genesis have the keys 1 to 4.
    pub fn host_key(&self, node: NodeId) -> SecretKey {
        key(node.0 as u8)
    }

    /// What clients learn from the answer.
    pub fn sent(&mut self, tx: &Transaction, id: TxId, outcome: &Outcome) {
        let Outcome::Executed { effect, .. } = outcome else { return };
        self.traded(tx, id, effect);
        match (&tx.op, effect) {
            (Operation::EscrowOpen(op), _) => {
                let task = Task { id, opener: tx.account, task: op.task, module: op.module, parts: op.parts };
                remember(&mut self.tasks, task);
            }
            (Operation::RegisterHost(op), Effect::HostRegistered { node, first_agent, .. }) => {
                self.hosts_hold_quota();
                let from = self.keys_used - op.agents.len() as u16;
                for n in 0..op.agents.len() as u16 {
                    let id = AgentId(first_agent.unwrap().0 + u64::from(n));
                    remember(&mut self.agents, Agent { id, node: *node, key: agent_key(from + n) });
                }
            }
            (_, Effect::Proposed { proposal, .. }) => remember(&mut self.proposals, *proposal),
            (Operation::ClaimPart(_), Effect::PartClaimed { escrow, part, .. }) => {
                let opener = self.tasks.iter().find(|task| task.id == *escrow).map(|task| task.opener);
                remember(&mut self.claims, (*escrow, *part, opener.unwrap_or(tx.account)));
            }
            (_, Effect::ClaimDisputed { escrow, part, .. }) => {
                self.claims.retain(|(id, at, _)| (id, at) != (escrow, part));
            }
            (_, Effect::ClaimRuled { escrow, part, decided: true, .. }) => self.settled(escrow, *part),
            (_, Effect::ClaimRuled { escrow, part, .. }) => {
                let known = self.disputes.iter_mut().find(|(id, at, _)| (id, at) == (escrow, part));
                if let Some((_, _, panel)) = known {
                    panel.retain(|reviewer| *reviewer != tx.account);
                }
            }
            (Operation::DeclarePurpose(op), _) => {
                remember(&mut self.declared, op.escrow);
                match op.purpose {
                    Purpose::DisasterResponse => remember(&mut self.disasters, (op.escrow, tx.account)),
                    Purpose::Luxury | Purpose::ProofOfWork => remember(&mut self.luxuries, (op.escrow, tx.account)),
                    _ => {}
                }
            }
            (_, Effect::QuotaOffered { offer, .. }) => remember(&mut self.offers, (*offer, tx.account)),
            (_, Effect::QuotaTaken { offer, .. }) => {
                self.offers.retain(|(known, _)| known != offer);
                self.holds_quota(tx.account);
            }
            (_, Effect::QuotaWithdrawn { offer, .. }) => self.offers.retain(|(known, _)| known != offer),
            (Operation::OpenAuction(op), _) => self.auction_opened(id, tx.account, op),
            (_, Effect::Scheduled { schedule, .. }) => remember(&mut self.schedules, (*schedule, tx.account)),
            (_, Effect::Unscheduled { schedule, .. }) => self.schedules.retain(|(known, _)| known != schedule),
            (Operation::Bond(op), _) => remember(&mut self.bonded, (tx.account, op.duty)),
            (_, Effect::ContentRegistered { content, .. }) => remember(&mut self.contents, *content),
            (_, Effect::UseBought { content, .. }) => remember(&mut self.bought, (*content, tx.account)),
            (_, Effect::ContributionClaimed { evidence, .. }) => remember(&mut self.contributions, *evidence),
            (_, Effect::ContributionAttested { evidence, attestations: 2.., .. }) => {
                self.contributions.retain(|known| known != evidence);
            }
            (_, Effect::SavingClaimed { evidence, .. }) => remember(&mut self.savings, *evidence),
            (_, Effect::SavingAttested { evidence, issued_ug: 1.., .. }) => {
                self.savings.retain(|known| known != evidence);
            }
            (Operation::RotateKey(op), _) => self.rotated(tx.account, op),
            (Operation::TransferCredits(op), _) => remember(&mut self.creditors, op.to),
            (_, Effect::Frozen { scope, .. }) => remember(&mut self.frozen, *scope),
            _ => {}
        }
    }

    pub fn fell_due(&mut self, event: &DueEvent) {
        match event {
            DueEvent::EscrowRefunded { escrow, .. } => {
                self.tasks.retain(|task| task.id != *escrow);
                self.won.retain(|(_, task)| task.id != *escrow);
                self.deliveries.retain(|(order, ..)| order != escrow);
                self.disasters.retain(|(id, _)| id != escrow);
                self.luxuries.retain(|(id, _)| id != escrow);
            }
            DueEvent::AuctionClosed { auction, winner: Some(winner), .. } => self.node_won(auction, winner),
            DueEvent::Proposal { proposal, status } if *status != ProposalStatus::Succeeded => {
                self.proposals.retain(|known| known != proposal);
            }
            DueEvent::ClaimPaid { escrow, part, .. } => {
                self.claims.retain(|(id, at, _)| (id, at) != (escrow, part));
            }
            DueEvent::PanelDrawn { escrow, part, panel } => {
                remember(&mut self.disputes, (*escrow, *part, panel.clone()));
            }
            DueEvent::ClaimLapsed { escrow, part } => self.settled(escrow, *part),
            DueEvent::ListingEnded { listing, .. } => self.listings.retain(|offer| offer.id != *listing),
            DueEvent::FreezeEnded { scope } => self.frozen.retain(|known| known != scope),
            _ => {}
        }
    }

    /// What accounts said of themselves, and what came of it.
    pub fn said(&mut self, effect: &Effect) {
        match effect {
            Effect::Declared { account, what, in_force: false } => {
                self.declarations.retain(|(known, _)| known != account);
                remember(&mut self.declarations, (*account, *what));
            }
            Effect::Attested { account, what, in_force: true, .. } => {
                self.declarations.retain(|known| known != &(*account, *what));
            }
            _ => {}
        }
    }

    fn settled(&mut self, escrow: &TxId, part: u32) {
        self.disputes.retain(|(id, at, _)| (id, *at) != (escrow, part));
    }
}

pub fn remember<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= REMEMBERED {
        list.remove(0);
    }
    list.push(item);
}

/// One of those there are.
pub fn one<T: Clone>(list: &[T], rng: &mut ChaCha8Rng) -> Option<T> {
    if list.is_empty() { None } else { Some(list[rng.random_range(0..list.len())].clone()) }
}
