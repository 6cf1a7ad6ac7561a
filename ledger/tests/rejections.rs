//! Every refusal, with what it takes and what it leaves alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{FOREVER, START, World, agents, alice, bob, id_of, key, node_registration, operator, register};
use mesh30k_ledger::execute::BlockError;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{SecretKey, Signature};
use mesh30k_ledger::ops::{BatchTransfer, Freeze, Operation, Thaw, Transfer, TransferItem};
use mesh30k_ledger::query;
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{ChainId, Hash, NodeId, Scope, TimeMs, Uftns};

fn pay(to: &SecretKey, amount: u64) -> Operation {
    Operation::Transfer(Transfer { to: id_of(to), amount: Uftns(amount), memo: String::new() })
}

fn void(world: &World, signed: SignedTransaction) -> Rejection {
    match world.try_run(1, vec![signed]) {
        Err(BlockError::VoidTransaction { index: 0, rejection }) => rejection,
        other => panic!("expected a void block, got {other:?}"),
    }
}

/// Rejected, and apart from nonce and fee of the account (and the proposer's share) nothing changed.
fn charged(world: &mut World, from: &SecretKey, signed: SignedTransaction) -> Rejection {
    let before = world.state.clone();
    let nonce = query::next_nonce(&world.state, &id_of(from)).unwrap();
    let outcome = world.run(1, vec![signed]).1.outcomes.remove(0);
    let paid = outcome.fee();
    let account = query::account(&world.state, &id_of(from)).unwrap().unwrap();
    assert_eq!(account.nonce, nonce + 1);
    let old = query::account(&before, &id_of(from)).unwrap().unwrap();
    assert_eq!(account.balance.0, old.balance.0 - paid.0);
    let touched = [query::account_key(&id_of(from)), query::account_key(&id_of(&key(1))), b"cg".to_vec()];
    let committed = |state: &mesh30k_ledger::state::MemoryState| {
        let keep = |key: &[u8]| b"acegt".contains(&key[0]) && !touched.iter().any(|t| t == key);
        state.entries().filter(|(k, _)| keep(k)).map(|(k, v)| (k.to_vec(), v.to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(committed(&before), committed(&world.state), "something else changed");
    outcome.rejection().expect("rejected").clone()
}

/// Rejected without nonce and fee: the state root is that of an empty block.
fn uncharged(world: &World, signed: SignedTransaction) -> Rejection {
    let (_, empty) = world.try_run(1, vec![]).unwrap();
    let (_, mut full) = world.try_run(1, vec![signed]).unwrap();
    assert_eq!(empty.commitment.state_root, full.commitment.state_root);
    assert_ne!(empty.commitment.outcomes_root, full.commitment.outcomes_root);
    let outcome = full.outcomes.remove(0);
    assert_eq!(outcome.fee(), Uftns::ZERO);
    outcome.rejection().expect("rejected").clone()
}

#[test]
fn what_is_not_signed_for_this_chain_makes_the_block_void() {
    let world = World::new();
    let tx = world.tx(&alice(), pay(&bob(), 5));
    let foreign = Transaction { chain: ChainId::new("other").unwrap(), ..tx.clone() }.sign(&[&alice()]);
    assert!(matches!(void(&world, foreign), Rejection::WrongChain { .. }));
    let forked = Transaction { genesis: Hash::of(b"x"), ..tx.clone() }.sign(&[&alice()]);
    assert!(matches!(void(&world, forked), Rejection::WrongChain { .. }));

    let mut bad = tx.clone().sign(&[&alice()]);
    bad.signatures[0].signature = Signature([7; 64]);
    assert!(matches!(void(&world, bad), Rejection::BadSignature(_)));
    let mut altered = tx.clone().sign(&[&alice()]);
    altered.tx.nonce = 1;
    assert!(matches!(void(&world, altered), Rejection::BadSignature(_)));
    assert!(matches!(void(&world, tx.clone().sign(&[&bob()])), Rejection::StrangerKey { .. }));
    assert!(matches!(void(&world, tx.clone().sign(&[&alice(), &bob()])), Rejection::StrangerKey { .. }));
    assert!(matches!(void(&world, tx.clone().sign(&[])), Rejection::BelowThreshold { found: 0, .. }));
    let mut order = tx.clone().sign(&[&alice()]);
    order.signatures.push(order.signatures[0]);
    assert!(matches!(void(&world, order), Rejection::SignatureOrder(_)));
    let sponsored = Transaction { sponsor: Some(id_of(&bob())), ..tx }.sign(&[&alice()]);
    assert!(matches!(void(&world, sponsored), Rejection::SponsorNotAllowed(_)));
}

#[test]
fn expired_replayed_and_unknown_take_nothing() {
    let mut world = World::new();
    let tx = world.tx(&alice(), pay(&bob(), 5));
    let late = Transaction { valid_until: START, ..tx.clone() }.sign(&[&alice()]);
    assert!(matches!(uncharged(&world, late), Rejection::Expired { .. }));
    let ahead = Transaction { nonce: 3, ..tx.clone() }.sign(&[&alice()]);
    assert_eq!(uncharged(&world, ahead), Rejection::NonceAhead { found: 3, expected: 0 });
    let stranger = world.signed(&key(200), pay(&bob(), 5));
    assert_eq!(uncharged(&world, stranger), Rejection::UnknownAccount(id_of(&key(200))));

    let signed = tx.sign(&[&alice()]);
    let (_, both) = world.run(1, vec![signed.clone(), signed.clone()]);
    assert!(both.outcomes[0].is_executed());
    assert_eq!(both.outcomes[1].rejection(), Some(&Rejection::Replayed { found: 0, expected: 1 }));
    assert_eq!(uncharged(&world, signed), Rejection::Replayed { found: 0, expected: 1 });
}

#[test]
fn what_fails_takes_nonce_and_fee_and_nothing_else() {
    let mut world = World::new();
    let world = &mut world;
    let signed = world.signed(&alice(), pay(&bob(), u64::MAX));
    assert!(matches!(charged(world, &alice(), signed), Rejection::Overdrawn { .. }));
    let signed = world.signed(&alice(), pay(&bob(), 0));
    assert_eq!(charged(world, &alice(), signed), Rejection::ZeroAmount);
    let signed = Transaction { fee_limit: Uftns(3), ..world.tx(&alice(), pay(&bob(), 5)) }.sign(&[&alice()]);
    assert!(matches!(charged(world, &alice(), signed), Rejection::FeeLimit { limit: Uftns(3), .. }));
    let memo = Transfer { to: id_of(&bob()), amount: Uftns(1), memo: "m".repeat(129) };
    let signed = world.signed(&alice(), Operation::Transfer(memo));
    assert!(matches!(charged(world, &alice(), signed), Rejection::OutOfBounds { found: 129, max: 128, .. }));

    // All or nothing: the second payment is too much, the first must not stay.
    let item = |amount| TransferItem { to: id_of(&bob()), amount: Uftns(amount) };
    let batch = BatchTransfer { transfers: vec![item(7), item(Uftns::ftns(1_000_000).0)] };
    let signed = world.signed(&alice(), Operation::BatchTransfer(batch));
    assert!(matches!(charged(world, &alice(), signed), Rejection::Overdrawn { .. }));

    let until = world.now().plus_ms(60_000);
    let freeze = Operation::Freeze(Freeze { scope: Scope::Global, reason: "drill".into(), until });
    let signed = world.signed(&alice(), freeze);
    assert!(matches!(charged(world, &alice(), signed), Rejection::NotEnoughOperators { found: 0, threshold: 1 }));
    let signed = world.signed(&operator(), Operation::Thaw(Thaw { scope: Scope::Global, reason: "x".into() }));
    assert_eq!(charged(world, &operator(), signed), Rejection::NotFrozen(Scope::Global));
    let signed = world.signed(&alice(), register(None, agents(0..1)));
    assert!(matches!(charged(world, &alice(), signed), Rejection::NodeMissing(_)));
    let signed = world.signed(&alice(), register(Some(node_registration(1)), vec![]));
    assert!(matches!(charged(world, &alice(), signed), Rejection::NodeKeyTaken { node: NodeId(1), .. }));
    let twice = [agents(0..1), agents(0..1)].concat();
    let signed = world.signed(&alice(), register(Some(node_registration(9)), twice));
    assert!(matches!(charged(world, &alice(), signed), Rejection::AgentKeyTaken { .. }));
}

#[test]
fn accounts_of_several_keys_need_their_threshold() {
    let mut world = World::new();
    let (a, b, c) = (key(120), key(121), key(122));
    let policy = KeyPolicy::new(2, vec![a.public(), b.public(), c.public()]);
    let shared = policy.account();
    world.one(&alice(), Operation::Transfer(Transfer { to: shared, amount: Uftns::ftns(1), memo: String::new() }));
    let tx = Transaction::new(&world.context, shared, 0, FOREVER, Uftns::ftns(1), pay(&bob(), 5));
    assert!(matches!(void(&world, tx.clone().sign(&[&a, &b])), Rejection::UnknownPolicy(_)));
    let other = KeyPolicy::new(1, vec![a.public()]);
    assert!(matches!(void(&world, tx.clone().sign(&[&a]).with_policy(other)), Rejection::UnknownPolicy(_)));
    let one = tx.clone().sign(&[&a]).with_policy(policy.clone());
    assert!(matches!(void(&world, one), Rejection::BelowThreshold { found: 1, threshold: 2, .. }));
    assert!(world.run(1, vec![tx.clone().sign(&[&a, &c]).with_policy(policy)]).1.outcomes[0].is_executed());
    // Known from now on.
    let next = Transaction { nonce: 1, ..tx }.sign(&[&b, &c]);
    assert!(world.run(1, vec![next]).1.outcomes[0].is_executed());
}

#[test]
fn blocks_that_do_not_follow_are_refused_alike() {
    use mesh30k_ledger::block::Block;
    use mesh30k_ledger::execute::execute;
    let mut world = World::new();
    world.run(5, vec![]);
    let good = world.header(5);
    type Change = fn(&mut mesh30k_ledger::block::Header);
    let cases: [(&str, Change); 11] = [
        ("WrongHeight", |h| h.height = h.height.next()),
        ("WrongParent", |h| h.parent = Hash::ZERO),
        ("WrongStateRoot", |h| h.parent_state_root = Hash::ZERO),
        ("TimeNotRising", |h| h.time = TimeMs(h.time.0 - 5)),
        ("WrongValidators", |h| h.next_validators_hash = Hash::ZERO),
        ("UnknownProposer", |h| h.proposer = NodeId(9)),
        ("BadProposerSignature", |h| h.proposer = NodeId(2)),
        ("WrongChain", |h| h.chain = ChainId::new("other").unwrap()),
        ("WrongRound", |h| h.round = mesh30k_ledger::types::Round(1)),
        ("WrongEpoch", |h| h.epoch = mesh30k_ledger::types::Epoch(1)),
        ("UnexpectedReset", |h| h.reset = Some(Hash::ZERO)),
    ];
    for (name, change) in cases {
        let mut header = good;
        change(&mut header);
        let error = execute(&world.state, &Block::sign(header, vec![], &world.context, &key(51))).unwrap_err();
        assert!(format!("{error:?}").starts_with(name), "{name}: {error:?}");
        assert!(error.is_deterministic());
    }
    let mut block = world.block(5, vec![world.signed(&alice(), pay(&bob(), 1))]);
    block.transactions.clear();
    assert!(matches!(execute(&world.state, &block), Err(BlockError::WrongTransactions { .. })));
}
