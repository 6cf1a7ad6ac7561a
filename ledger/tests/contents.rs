//! Content for sale and royalties up its provenance.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of, key};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{BuyUse, Operation, RateContent, RegisterContent};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::query;
use mesh30k_ledger::records::{ContentParent, ContentShare};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{Hash, Uftns};
use proptest::prelude::*;

fn share(key: &SecretKey, ppm: u32) -> ContentShare {
    ContentShare { owner: id_of(key), ppm }
}

fn parent(name: &[u8], royalty_ppm: u32) -> ContentParent {
    ContentParent { content: Hash::of(name), royalty_ppm }
}

fn content(name: &[u8], owners: Vec<ContentShare>, parents: Vec<ContentParent>, price: u64) -> RegisterContent {
    RegisterContent { content: Hash::of(name), owners, parents, price: Uftns(price), royalty_ppm: 0 }
}

fn register(world: &mut World, who: &SecretKey, op: RegisterContent) -> Outcome {
    world.one(who, Operation::RegisterContent(op))
}

fn buy(world: &mut World, who: &SecretKey, name: &[u8], max: u64) -> Outcome {
    world.one(who, Operation::BuyUse(BuyUse { content: Hash::of(name), max_price: Uftns(max) }))
}

#[test]
fn a_use_pays_owners_parents_and_grandparents() {
    let mut world = World::new();
    register(&mut world, &key(2), content(b"data", vec![share(&key(2), 1_000_000)], vec![], 0));
    register(&mut world, &key(3), content(b"base", vec![share(&key(3), 1_000_000)], vec![parent(b"data", 100_000)], 0));
    let owners = vec![share(&key(4), 600_000), share(&bob(), 400_000)];
    let model = content(b"model", owners, vec![parent(b"base", 200_000), parent(b"data", 50_000)], 10_001);
    let outcome = register(&mut world, &bob(), model);
    assert!(matches!(outcome, Outcome::Executed { effect: Effect::ContentRegistered { depth: 3, .. }, .. }));
    let before = [key(2), key(3), key(4), bob()].map(|key| world.balance(&id_of(&key)));
    let bought = buy(&mut world, &alice(), b"model", 10_001);
    assert!(matches!(bought, Outcome::Executed { effect: Effect::UseBought { reached: 4, .. }, .. }), "{bought:?}");
    let after = [key(2), key(3), key(4), bob()].map(|key| world.balance(&id_of(&key)));
    let earned: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    // 2,000 to the base (200 of it on to the data), 500 to the data, 7,501 to the owners: 4,500 and 3,000, one left over.
    assert_eq!(earned, [500 + 200, 1_800, 4_500, 3_000]);
    assert_eq!(query::totals(&world.state).unwrap().treasury, Uftns(1));
    let data = query::content(&world.state, &Hash::of(b"data")).unwrap().unwrap();
    assert_eq!((data.uses, data.cited), (0, 2));
}

#[test]
fn only_who_paid_rates_and_once() {
    let mut world = World::new();
    register(&mut world, &bob(), content(b"paper", vec![share(&bob(), 1_000_000)], vec![], 10));
    let rate = |world: &mut World, who: &SecretKey, stars| {
        world.one(who, Operation::RateContent(RateContent { content: Hash::of(b"paper"), stars }))
    };
    assert!(matches!(rate(&mut world, &alice(), 5).rejection(), Some(Rejection::Unknown { .. })));
    assert!(matches!(buy(&mut world, &alice(), b"paper", 9).rejection(), Some(Rejection::OutOfBounds { max: 9, .. })));
    assert!(buy(&mut world, &alice(), b"paper", 10).is_executed());
    assert!(matches!(rate(&mut world, &alice(), 0).rejection(), Some(Rejection::OutOfBounds { .. })));
    assert!(rate(&mut world, &alice(), 4).is_executed());
    assert!(matches!(rate(&mut world, &alice(), 1).rejection(), Some(Rejection::AlreadyDone(_))));
    let paper = query::content(&world.state, &Hash::of(b"paper")).unwrap().unwrap();
    assert_eq!((paper.uses, paper.stars, paper.ratings), (1, 4, 1));
}

