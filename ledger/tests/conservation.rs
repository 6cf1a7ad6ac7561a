//! Random blocks against an auditor that predicts every balance without calling the ledger's arithmetic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of, key, operator};
use mesh30k_ledger::execute::execute;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{
    BatchTransfer, Capabilities, EscrowOpen, Operation, ParameterChange, ProposalKind, Propose, Transfer, TransferItem,
};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{AccountId, Hash, Uftns};
use proptest::prelude::*;
use std::collections::BTreeMap;

const DEPOSIT: i128 = 1_000_000;

/// What the auditor knows: balances, and what is to come back when.
#[derive(Default)]
struct Auditor {
    balances: BTreeMap<AccountId, i128>,
    escrows: Vec<(u64, AccountId, i128)>,
    deposits: Vec<(u64, AccountId)>,
    open_by: BTreeMap<AccountId, u32>,
    burned: i128,
    proposer: i128,
}

impl Auditor {
    fn balance(&mut self, id: AccountId) -> &mut i128 {
        self.balances.entry(id).or_default()
    }

    fn time_passes(&mut self, now: u64) {
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.escrows).into_iter().partition(|e| e.0 <= now);
        self.escrows = later;
        for (_, owner, amount) in due {
            *self.balance(owner) += amount;
        }
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.deposits).into_iter().partition(|d| d.0 <= now);
        self.deposits = later;
        for (_, owner) in due {
            *self.balance(owner) += DEPOSIT;
            *self.open_by.entry(owner).or_default() -= 1;
        }
    }

    fn fee(&mut self, from: AccountId, weight: i128) -> bool {
        let paid = weight.min(*self.balance(from));
        *self.balance(from) -= paid;
        self.proposer += paid / 2;
        self.burned += paid - paid / 2;
        paid == weight
    }

    fn predict(&mut self, from: AccountId, action: &Action, people: &[SecretKey], now: u64) -> bool {
        let to = |at: usize| id_of(&people[at % people.len()]);
        match action {
            Action::Pay(at, amount) => {
                if !self.fee(from, 15) || *amount == 0 || *self.balance(from) < i128::from(*amount) {
                    return false;
                }
                *self.balance(from) -= i128::from(*amount);
                *self.balance(to(*at)) += i128::from(*amount);
                true
            }
            Action::Batch(items) => {
                if !self.fee(from, 10 + 3 * items.len() as i128) || items.is_empty() {
                    return false;
                }
                let mut trial = self.balances.clone();
                for (at, amount) in items {
                    let own = trial.entry(from).or_default();
                    if *amount == 0 || *own < i128::from(*amount) {
                        return false;
                    }
                    *own -= i128::from(*amount);
                    *trial.entry(to(*at)).or_default() += i128::from(*amount);
                }
                self.balances = trial;
                true
            }
            Action::Escrow(parts, amount, ms) => {
                let locked = i128::from(*parts) * i128::from(*amount) * 2;
                if !self.fee(from, 20) || *parts == 0 || *amount == 0 || *ms == 0 || *self.balance(from) < locked {
                    return false;
                }
                *self.balance(from) -= locked;
                self.escrows.push((now + ms, from, locked));
                true
            }
            Action::Propose => {
                let own = self.open_by.get(&from).copied().unwrap_or(0);
                if !self.fee(from, 60) || own >= 3 || self.deposits.len() >= 20 || *self.balance(from) < DEPOSIT {
                    return false;
                }
                *self.balance(from) -= DEPOSIT;
                *self.open_by.entry(from).or_default() += 1;
                self.deposits.push((now + 5_000, from));
                true
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Action {
    Pay(usize, u64),
    Batch(Vec<(usize, u64)>),
    Escrow(u32, u64, u64),
    Propose,
}

fn operation(action: &Action, people: &[SecretKey], now: u64) -> Operation {
    let to = |at: usize| id_of(&people[at % people.len()]);
    match action {
        Action::Pay(at, amount) => {
            Operation::Transfer(Transfer { to: to(*at), amount: Uftns(*amount), memo: String::new() })
        }
        Action::Batch(items) => {
            let transfers =
                items.iter().map(|(at, amount)| TransferItem { to: to(*at), amount: Uftns(*amount) }).collect();
            Operation::BatchTransfer(BatchTransfer { transfers })
        }
        Action::Escrow(parts, amount, ms) => Operation::EscrowOpen(EscrowOpen {
            task: Hash::ZERO,
            module: Hash::ZERO,
            capability: Capabilities::COMPUTE,
            parts: *parts,
            amount_per_part: Uftns(*amount),
            reserve_per_part: Uftns(*amount),
            release_deadline: mesh30k_ledger::types::TimeMs(now + ms),
        }),
        Action::Propose => {
            let change = ParameterChange { parameter: Parameter::HoldMarginMs, value: 1 };
            Operation::Propose(Propose { title: "t".into(), kind: ProposalKind::Parameter(vec![change]) })
        }
    }
}

fn action() -> impl Strategy<Value = Action> {
    let amount = prop_oneof![0..50_u64, 0..3_000_000_000_u64, Just(u64::MAX)];
    prop_oneof![
        4 => (0..8_usize, amount.clone()).prop_map(|(at, amount)| Action::Pay(at, amount)),
        2 => proptest::collection::vec((0..8_usize, amount), 0..4).prop_map(Action::Batch),
        2 => (0..5_u32, 0..500_000_000_u64, 0..8_000_u64).prop_map(|(parts, amount, ms)| Action::Escrow(parts, amount, ms)),
        1 => Just(Action::Propose),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_auditor_and_the_ledger_agree(
        blocks in proptest::collection::vec((1..4_000_u64, proptest::collection::vec((0..8_usize, action()), 0..10)), 1..12)
    ) {
        let mut world = World::new();
        let people: Vec<SecretKey> = vec![alice(), bob(), operator(), key(2), key(3), key(150), key(151), key(152)];
        let mut auditor = Auditor::default();
        for person in people.iter().chain([&key(1), &key(4)]) {
            let id = id_of(person);
            auditor.balances.insert(id, i128::from(world.balance(&id)));
        }
        for (after_ms, steps) in blocks {
            let now = world.now().0 + after_ms;
            auditor.time_passes(now);
            let (mut transactions, mut expected) = (Vec::new(), Vec::new());
            let mut nonces: BTreeMap<AccountId, u64> = BTreeMap::new();
            for (who, action) in &steps {
                let from = id_of(&people[*who]);
                let known = query::account(&world.state, &from).unwrap().is_some();
                // Who owns nothing at the block's beginning has no account perhaps; such are tested elsewhere.
                if !known {
                    continue;
                }
                let nonce = *nonces.entry(from).and_modify(|n| *n += 1)
                    .or_insert_with(|| query::next_nonce(&world.state, &from).unwrap());
                let op = operation(action, &people, now);
                let tx = Transaction::new(&world.context, from, nonce, common::FOREVER, Uftns::ftns(1), op);
                transactions.push(tx.sign(&[&people[*who]]));
                expected.push(auditor.predict(from, action, &people, now));
            }
            let share = std::mem::take(&mut auditor.proposer);
            *auditor.balance(id_of(&key(1))) += share;
            let (block, execution) = world.try_run(after_ms, transactions).unwrap();
            prop_assert_eq!(&execute(&world.state, &block).unwrap(), &execution);
            let done: Vec<bool> = execution.outcomes.iter().map(|outcome| outcome.is_executed()).collect();
            prop_assert_eq!(done, expected, "{:?}", execution.outcomes);
            world.state.apply(execution.changes);
            prop_assert!(mesh30k_ledger::invariants::check(&world.state).is_ok());
            for (id, balance) in &auditor.balances {
                prop_assert_eq!(i128::from(world.balance(id)), *balance);
            }
            prop_assert_eq!(i128::from(query::totals(&world.state).unwrap().burned.0), auditor.burned);
        }
    }
}
