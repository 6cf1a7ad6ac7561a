//! The auditor: knows the genesis, what was sent, and whether it was taken or refused; from that alone it predicts every balance and
//! pool. It calls nothing of the ledger: the rules stand here a second time, in other words.

use super::proposer;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::ops::{EscrowOpen, EscrowRelease, Operation};
use mesh30k_ledger::outcome::DueEvent;
use mesh30k_ledger::records::ProposalStatus;
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{AccountId, ProposalId, Region, TimeMs, TxId};
use std::collections::BTreeMap;

const DEPOSIT: i128 = 1_000_000;
const TARGET_WEIGHT: i128 = 100;
const RATE_MIN: i128 = 1_000_000;
const RATE_MAX: i128 = 3_000_000;

#[derive(Default)]
struct Book {
    free: i128,
    staked: i128,
    listed: bool,
}

struct Locked {
    opener: AccountId,
    amount: i128,
    reserve: i128,
    open_parts: i128,
}

/// Books in plain integers.
pub struct Auditor {
    books: BTreeMap<AccountId, Book>,
    escrows: BTreeMap<TxId, Locked>,
    deposits: BTreeMap<ProposalId, AccountId>,
    proposals: u64,
    renewables: Vec<i128>,
    burned: i128,
    access_fund: i128,
    carbon_pool: i128,
    treasury: i128,
    minted: i128,
    /// Millionths of a uFTNS for a unit of weight.
    rate: i128,
    weight: i128,
    share: i128,
    now: TimeMs,
}

