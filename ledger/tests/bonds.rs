//! Stake: bonded at once, free after a wait, taken on proof and never else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of, key, vote};
use mesh30k_ledger::finality::{Phase, SignedVote, Vote};
use mesh30k_ledger::ops::{Bond, MAX_UNBONDING, Operation, ProveEquivocation, Unbond};
use mesh30k_ledger::outcome::{DueEvent, Effect, Outcome};
use mesh30k_ledger::query;
use mesh30k_ledger::records::Duty;
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{AccountId, ChainId, Hash, Height, NodeId, Round, Uftns};

const WEEK_MS: u64 = 604_800_000;
const JAIL_MS: u64 = 2_592_000_000;

fn bond(amount: u64) -> Operation {
    Operation::Bond(Bond { duty: Duty::Validator, amount: Uftns(amount) })
}

fn unbond(amount: u64) -> Operation {
    Operation::Unbond(Unbond { duty: Duty::Validator, amount: Uftns(amount) })
}

fn proof(world: &World, height: u64) -> ProveEquivocation {
    let signed = |block: &[u8]| -> SignedVote { vote(world.context, 2, height, block).sign(&key(52)) };
    ProveEquivocation { first: signed(b"one"), second: signed(b"other") }
}

#[test]
fn bonded_money_waits_before_it_is_free() {
    let mut world = World::new();
    let id = id_of(&alice());
    let before = query::account(&world.state, &id).unwrap().unwrap();
    assert!(world.one(&alice(), bond(1_000_000)).is_executed());
    let account = query::account(&world.state, &id).unwrap().unwrap();
    assert_eq!((account.stake, account.balance.0), (Uftns(1_000_000), before.balance.0 - 1_000_000 - 15));
    let listed = query::bonds(&world.state, &AccountId([0; 20]), 10).unwrap();
    assert_eq!(listed, [(id, query::bond(&world.state, &id).unwrap().unwrap())]);
    let too_much = world.one(&alice(), unbond(1_000_001));
    assert!(matches!(too_much.rejection(), Some(Rejection::BondTooSmall { bonded: Uftns(1_000_000), .. })));
    assert!(world.one(&alice(), unbond(400_000)).is_executed());
    world.run(WEEK_MS - 1_000, vec![]);
    assert_eq!(query::account(&world.state, &id).unwrap().unwrap().stake, Uftns(1_000_000));
    let freed = DueEvent::Unbonded { account: id, amount: Uftns(400_000) };
    assert_eq!(world.run(1_000, vec![]).1.due, [freed]);
    assert_eq!(query::account(&world.state, &id).unwrap().unwrap().stake, Uftns(600_000));
    for _ in 0..MAX_UNBONDING {
        assert!(world.one(&alice(), unbond(1)).is_executed());
    }
    assert!(matches!(world.one(&alice(), unbond(1)).rejection(), Some(Rejection::TooMany { max: 16, .. })));
    for op in [bond(0), unbond(0)] {
        assert_eq!(world.one(&alice(), op).rejection(), Some(&Rejection::ZeroAmount));
    }
    assert!(matches!(world.one(&alice(), bond(u64::MAX)).rejection(), Some(Rejection::Overdrawn { .. })));
}

#[test]
fn two_votes_at_one_height_cost_the_validator() {
    let mut world = World::new();
    let offender = id_of(&key(2));
    world.one(&key(2), bond(1_000_001));
    world.one(&key(2), unbond(950_000));
    let (reporter, burned) = (world.balance(&id_of(&bob())), query::totals(&world.state).unwrap().burned);
    let evidence = proof(&world, 9);
    let outcome = world.one(&bob(), Operation::ProveEquivocation(evidence));
    let Outcome::Executed { fee, effect } = outcome else { panic!("{outcome:?}") };
    // A tenth of what answers, on its way out or not, rounded up; a twentieth of that to the reporter, rounded down.
    let jailed_until = world.now().plus_ms(JAIL_MS);
    assert_eq!(
        effect,
        Effect::Slashed { account: offender, amount: Uftns(100_001), reward: Uftns(5_000), jailed_until }
    );
    assert_eq!(world.balance(&id_of(&bob())), reporter + 5_000 - fee.0);
    let totals = query::totals(&world.state).unwrap();
    assert_eq!(totals.burned.0, burned.0 + 95_001 + fee.0 / 2);
    assert_eq!(query::bond(&world.state, &offender).unwrap().unwrap().slashed, Uftns(100_001));
    let again = world.one(&alice(), Operation::ProveEquivocation(evidence));
    assert!(matches!(again.rejection(), Some(Rejection::AlreadyDone(_))));
    // What was taken from the part on its way out does not come back.
    world.run(WEEK_MS, vec![]);
    assert_eq!(query::account(&world.state, &offender).unwrap().unwrap().stake, Uftns::ZERO);
    // Nothing is left to take, and it is punished all the same.
    let bare = world.one(&alice(), Operation::ProveEquivocation(proof(&world, 10)));
    let Outcome::Executed { effect: Effect::Slashed { amount, reward, jailed_until: until, .. }, .. } = bare else {
        panic!("{bare:?}")
    };
    assert_eq!((amount, reward, until), (Uftns::ZERO, Uftns::ZERO, jailed_until.plus_ms(JAIL_MS)));
}

#[test]
fn an_offender_earns_nothing_by_telling_on_itself() {
    let mut world = World::new();
    world.one(&key(2), bond(1_000_000));
    let evidence = proof(&world, 9);
    let outcome = world.one(&key(2), Operation::ProveEquivocation(evidence));
    assert!(matches!(outcome, Outcome::Executed { effect: Effect::Slashed { reward: Uftns::ZERO, .. }, .. }));
}

#[test]
fn what_proves_nothing_costs_nobody() {
    let mut world = World::new();
    world.one(&key(2), bond(1_000_000));
    let good = proof(&world, 9);
    let a = |change: fn(&mut Vote)| {
        let mut vote = vote(world.context, 2, 9, b"other");
        change(&mut vote);
        ProveEquivocation { first: good.first, second: vote.sign(&key(52)) }
    };
    let forged = ProveEquivocation { first: good.first, second: vote(world.context, 2, 9, b"other").sign(&key(53)) };
    let cases = [
        ("another chain", a(|v| v.context.chain = ChainId::new("other").unwrap())),
        ("differ in validator", a(|v| v.height = Height(10))),
        ("differ in validator", a(|v| v.round = Round(1))),
        ("differ in validator", a(|v| v.phase = Phase::Second)),
        ("differ in validator", a(|v| v.validator = NodeId(3))),
        ("say the same", a(|v| v.block = Hash::of(b"one"))),
        ("not signed", forged),
    ];
    for (why, evidence) in cases {
        let outcome = world.one(&bob(), Operation::ProveEquivocation(evidence));
        let Some(Rejection::BadEvidence(found)) = outcome.rejection() else { panic!("{why}: {outcome:?}") };
        assert!(found.contains(why), "{why}: {found}");
    }
    let stranger = |block| vote(world.context, 9, 9, block).sign(&key(52));
    let evidence = ProveEquivocation { first: stranger(b"a"), second: stranger(b"b") };
    let outcome = world.one(&bob(), Operation::ProveEquivocation(evidence));
    assert!(matches!(outcome.rejection(), Some(Rejection::UnknownNode(NodeId(9)))));
    assert_eq!(query::account(&world.state, &id_of(&key(2))).unwrap().unwrap().stake, Uftns(1_000_000));
}
