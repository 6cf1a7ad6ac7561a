//! Sends random operations, checks what must hold after each, and lets the auditor follow.

mod audit;
mod client;
mod copies;
mod coverage;
mod draw;
mod keys;
mod later;
mod market;
mod orders;
mod quotas;

use crate::common::{FOREVER, id_of, key};
use audit::Auditor;
use client::Client;
use coverage::{COMPLETE_AFTER, Coverage};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::execute::{SignatureOracle, execute_with};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount};
use mesh30k_ledger::invariants;
use mesh30k_ledger::journal;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey, Signature};
use mesh30k_ledger::ops::{Capabilities, Operation};
use mesh30k_ledger::outcome::{DueEvent, Outcome};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{QuotaRecord, Totals};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::MemoryState;
use mesh30k_ledger::transaction::{KeyedSignature, SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, Epoch, Hash, NodeId, Round, TimeMs, Uftns};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Accounts of people; validators and the operator come on top.
pub const PEOPLE: usize = 1_000;
/// Most accounts are worth little, so that running dry is ordinary.
const RICH_EVERY: usize = 10;

/// Says yes: signatures of transactions have tests of their own, and a million of them would take minutes.
struct Trusting;

impl SignatureOracle for Trusting {
    fn verify(&self, _: &PublicKey, _: &Hash, _: &Signature) -> bool {
        true
    }
    fn first_invalid(&self, _: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        None
    }
}

/// A chain, its clients, and their auditor.
pub struct Driver {
    state: MemoryState,
    context: ChainContext,
    validators: Hash,
    rng: ChaCha8Rng,
    client: Client,
    auditor: Auditor,
    figures: BTreeMap<&'static str, (u64, u64)>,
    coverage: Coverage,
    last: Option<Header>,
    journal: Option<String>,
}

/// An operation and who sends it.
pub struct Draft {
    pub from: SecretKey,
    pub op: Operation,
}

pub fn person(n: usize) -> SecretKey {
    SecretKey::from_seed(Hash::of(format!("person {n}").as_bytes()).0)
}

fn genesis() -> Genesis {
    let mut genesis = crate::common::genesis();
    for n in 0..PEOPLE {
        let balance = if n % RICH_EVERY == 0 { Uftns::ftns(300) } else { Uftns(200_000 + 7 * n as u64) };
        let place = ["KE", "DE", "BD"][n % 3];
        genesis.accounts.push(GenesisAccount {
            policy: KeyPolicy::single(person(n).public()),
            balance,
            region: (n % 4 != 0).then(|| place.parse().unwrap()),
        });
    }
    // Small enough that single transactions move the fee.
    genesis.parameters.0.insert(Parameter::TargetBlockWeight, 100);
    genesis.parameters.0.insert(Parameter::BaseFeeMax, 3);
    for (parameter, value) in [
        (Parameter::UnbondingMs, 30_000),
        (Parameter::JailMs, audit::JAIL_MS),
        (Parameter::AccessAllowance, audit::ALLOWANCE),
        (Parameter::ChallengeMs, 3_000),
        (Parameter::RulingMs, 12_000),
        (Parameter::DisputeBond, 10_001),
        (Parameter::BidBond, 5_001),
        (Parameter::PriceStepMs, audit::STEP_MS),
        (Parameter::AgentStepUnits, audit::AGENT_STEP_UNITS),
        (Parameter::VolumeUnits, 1_000),
        (Parameter::DividendQuarterMs, audit::QUARTER_MS),
        (Parameter::QuotaPeriodMs, audit::QUOTA_PERIOD_MS),
        (Parameter::QuotaAgentUnits, audit::QUOTA_AGENT_UNITS),
        (Parameter::RetirementPeriodMs, audit::RETIREMENT_PERIOD_MS),
        // A million steps are about six days: small enough that shares run out.
        (Parameter::EmissionPerPeriod, 20_000_000),
    ] {
        genesis.parameters.0.insert(parameter, value);
    }
    genesis
}

