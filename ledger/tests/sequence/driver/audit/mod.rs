//! The auditor: knows the genesis, what was sent, and whether it was taken or refused; from that alone it predicts every balance and
//! pool. It calls nothing of the ledger: the rules stand here a second time, in other words.

mod declared;
mod dividends;
mod market;
mod orders;
mod parts;
mod prices;
mod purposes;
mod quotas;
mod retirement;
mod royalties;
mod standing;
mod weights;

pub use declared::ALLOWANCE;
pub use dividends::QUARTER_MS;
pub use prices::{AGENT_STEP_UNITS, STEP_MS};
pub use quotas::{QUOTA_AGENT_UNITS, QUOTA_PERIOD_MS};
pub use retirement::RETIREMENT_PERIOD_MS;

use super::proposer;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::ops::{EscrowOpen, Operation, RegisterContent, TaskReport};
use mesh30k_ledger::outcome::DueEvent;
use mesh30k_ledger::records::{Contribution, Duty, ProposalStatus};
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{AccountId, Hash, ProposalId, Region, TimeMs, TxId};
use std::collections::{BTreeMap, BTreeSet};

const DEPOSIT: i128 = 1_000_000;
const TARGET_WEIGHT: i128 = 100;
const RATE_MIN: i128 = 1_000_000;
const RATE_MAX: i128 = 3_000_000;
const UNBONDING_MS: u64 = 30_000;
/// How long an offence locks out.
pub const JAIL_MS: u64 = 10_000;

#[derive(Default)]
struct Book {
    free: i128,
    staked: i128,
    listed: bool,
    /// Where it said last that it is.
    region: Option<Region>,
    credits: i128,
    retired: i128,
    /// Bonded, by duty.
    bonds: BTreeMap<Duty, i128>,
    /// On its way out: duty, amount, until.
    leaving: Vec<(Duty, i128, TimeMs)>,
}

struct Saving {
    account: AccountId,
    saved: i128,
    attested: u32,
}

struct Earned {
    account: AccountId,
    kind: Contribution,
    amount: i128,
    attested: u32,
}

struct Plan {
    from: AccountId,
    to: AccountId,
    amount: i128,
    left: i128,
}

struct Locked {
    opener: AccountId,
    amount: i128,
    reserve: i128,
    /// Whether its opener was in the access list then.
    listed: bool,
    open_parts: i128,
    released: BTreeSet<u32>,
}

/// What is claimed to be done.
#[derive(Clone)]
enum Work {
    Part(Box<TaskReport>),
    Delivery,
}

struct Claim {
    opener: AccountId,
    worker: AccountId,
    work: Work,
    bond: i128,
    rulings: [u32; 2],
}

struct Lot {
    opener: AccountId,
    max: i128,
    reserve: i128,
    listed: bool,
    /// Price and expected footprint, once opened.
    bids: BTreeMap<AccountId, Option<(i128, i128)>>,
    /// From the end of its phases to the deadline.
    work_ms: u64,
}

/// Books in plain integers.
pub struct Auditor {
    books: BTreeMap<AccountId, Book>,
    escrows: BTreeMap<TxId, Locked>,
    deposits: BTreeMap<ProposalId, AccountId>,
    plans: BTreeMap<TxId, Plan>,
    claims: BTreeMap<(TxId, u32), Claim>,
    lots: BTreeMap<TxId, Lot>,
    savings: BTreeMap<Hash, Saving>,
    earned: BTreeMap<Hash, Earned>,
    contents: BTreeMap<Hash, RegisterContent>,
    /// Day, and what each kind was paid in it.
    emitted: (u64, BTreeMap<Contribution, i128>),
    supply_cap: i128,
    proposals: u64,
    renewables: Vec<i128>,
    burned: i128,
    access_fund: i128,
    carbon_pool: i128,
    treasury: i128,
    minted: i128,
    /// Regions whose requesters get discounts.
    access_list: BTreeSet<Region>,
    /// Words on what an account declared, by sort.
    attested: BTreeMap<(AccountId, u8), u32>,
    /// Day, and what was taken off in it.
    discounted: BTreeMap<AccountId, (u64, i128)>,
    /// Until when validators are locked out.
    jailed: BTreeMap<AccountId, TimeMs>,
    /// Millionths of a uFTNS for a unit of weight.
    rate: i128,
    weight: i128,
    share: i128,
    now: TimeMs,
    dividends: dividends::Dividends,
    price: prices::Price,
    /// Day, units in it, units in the one before.
    volumes: BTreeMap<AccountId, (u64, i128, i128)>,
    quotas: quotas::Quotas,
    orders: orders::Orders,
    owed: BTreeMap<AccountId, retirement::Owed>,
    works: BTreeMap<Hash, royalties::Works>,
    /// Of tasks for which one was declared.
    purposes: BTreeMap<TxId, purposes::Declared>,
    standings: standing::Standings,
}