#[test]
fn content_that_does_not_add_up_is_refused() {
    let mut world = World::new();
    let own = || vec![share(&bob(), 1_000_000)];
    register(&mut world, &bob(), content(b"one", own(), vec![], 0));
    let seventeen = (0..17).map(|n| share(&key(100 + n), 1)).collect();
    let cases = [
        ("OutOfBounds { field: \"owners", content(b"x", vec![], vec![], 1)),
        ("OutOfBounds { field: \"owners", content(b"x", seventeen, vec![], 1)),
        ("OutOfBounds { field: \"share (ppm)", content(b"x", vec![share(&bob(), 0)], vec![], 1)),
        ("OutOfBounds { field: \"shares together", content(b"x", vec![share(&bob(), 999_999)], vec![], 1)),
        ("AlreadyDone", content(b"x", vec![share(&bob(), 500_000); 2], vec![], 1)),
        ("NotOwner", content(b"x", vec![share(&alice(), 1_000_000)], vec![], 1)),
        ("AlreadyDone", content(b"one", own(), vec![], 1)),
        ("Unknown {", content(b"x", own(), vec![parent(b"nothing", 1)], 1)),
        ("Unknown {", content(b"x", own(), vec![parent(b"x", 1)], 1)),
        ("OutOfBounds { field: \"royalty", content(b"x", own(), vec![parent(b"one", 500_001)], 1)),
        ("AlreadyDone", content(b"x", own(), vec![parent(b"one", 1); 2], 1)),
    ];
    for (name, op) in cases {
        let outcome = register(&mut world, &bob(), op);
        assert!(format!("{:?}", outcome.rejection().unwrap()).starts_with(name), "{name}: {outcome:?}");
    }
    assert!(matches!(buy(&mut world, &alice(), b"one", 9).rejection(), Some(Rejection::ZeroAmount)), "not for sale");
    assert!(matches!(buy(&mut world, &alice(), b"x", 9).rejection(), Some(Rejection::Unknown { .. })));
    // Eight levels and no ninth.
    let mut last = b"one".to_vec();
    for level in 2..=9_u8 {
        let outcome = register(&mut world, &bob(), content(&[level], own(), vec![parent(&last, 500_000)], 1));
        assert_eq!(outcome.is_executed(), level <= 8, "level {level}");
        last = vec![level];
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_unit_paid_arrives(price in 1..1_000_000_000_u64, edges in proptest::collection::vec((0..8_usize, 1..120_000_u32), 0..20)) {
        let mut world = World::new();
        for n in 0..8_u8 {
            let mut parents: Vec<ContentParent> = Vec::new();
            for (to, ppm) in edges.iter().skip(usize::from(n)).step_by(3).take(4) {
                let (to, ppm) = (u8::try_from(*to).unwrap(), *ppm);
                if to < n && parents.iter().all(|known| known.content != Hash::of(&[to])) {
                    parents.push(parent(&[to], ppm));
                }
            }
            let owners = vec![share(&bob(), 333_333), share(&key(2), 666_667)];
            let outcome = register(&mut world, &bob(), content(&[n], owners, parents, price));
            prop_assert!(outcome.is_executed());
        }
        // Conservation is checked by every block of the world; here: the buyer pays the price and its fee, no more.
        let before = world.balance(&id_of(&alice()));
        let outcome = buy(&mut world, &alice(), &[7], u64::MAX);
        prop_assert!(outcome.is_executed());
        prop_assert_eq!(world.balance(&id_of(&alice())), before - price - outcome.fee().0);
        let reached = query::totals(&world.state).unwrap().treasury.0;
        prop_assert!(reached <= 16 * 3, "rounding leaves less than a unit for each share");
    }
}