impl Driver {
    pub fn new(seed: u64) -> Self {
        let genesis = genesis();
        let mut state = MemoryState::new();
        state.apply(genesis.initial_changes().unwrap());
        let people: Vec<SecretKey> = (0..PEOPLE).map(person).collect();
        Self {
            auditor: Auditor::new(&genesis),
            context: genesis.context(),
            validators: genesis.validators.hash(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            client: Client::new(people, genesis.context()),
            figures: BTreeMap::new(),
            coverage: Coverage::default(),
            last: None,
            journal: None,
            state,
        }
    }

    /// Goes so many steps; looks at every record, and at copies of the state that went
    /// every way there is, each `full_every` steps and at the end. A run of [`COMPLETE_AFTER`] steps or more
    /// must reach everything there is.
    ///
    /// # Panics
    /// At the first step after which something does not hold.
    pub fn run(&mut self, steps: u64, full_every: u64, mut progress: impl FnMut(u64)) {
        for step in 1..=steps {
            self.step();
            if step % full_every == 0 || step == steps {
                invariants::check(&self.state).unwrap_or_else(|breach| panic!("step {step}: {breach}"));
                let all: Vec<AccountId> = self.auditor.accounts().collect();
                self.compare_standing(&all, step);
                self.compare(all, step);
                copies::check(&self.state, self.last.as_ref().unwrap());
                progress(step);
            }
        }
        let missing = self.coverage.missing();
        assert!(steps < COMPLETE_AFTER || missing.is_empty(), "never reached in {steps} steps: {missing:?}");
    }

    /// One block: mostly of one operation, so that what must hold is checked after every single one.
    fn step(&mut self) {
        let tip = query::tip(&self.state).unwrap();
        let after_ms =
            if self.rng.random_ratio(1, 50) { self.rng.random_range(1..9_000) } else { self.rng.random_range(1..400) };
        let now = tip.time.plus_ms(after_ms);
        let count = if self.rng.random_ratio(1, 20) { self.rng.random_range(0..6) } else { 1 };
        let (mut signed, mut senders) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let draft = self.client.draw(&mut self.rng, now);
            let from = id_of(&draft.from);
            // One transaction each and block: nonces need no bookkeeping.
            if !senders.contains(&from) && query::account(&self.state, &from).unwrap().is_some() {
                senders.push(from);
                signed.push(self.sign(&draft));
            }
        }
        let block = self.block(now, signed);
        let execution = execute_with(&self.state, &block, &Trusting).unwrap();
        invariants::check_step(&self.state, &execution.changes)
            .unwrap_or_else(|breach| panic!("block {}: {breach}", block.header.height));
        self.auditor.begin(now);
        for event in &execution.due {
            self.coverage.fell_due(event);
        }
        let (at_end, at_begin): (Vec<_>, Vec<_>) =
            execution.due.iter().partition(|event| matches!(event, DueEvent::DividendPaid { .. }));
        for event in at_begin {
            self.auditor.fell_due(event);
            self.client.fell_due(event);
        }
        for ((signed, outcome), id) in block.transactions.iter().zip(&execution.outcomes).zip(&execution.transactions) {
            assert!(!outcome.sentence().is_empty() && !outcome.sentence().contains('\n'), "{outcome:?}");
            self.auditor.sent(&signed.tx, *id, outcome.is_executed());
            self.client.sent(&signed.tx, *id, outcome);
            if let Outcome::Executed { effect, .. } = outcome {
                self.coverage.carried_out(effect);
            }
            let figures = self.figures.entry(signed.tx.op.name()).or_default();
            if outcome.is_executed() { figures.0 += 1 } else { figures.1 += 1 }
        }
        self.auditor.end(&at_end);
        for label in self.auditor.reached() {
            self.coverage.learned(label);
        }
        let touched: Vec<AccountId> = execution
            .changes
            .keys()
            .filter_map(|key| Some(AccountId(key.strip_prefix(b"a")?.try_into().ok()?)))
            .collect();
        for id in &touched {
            assert_eq!(self.auditor.owed(id), 0, "audit of {id}: touched and still owed a dividend");
        }
        if let Some(journal) = &mut self.journal {
            journal.push_str(&journal::block(&self.state, &execution.changes).unwrap().unwrap_or_default());
        }
        let lenders = execution.changes.keys().filter_map(|key| key.strip_prefix(b"cQ")?.first_chunk()).copied();
        let lenders: Vec<AccountId> = lenders.map(AccountId).collect();
        let judged = execution.changes.keys().filter_map(|key| {
            key.strip_prefix(b"cR").or_else(|| key.strip_prefix(b"cP"))?.try_into().ok().map(AccountId)
        });
        let judged: Vec<AccountId> = judged.collect();
        let contents = execution.changes.keys().filter_map(|key| key.strip_prefix(b"co")?.try_into().ok().map(Hash));
        let contents: Vec<Hash> = contents.collect();
        self.state.apply(execution.changes);
        self.last = Some(block.header);
        self.compare_standing(&judged, block.header.height.0);
        self.compare_impact(&contents, block.header.height.0);
        self.compare(touched, block.header.height.0);
        self.compare(lenders, block.header.height.0);
    }

    fn compare(&self, accounts: Vec<AccountId>, step: u64) {
        for id in accounts {
            let account = query::account(&self.state, &id).unwrap().unwrap_or_default();
            let found = (i128::from(account.balance.0), i128::from(account.stake.0));
            let predicted = self.auditor.account(&id);
            assert_eq!(found, predicted, "audit of {id} at {step}: found, predicted (free, staked)");
            let credits = query::credits(&self.state, &id).unwrap().unwrap_or_default();
            let found = (i128::from(credits.held_ug), i128::from(credits.retired_ug));
            assert_eq!(found, self.auditor.credits(&id), "audit of {id} at {step}: credits (held, retired)");
            let owed = query::retirement(&self.state, &id).unwrap().unwrap_or_default();
            let found = [owed.accrued_ug, owed.due_ug, owed.counted_ug, owed.paid_ug].map(i128::from);
            assert_eq!(found, self.auditor.owed_credits(&id), "audit of {id} at {step}: credits that are owed");
            self.compare_quota(&id, step);
        }
        let totals = query::totals(&self.state).unwrap();
        let found =
            [totals.burned, totals.access_fund, totals.carbon_pool, totals.treasury, totals.minted, totals.dividends];
        assert_eq!(found.map(|sum| i128::from(sum.0)), self.auditor.pools(), "audit of the pools at {step}");
    }