impl Auditor {
    pub fn new(genesis: &Genesis) -> Self {
        let listed =
            |region: &Option<Region>| region.is_some_and(|region| genesis.regions.access_list.contains(&region));
        let books: BTreeMap<AccountId, Book> = genesis
            .accounts
            .iter()
            .map(|entry| {
                let book = Book { free: i128::from(entry.balance.0), staked: 0, listed: listed(&entry.region) };
                (entry.policy.account(), book)
            })
            .collect();
        let (access_fund, carbon_pool) =
            (i128::from(genesis.pools.access_fund.0), i128::from(genesis.pools.carbon_pool.0));
        let treasury = i128::from(genesis.pools.treasury.0);
        let minted = books.values().map(|book| book.free).sum::<i128>() + access_fund + carbon_pool + treasury;
        Self {
            books,
            escrows: BTreeMap::new(),
            deposits: BTreeMap::new(),
            proposals: 0,
            renewables: genesis.nodes.iter().map(|node| i128::from(node.renewable_ppm)).collect(),
            burned: 0,
            access_fund,
            carbon_pool,
            treasury,
            minted,
            rate: RATE_MIN,
            weight: 0,
            share: 0,
            now: TimeMs(0),
        }
    }

    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.books.keys().copied()
    }

    pub fn account(&self, id: &AccountId) -> (i128, i128) {
        self.books.get(id).map_or((0, 0), |book| (book.free, book.staked))
    }

    /// Burned, access fund, carbon pool, treasury, minted.
    pub fn pools(&self) -> [i128; 5] {
        [self.burned, self.access_fund, self.carbon_pool, self.treasury, self.minted]
    }

    pub fn credit(&mut self, id: AccountId, amount: i128) {
        self.books.entry(id).or_default().free += amount;
    }

    fn debit(&mut self, id: AccountId, amount: i128) {
        self.credit(id, -amount);
        assert!(self.books[&id].free >= 0, "audit: {id} was let to spend what it does not have");
    }

    pub fn begin(&mut self, now: TimeMs) {
        (self.now, self.weight, self.share) = (now, 0, 0);
    }

    pub fn end(&mut self) {
        let share = self.share;
        self.credit(proposer(), share);
        let apart = self.weight.min(2 * TARGET_WEIGHT) - TARGET_WEIGHT;
        let step = self.rate * apart.abs() / (8 * TARGET_WEIGHT);
        self.rate = (self.rate + step * apart.signum()).clamp(RATE_MIN, RATE_MAX);
    }

    pub fn fell_due(&mut self, event: &DueEvent) {
        match event {
            DueEvent::EscrowRefunded { escrow, .. } => {
                let locked = self.escrows.remove(escrow).expect("audit: an unknown escrow was refunded");
                self.credit(locked.opener, locked.open_parts * (locked.amount + locked.reserve));
            }
            DueEvent::Proposal { proposal, status } => self.proposal(*proposal, *status),
            DueEvent::FreezeEnded { .. } => {}
        }
    }

    fn proposal(&mut self, id: ProposalId, status: ProposalStatus) {
        let counted = [ProposalStatus::Defeated, ProposalStatus::Succeeded, ProposalStatus::Vetoed];
        if !counted.contains(&status) {
            return;
        }
        let proposer = self.deposits.remove(&id).expect("audit: an unknown proposal was counted");
        if status == ProposalStatus::Vetoed {
            self.treasury += DEPOSIT;
        } else {
            self.credit(proposer, DEPOSIT);
        }
    }

    pub fn sent(&mut self, tx: &Transaction, id: TxId, executed: bool) {
        self.fee(tx);
        if executed {
            self.carried_out(tx, id);
        }
    }

    fn fee(&mut self, tx: &Transaction) {
        let weight = 10 + weight(&tx.op);
        self.weight += weight;
        let fee = (self.rate * weight + 999_999) / 1_000_000;
        let paid = fee.min(self.account(&tx.account).0);
        self.debit(tx.account, paid);
        self.share += paid / 2;
        self.burned += paid - paid / 2;
    }

    fn carried_out(&mut self, tx: &Transaction, id: TxId) {
        match &tx.op {
            Operation::Transfer(op) => self.pay(tx.account, op.to, op.amount.0),
            Operation::BatchTransfer(op) => {
                for item in &op.transfers {
                    self.pay(tx.account, item.to, item.amount.0);
                }
            }
            Operation::EscrowOpen(op) => self.open(tx.account, id, op),
            Operation::EscrowRelease(op) => self.release(op),
            Operation::Propose(_) => {
                self.debit(tx.account, DEPOSIT);
                self.proposals += 1;
                self.deposits.insert(ProposalId(self.proposals), tx.account);
            }
            Operation::RegisterHost(_) | Operation::Vote(_) | Operation::Freeze(_) | Operation::Thaw(_) => {}
        }
    }

    fn pay(&mut self, from: AccountId, to: AccountId, amount: u64) {
        self.debit(from, i128::from(amount));
        self.credit(to, i128::from(amount));
    }

    fn open(&mut self, opener: AccountId, id: TxId, op: &EscrowOpen) {
        let (amount, reserve) = (i128::from(op.amount_per_part.0), i128::from(op.reserve_per_part.0));
        let open_parts = i128::from(op.parts);
        self.debit(opener, open_parts * (amount + reserve));
        self.escrows.insert(id, Locked { opener, amount, reserve, open_parts });
    }

    /// 1,000 uFTNS for a million fuel, 100,000 uFTNS for a gram, 20 % premium, 30 % access, 15 % for wholly renewable.
    fn release(&mut self, op: &EscrowRelease) {
        let report = &op.receipt.report;
        let locked = self.escrows.get_mut(&op.escrow).expect("audit: an unknown escrow was released");
        let (opener, limit, most) = (locked.opener, locked.amount + locked.reserve, locked.amount);
        locked.open_parts -= 1;
        let host = usize::try_from(report.host.0 - 1).unwrap();
        assert!(i128::from(report.renewable_ppm) <= self.renewables[host], "audit: more renewable than attested");
        let up = |of: i128, by: i128| (of + by - 1) / by;
        let units = up(i128::from(report.fuel), 1_000_000).max(1);
        let base = (units * 1_000).min(most);
        let rest = 1_000_000 - i128::from(report.renewable_ppm);
        let grid = i128::from(report.energy_mj) * i128::from(report.intensity_mg_per_kwh);
        let footprint_ug = up(grid * rest, 3_600_000 * 1_000_000);
        let carbon = up(footprint_ug * 100_000, 1_000_000);
        let listed = self.books[&opener].listed;
        let discount = if listed { (base * 300_000 / 1_000_000).min(self.access_fund) } else { 0 };
        let green_ppm = 150_000 * i128::from(report.renewable_ppm) / 1_000_000;
        let green = (base * green_ppm / 1_000_000).min(self.carbon_pool).min(base - discount);
        let room = limit + discount + green - base;
        let carbon = carbon.min(room);
        let premium = if listed { 0 } else { up(base * 200_000, 1_000_000).min(room - carbon) };
        self.access_fund += premium - discount;
        self.carbon_pool += carbon - green;
        let worker = crate::common::id_of(&crate::common::key(report.host.0 as u8));
        self.credit(worker, base);
        self.credit(opener, limit - (base + carbon + premium - discount - green));
    }
}

/// What each kind costs beyond the ten of its envelope, as the book has it.
fn weight(op: &Operation) -> i128 {
    match op {
        Operation::Transfer(_) | Operation::Vote(_) | Operation::Freeze(_) | Operation::Thaw(_) => 5,
        Operation::BatchTransfer(batch) => 3 * batch.transfers.len() as i128,
        Operation::EscrowOpen(_) => 10,
        Operation::EscrowRelease(_) => 30,
        Operation::RegisterHost(batch) => 10 + 3 * batch.agents.len() as i128,
        Operation::Propose(_) => 50,
    }
}