impl Auditor {
    pub fn new(genesis: &Genesis) -> Self {
        let listed =
            |region: &Option<Region>| region.is_some_and(|region| genesis.regions.access_list.contains(&region));
        let books: BTreeMap<AccountId, Book> = genesis
            .accounts
            .iter()
            .map(|entry| {
                let free = i128::from(entry.balance.0);
                let book = Book { free, listed: listed(&entry.region), ..Book::default() };
                (entry.policy.account(), book)
            })
            .collect();
        let (access_fund, carbon_pool) =
            (i128::from(genesis.pools.access_fund.0), i128::from(genesis.pools.carbon_pool.0));
        let treasury = i128::from(genesis.pools.treasury.0);
        let minted = books.values().map(|book| book.free).sum::<i128>() + access_fund + carbon_pool + treasury;
        let mut auditor = Self {
            books,
            escrows: BTreeMap::new(),
            deposits: BTreeMap::new(),
            plans: BTreeMap::new(),
            claims: BTreeMap::new(),
            lots: BTreeMap::new(),
            savings: BTreeMap::new(),
            earned: BTreeMap::new(),
            contents: BTreeMap::new(),
            emitted: (0, BTreeMap::new()),
            supply_cap: i128::from(genesis.supply_cap.0),
            proposals: 0,
            renewables: genesis.nodes.iter().map(|node| i128::from(node.renewable_ppm)).collect(),
            burned: 0,
            access_fund,
            carbon_pool,
            treasury,
            minted,
            access_list: genesis.regions.access_list.clone(),
            attested: BTreeMap::new(),
            discounted: BTreeMap::new(),
            jailed: BTreeMap::new(),
            rate: RATE_MIN,
            weight: 0,
            share: 0,
            now: TimeMs(0),
            dividends: dividends::Dividends::default(),
            price: prices::Price::new(genesis.time.0),
            volumes: BTreeMap::new(),
            quotas: quotas::Quotas::default(),
            orders: orders::Orders::default(),
            owed: BTreeMap::new(),
            works: BTreeMap::new(),
            purposes: BTreeMap::new(),
            standings: standing::Standings::default(),
        };
        auditor.quarters_begin(genesis.time);
        auditor
    }

    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.books.keys().copied()
    }

    pub fn account(&self, id: &AccountId) -> (i128, i128) {
        self.books.get(id).map_or((0, 0), |book| (book.free, book.staked))
    }

    pub fn credits(&self, id: &AccountId) -> (i128, i128) {
        self.books.get(id).map_or((0, 0), |book| (book.credits, book.retired))
    }

    /// Burned, access fund, carbon pool, treasury, minted, owed as dividends.
    pub fn pools(&self) -> [i128; 6] {
        [self.burned, self.access_fund, self.carbon_pool, self.treasury, self.minted, self.unpaid_dividends()]
    }

    pub fn credit(&mut self, id: AccountId, amount: i128) {
        self.dividends.touched.insert(id);
        self.books.entry(id).or_default().free += amount;
    }

    pub(super) fn debit(&mut self, id: AccountId, amount: i128) {
        self.credit(id, -amount);
        assert!(self.books[&id].free >= 0, "audit: {id} was let to spend what it does not have");
    }

    pub fn begin(&mut self, now: TimeMs) {
        (self.now, self.weight, self.share) = (now, 0, 0);
        self.keep_opening();
    }

    pub fn end(&mut self, dividends: &[&DueEvent]) {
        let share = self.share;
        if self.jailed.get(&proposer()).is_some_and(|until| self.now < *until) {
            self.treasury += share;
        } else if share > 0 {
            self.credit(proposer(), share);
        }
        for event in dividends {
            if let DueEvent::DividendPaid { account, .. } = event {
                self.paid_dividend(*account);
            }
        }
        self.note_lows();
        let apart = self.weight.min(2 * TARGET_WEIGHT) - TARGET_WEIGHT;
        let step = self.rate * apart.abs() / (8 * TARGET_WEIGHT);
        self.rate = (self.rate + step * apart.signum()).clamp(RATE_MIN, RATE_MAX);
    }

    pub fn fell_due(&mut self, event: &DueEvent) {
        match event {
            DueEvent::EscrowRefunded { escrow, .. } => {
                let locked = self.escrows.remove(escrow).expect("audit: an unknown escrow was refunded");
                self.credit(locked.opener, locked.open_parts * (locked.amount + locked.reserve));
                self.quota_freed(locked.opener, *escrow);
                self.never_served(escrow);
            }
            DueEvent::Proposal { proposal, status } => self.proposal(*proposal, *status),
            DueEvent::FreezeEnded { scope } => self.thawed(scope),
            DueEvent::SchedulePaid { schedule, .. } => {
                let plan = self.plans.get_mut(schedule).expect("audit: an unknown schedule paid");
                plan.left -= 1;
                assert!(plan.left >= 0, "audit: a schedule paid too often");
                let (to, amount) = (plan.to, plan.amount);
                self.credit(to, amount);
            }
            DueEvent::Unbonded { account, .. } => self.unbonded(*account),
            DueEvent::ClaimPaid { escrow, part, .. } => self.claim_stands(*escrow, *part),
            DueEvent::ClaimLapsed { escrow, part } => self.claim_falls(*escrow, *part, false),
            DueEvent::AuctionClosed { auction, winner, .. } => self.auctioned(*auction, *winner),
            DueEvent::PanelDrawn { .. } | DueEvent::DividendPaid { .. } => {}
            DueEvent::QuarterEnded { .. } | DueEvent::DividendLapsed { .. } => self.quarter(event),
            DueEvent::ListingEnded { .. } => self.listing_fell_due(event),
            DueEvent::QuotaReturned { .. } | DueEvent::QuotaDrawEnded { .. } => self.quota_fell_due(event),
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
        let weight = 10 + weights::weight(&tx.op);
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
            Operation::EscrowRelease(op) => self.settle(op.escrow, &op.receipt.report),
            Operation::Propose(_) => {
                self.debit(tx.account, DEPOSIT);
                self.proposals += 1;
                self.deposits.insert(ProposalId(self.proposals), tx.account);
            }
            Operation::RegisterHost(op) => {
                self.agents_came(op.agents.len());
                self.quota_came(tx.account, &op.agents);
            }
            Operation::Vote(_) => {}
            Operation::Freeze(op) => self.froze(op.scope),
            Operation::Thaw(op) => self.thawed(&op.scope),
            _ => self.carried_out_later(tx, id),
        }
    }

    fn carried_out_later(&mut self, tx: &Transaction, id: TxId) {
        match &tx.op {
            Operation::Schedule(op) => {
                let (amount, left) = (i128::from(op.amount.0), i128::from(op.times));
                self.debit(tx.account, amount * left);
                self.plans.insert(id, Plan { from: tx.account, to: op.to, amount, left });
            }
            Operation::Unschedule(op) => {
                let plan = self.plans.remove(&op.schedule).expect("audit: an unknown schedule was called off");
                assert_eq!(plan.from, tx.account, "audit: a stranger called off a schedule");
                self.credit(plan.from, plan.amount * plan.left);
            }
            Operation::Bond(op) => self.bond(tx.account, op.duty, i128::from(op.amount.0)),
            Operation::Unbond(op) => self.unbond(tx.account, op.duty, i128::from(op.amount.0)),
            Operation::ProveEquivocation(op) => {
                let offender = crate::common::id_of(&crate::common::key(op.first.vote.validator.0 as u8));
                self.slash(offender, Duty::Validator, tx.account);
                self.judged(offender, standing::TWO_VOTES);
                let now = self.now;
                let until = self.jailed.entry(offender).or_insert(now);
                *until = (*until).max(now).plus_ms(JAIL_MS);
            }
            Operation::Declare(op) => self.said_of_itself(tx.account, op.what),
            Operation::Attest(op) => self.word_on(op.account, op.what),
            Operation::ClaimSaving(op) => {
                let saved = i128::from(op.baseline_ug) - i128::from(op.actual_ug);
                assert!(saved > 0, "audit: nothing was saved");
                self.savings.insert(op.evidence, Saving { account: tx.account, saved, attested: 0 });
            }
            Operation::AttestSaving(op) => {
                let saving = self.savings.get_mut(&op.evidence).expect("audit: an unknown saving was attested");
                saving.attested += 1;
                assert!(saving.attested <= 2, "audit: a saving was attested again");
                if saving.attested == 2 {
                    let (account, saved) = (saving.account, saving.saved);
                    self.books.entry(account).or_default().credits += saved;
                }
            }
            Operation::TransferCredits(op) => {
                self.take_credits(tx.account, op.amount_ug);
                self.books.entry(op.to).or_default().credits += i128::from(op.amount_ug);
            }
            Operation::RetireCredits(op) => {
                self.take_credits(tx.account, op.amount_ug);
                self.books.entry(tx.account).or_default().retired += i128::from(op.amount_ug);
            }
            _ => self.traded(tx, id),
        }
    }

    fn take_credits(&mut self, from: AccountId, amount_ug: u64) {
        let book = self.books.entry(from).or_default();
        book.credits -= i128::from(amount_ug);
        assert!(book.credits >= 0, "audit: {from} was let to use credits it does not have");
    }

    fn bond(&mut self, id: AccountId, duty: Duty, amount: i128) {
        self.debit(id, amount);
        self.dividends.touched.insert(id);
        let book = self.books.entry(id).or_default();
        book.staked += amount;
        *book.bonds.entry(duty).or_default() += amount;
    }

    fn unbond(&mut self, id: AccountId, duty: Duty, amount: i128) {
        let until = self.now.plus_ms(UNBONDING_MS);
        let book = self.books.entry(id).or_default();
        *book.bonds.entry(duty).or_default() -= amount;
        assert!(book.bonds[&duty] >= 0, "audit: {id} was let to unbond what it has not bonded");
        book.leaving.push((duty, amount, until));
    }

    fn unbonded(&mut self, id: AccountId) {
        let now = self.now;
        self.dividends.touched.insert(id);
        let book = self.books.entry(id).or_default();
        let freed: i128 = book.leaving.iter().filter(|(_, _, until)| *until <= now).map(|(_, amount, _)| amount).sum();
        book.leaving.retain(|(_, _, until)| *until > now);
        book.staked -= freed;
        book.free += freed;
    }

    /// A tenth of what answers for the duty, rounded up: bonded first, then on its way out; a twentieth of it to whoever proved it.
    pub(super) fn slash(&mut self, offender: AccountId, duty: Duty, prover: AccountId) {
        self.dividends.touched.insert(offender);
        let book = self.books.entry(offender).or_default();
        let leaving: i128 = book.leaving.iter().filter(|part| part.0 == duty).map(|part| part.1).sum();
        let answering = book.bonds.get(&duty).copied().unwrap_or(0) + leaving;
        let taken = (answering + 9) / 10;
        let mut wanted = taken;
        let bonded = book.bonds.entry(duty).or_default();
        let own = wanted.min(*bonded);
        *bonded -= own;
        wanted -= own;
        for part in book.leaving.iter_mut().filter(|part| part.0 == duty) {
            let own = wanted.min(part.1);
            part.1 -= own;
            wanted -= own;
        }
        book.staked -= taken;
        let reward = if prover == offender { 0 } else { taken / 20 };
        self.credit(prover, reward);
        self.burned += taken - reward;
    }

    fn pay(&mut self, from: AccountId, to: AccountId, amount: u64) {
        self.debit(from, i128::from(amount));
        self.credit(to, i128::from(amount));
    }

    fn open(&mut self, opener: AccountId, id: TxId, op: &EscrowOpen) {
        let (amount, reserve) = (i128::from(op.amount_per_part.0), i128::from(op.reserve_per_part.0));
        let open_parts = i128::from(op.parts);
        self.debit(opener, open_parts * (amount + reserve));
        let listed = self.books[&opener].listed;
        self.escrows.insert(id, Locked { opener, amount, reserve, listed, open_parts, released: BTreeSet::new() });
    }
}
