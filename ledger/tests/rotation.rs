//! New keys for old ones: the account keeps its name and its money, the old keys keep no power.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, open, receipt, report};
use common::{World, agent_key, alice, bob, id_of, key};
use mesh30k_ledger::execute::BlockError;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{EscrowRelease, Operation, RotateKey, Transfer};
use mesh30k_ledger::query;
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{AgentId, Uftns};
use proptest::prelude::*;

fn pay(world: &World, keys: &[&SecretKey]) -> SignedTransaction {
    let op = Operation::Transfer(Transfer { to: id_of(&bob()), amount: Uftns(1), memo: String::new() });
    world.tx(&alice(), op).sign(keys)
}

fn rotate(world: &World, keys: &[&SecretKey], policy: &KeyPolicy) -> SignedTransaction {
    world.tx(&alice(), Operation::RotateKey(RotateKey::Account(policy.clone()))).sign(keys)
}

fn void(world: &World, signed: SignedTransaction) -> Rejection {
    match world.try_run(1, vec![signed]) {
        Err(BlockError::VoidTransaction { rejection, .. }) => rejection,
        other => panic!("not void: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Through any chain of policies: each set of keys rules from its block to the next, alone.
    #[test]
    fn only_the_newest_keys_sign(steps in proptest::collection::vec((1..5_u8, any::<u8>()), 1..4)) {
        let mut world = World::new();
        let (mut present, mut needed) = (vec![alice()], 1_usize);
        for (round, (count, threshold)) in (0_u8..).zip(steps) {
            let next: Vec<SecretKey> = (0..count).map(|n| key(10 + round * 10 + n)).collect();
            let threshold = 1 + threshold % count;
            let policy = KeyPolicy::new(threshold, next.iter().map(SecretKey::public).collect());
            let old: Vec<&SecretKey> = present.iter().take(needed).collect();
            let outcome = world.run(1, vec![rotate(&world, &old, &policy)]).1.outcomes.remove(0);
            prop_assert!(outcome.is_executed(), "{:?}", outcome);
            // The old ones are strangers now, alone and beside enough new ones.
            assert!(matches!(void(&world, pay(&world, &old)), Rejection::StrangerKey { .. }));
            let enough: Vec<&SecretKey> = next.iter().take(usize::from(threshold)).collect();
            let both: Vec<&SecretKey> = enough.iter().copied().chain(old.iter().copied().take(1)).collect();
            assert!(matches!(void(&world, pay(&world, &both)), Rejection::StrangerKey { .. }));
            if threshold > 1 {
                let few = &enough[..enough.len() - 1];
                assert!(matches!(void(&world, pay(&world, few)), Rejection::BelowThreshold { .. }));
            }
            prop_assert!(world.run(1, vec![pay(&world, &enough)]).1.outcomes[0].is_executed());
            (present, needed) = (next, usize::from(threshold));
        }
        let account = query::account(&world.state, &id_of(&alice())).unwrap().unwrap();
        prop_assert_eq!(account.policy.unwrap().keys.len(), present.len());
    }
}

#[test]
fn the_old_key_is_a_stranger_within_the_same_block() {
    let world = World::new();
    let policy = KeyPolicy::single(key(9).public());
    let first = rotate(&world, &[&alice()], &policy);
    let later = |signer: &SecretKey| {
        let mut tx = pay(&world, &[]).tx;
        tx.nonce += 1;
        tx.sign(&[signer])
    };
    let stale = world.try_run(1, vec![first.clone(), later(&alice())]);
    assert!(matches!(stale, Err(BlockError::VoidTransaction { index: 1, rejection: Rejection::StrangerKey { .. } })));
    let (_, fresh) = world.try_run(1, vec![first, later(&key(9))]).unwrap();
    assert!(fresh.outcomes.iter().all(mesh30k_ledger::outcome::Outcome::is_executed));
}

#[test]
fn receipts_of_rotated_keys_are_refused_and_of_new_ones_paid() {
    let mut world = mesh(World::new());
    let escrow = open(&mut world, 4, 60_000);
    let release = |receipt| Operation::EscrowRelease(EscrowRelease { escrow, receipt });
    assert!(world.one(&alice(), release(receipt(&world, report(0)))).is_executed());

    let (host, agent) = (key(90), key(91));
    assert!(world.one(&key(1), Operation::RotateKey(RotateKey::Host(host.public()))).is_executed());
    let refused = world.one(&alice(), release(receipt(&world, report(1))));
    assert_eq!(refused.rejection(), Some(&Rejection::ReceiptSignature("host".into())));
    let by_host = report(1).sign(&world.context, &host, &agent_key(0));
    assert!(world.one(&alice(), release(by_host)).is_executed());

    let op = RotateKey::Agent { agent: AgentId(1), key: agent.public() };
    assert!(world.one(&key(1), Operation::RotateKey(op)).is_executed());
    let refused = world.one(&alice(), release(report(2).sign(&world.context, &host, &agent_key(0))));
    assert_eq!(refused.rejection(), Some(&Rejection::ReceiptSignature("agent".into())));
    assert!(world.one(&alice(), release(report(2).sign(&world.context, &host, &agent))).is_executed());
    // The old key of an agent is free again, the new one is taken.
    let back = |key: &SecretKey| Operation::RotateKey(RotateKey::Agent { agent: AgentId(2), key: key.public() });
    assert!(matches!(world.one(&key(1), back(&agent)).rejection(), Some(Rejection::AgentKeyTaken { .. })));
    assert!(world.one(&key(1), back(&agent_key(0))).is_executed());
}