    fn compare_standing(&self, accounts: &[AccountId], step: u64) {
        let now = query::tip(&self.state).unwrap().time;
        for id in accounts {
            let score = query::reputation(&self.state, id).unwrap().map_or(500, |record| record.score_at(now));
            let calibration = query::calibration(&self.state, id).unwrap();
            let confidence = calibration.map_or(500_000, |record| record.confidence_at(now));
            let found = (i128::from(score), i128::from(confidence));
            assert_eq!(found, self.auditor.standing(id), "audit of {id} at {step}: reputation and confidence");
        }
    }

    fn compare_impact(&self, contents: &[Hash], step: u64) {
        for id in contents {
            let record = query::content(&self.state, id).unwrap().unwrap();
            let counts = [record.uses, record.downloads, record.cited].map(i128::from);
            let scores = [record.impact.uses, record.impact.downloads, record.impact.citations].map(i128::from);
            assert_eq!((counts, scores), self.auditor.impact_of(id), "audit of {id} at {step}: impact by kind");
        }
    }

    fn compare_quota(&self, id: &AccountId, step: u64) {
        let quota = query::quota(&self.state, id, Capabilities::COMPUTE).unwrap().unwrap_or_default();
        let QuotaRecord { allocated, borrowed, lent, offered, drawn, yielded, .. } = quota;
        let found = [allocated, borrowed, lent, offered, drawn, yielded, quota.reserved_units()].map(i128::from);
        assert_eq!(found, self.auditor.quota(id), "audit of {id} at {step}: quota");
        let now = query::tip(&self.state).unwrap().time;
        if quota.period == now.0 / audit::QUOTA_PERIOD_MS {
            assert_eq!(i128::from(quota.free()), self.auditor.quota_free(id), "audit of {id} at {step}: free quota");
        }
    }

    fn sign(&self, draft: &Draft) -> SignedTransaction {
        let account = id_of(&draft.from);
        let nonce = query::next_nonce(&self.state, &account).unwrap();
        let tx = Transaction::new(&self.context, account, nonce, FOREVER, Uftns::ftns(1), draft.op.clone());
        let signature = Signature([0; 64]);
        let keys = self.client.signing_keys(&draft.from);
        let signatures = keys.into_iter().map(|key| KeyedSignature { key, signature }).collect();
        SignedTransaction { tx, signatures, sponsor_signatures: Vec::new(), policy: None }
    }

    fn block(&self, time: TimeMs, transactions: Vec<SignedTransaction>) -> Block {
        let tip = query::tip(&self.state).unwrap();
        let mut header = Header {
            chain: self.context.chain,
            epoch: Epoch(0),
            round: Round(0),
            height: tip.height.next(),
            parent: tip.block,
            tx_root: Hash::ZERO,
            parent_state_root: tip.state_root,
            next_validators_hash: self.validators,
            time,
            term: 1,
            proposer: NodeId(1),
            reset: None,
        };
        header.tx_root = Block::transactions_root(&transactions);
        Block { header, transactions, proposer_signature: Signature([0; 64]) }
    }

    /// Writes a journal from now on.
    pub fn keep_journal(&mut self) {
        self.journal = Some(journal::opening(&self.state).unwrap());
    }

    /// The journal so far.
    pub fn journal(&self) -> &str {
        self.journal.as_deref().unwrap_or_default()
    }

    /// What the ledger says of an account: free, staked.
    #[allow(dead_code, reason = "for the test of the journal")]
    pub fn account(&self, id: &AccountId) -> (u64, u64) {
        let account = query::account(&self.state, id).unwrap().unwrap_or_default();
        (account.balance.0, account.stake.0)
    }

    /// What the ledger says in sum.
    #[allow(dead_code, reason = "for the test with hledger")]
    pub fn totals(&self) -> Totals {
        query::totals(&self.state).unwrap()
    }

    /// Kind, carried out, rejected.
    pub fn figures(&self) -> Vec<(&'static str, u64, u64)> {
        self.figures.iter().map(|(kind, (executed, rejected))| (*kind, *executed, *rejected)).collect()
    }

    /// What came of it, and how often.
    #[allow(dead_code, reason = "for the example")]
    pub fn reached(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.coverage.figures()
    }

    pub fn state_root(&self) -> Hash {
        query::tip(&self.state).unwrap().state_root
    }

    /// Gives somebody a uFTNS out of nothing in the auditor's books, to see that it is noticed.
    #[allow(dead_code, reason = "for the test of the test")]
    pub fn bend(&mut self) {
        for n in 0..PEOPLE {
            self.auditor.credit(id_of(&person(n)), 1);
        }
    }
}

/// The fee account of the only proposer.
pub fn proposer() -> AccountId {
    id_of(&key(1))
}
