//! Reverse auctions with sealed bids.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, receipt, report};
use common::{World, alice, bob, id_of, key};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{EscrowRelease, OpenAuction, OpenBid, Operation, SealBid, sealed_bid};
use mesh30k_ledger::outcome::{DueEvent, Outcome};
use mesh30k_ledger::query;
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{Hash, TimeMs, Uftns};
use proptest::prelude::*;

const BOND: u64 = 100_000;
const SALT: Hash = Hash([7; 32]);

fn terms(world: &World) -> OpenAuction {
    let now = world.now();
    OpenAuction {
        task: Hash::of(b"task"),
        module: Hash::of(b"module"),
        max_price: Uftns(50_000),
        reserve: Uftns(5_000),
        commit_until: now.plus_ms(10_000),
        reveal_until: now.plus_ms(20_000),
        release_deadline: now.plus_ms(100_000),
    }
}

fn open(world: &mut World) -> Hash {
    let signed = world.signed(&alice(), Operation::OpenAuction(terms(world)));
    let id = signed.id();
    assert!(world.run(10, vec![signed]).1.outcomes[0].is_executed());
    id
}

fn seal(world: &mut World, who: &SecretKey, auction: Hash, price: u64, carbon_ug: u64) -> Outcome {
    let sealed = sealed_bid(&auction, &id_of(who), Uftns(price), carbon_ug, &SALT);
    world.one(who, Operation::SealBid(SealBid { auction, sealed }))
}

fn reveal(world: &mut World, who: &SecretKey, auction: Hash, price: u64, carbon_ug: u64) -> Outcome {
    world.one(who, Operation::OpenBid(OpenBid { auction, price: Uftns(price), carbon_ug, salt: SALT }))
}

fn closed(world: &mut World) -> DueEvent {
    world.run(20_000, vec![]).1.due.remove(0)
}

#[test]
fn the_cheapest_with_its_carbon_wins_and_alone_is_paid() {
    let mut world = mesh(World::new());
    let opener = world.balance(&id_of(&alice()));
    let auction = open(&mut world);
    // Node 1 is dearer by itself, but the other's carbon costs more than the difference: 0.1 FTNS a gram.
    for (who, price, carbon) in [(key(1), 6_000, 10_000), (key(2), 5_500, 20_000)] {
        assert!(seal(&mut world, &who, auction, price, carbon).is_executed());
    }
    let lazy = world.balance(&id_of(&bob()));
    assert!(seal(&mut world, &bob(), auction, 1, 0).is_executed());
    let early = reveal(&mut world, &key(1), auction, 6_000, 10_000);
    assert!(matches!(early.rejection(), Some(Rejection::TooEarly { .. })));
    world.run(10_000, vec![]);
    assert!(reveal(&mut world, &key(1), auction, 6_000, 10_000).is_executed());
    assert!(reveal(&mut world, &key(2), auction, 5_500, 20_000).is_executed());
    let event = closed(&mut world);
    assert_eq!(event, DueEvent::AuctionClosed { auction, winner: Some(id_of(&key(1))), price: Uftns(6_000) });
    // Bob never opened: his bond is the treasury's, and his name suffers.
    assert_eq!(query::totals(&world.state).unwrap().treasury, Uftns(BOND));
    assert_eq!(world.balance(&id_of(&bob())), lazy - BOND - 30);
    assert_eq!(query::reputation(&world.state, &id_of(&bob())).unwrap().unwrap().score, 480);
    assert_eq!(world.balance(&id_of(&alice())), opener - 30 - 6_000 - 5_000);

    let escrow = query::escrow(&world.state, &auction).unwrap().unwrap();
    assert_eq!((escrow.parts, escrow.amount_per_part, escrow.locked), (1, Uftns(6_000), Uftns(11_000)));
    let mut other = report(0);
    other.host = mesh30k_ledger::types::NodeId(1);
    let paid = EscrowRelease { escrow: auction, receipt: receipt(&world, other) };
    assert!(world.one(&alice(), Operation::EscrowRelease(paid)).is_executed());
}

#[test]
fn an_order_pays_its_winner_alone() {
    let mut world = mesh(World::new());
    let auction = open(&mut world);
    seal(&mut world, &key(2), auction, 5_000, 0);
    world.run(10_000, vec![]);
    reveal(&mut world, &key(2), auction, 5_000, 0);
    closed(&mut world);
    let other = EscrowRelease { escrow: auction, receipt: receipt(&world, report(0)) };
    let refused = world.one(&alice(), Operation::EscrowRelease(other));
    assert!(matches!(refused.rejection(), Some(Rejection::NotOwner { owner, .. }) if *owner == id_of(&key(2))));
}

#[test]
fn bids_are_sealed_once_opened_once_and_not_copied() {
    let mut world = World::new();
    let auction = open(&mut world);
    assert!(matches!(seal(&mut world, &alice(), auction, 1, 0).rejection(), Some(Rejection::SelfReference(_))));
    assert!(matches!(seal(&mut world, &key(2), Hash::ZERO, 1, 0).rejection(), Some(Rejection::Unknown { .. })));
    assert!(seal(&mut world, &key(2), auction, 9_000, 5).is_executed());
    assert!(matches!(seal(&mut world, &key(2), auction, 8_000, 5).rejection(), Some(Rejection::AlreadyDone(_))));
    // Bob repeats what key 2 sealed; it opens for nobody but key 2.
    let copied = sealed_bid(&auction, &id_of(&key(2)), Uftns(9_000), 5, &SALT);
    assert!(world.one(&bob(), Operation::SealBid(SealBid { auction, sealed: copied })).is_executed());
    world.run(10_000, vec![]);
    assert!(matches!(seal(&mut world, &key(3), auction, 1, 0).rejection(), Some(Rejection::DeadlinePassed { .. })));
    assert!(matches!(
        reveal(&mut world, &bob(), auction, 9_000, 5).rejection(),
        Some(Rejection::ReceiptMismatch { .. })
    ));
    assert!(matches!(
        reveal(&mut world, &key(2), auction, 9_001, 5).rejection(),
        Some(Rejection::ReceiptMismatch { .. })
    ));
    assert!(matches!(reveal(&mut world, &key(2), auction, 50_001, 5).rejection(), Some(Rejection::OutOfBounds { .. })));
    assert!(matches!(reveal(&mut world, &key(2), auction, 0, 5).rejection(), Some(Rejection::ZeroAmount)));
    assert!(matches!(reveal(&mut world, &key(3), auction, 1, 5).rejection(), Some(Rejection::Unknown { .. })));
    assert!(reveal(&mut world, &key(2), auction, 9_000, 5).is_executed());
    assert!(matches!(reveal(&mut world, &key(2), auction, 9_000, 5).rejection(), Some(Rejection::AlreadyDone(_))));
    closed(&mut world);
    let late = reveal(&mut world, &bob(), auction, 9_000, 5);
    assert!(matches!(late.rejection(), Some(Rejection::DeadlinePassed { .. })));
}

#[test]
fn terms_that_cannot_be_kept_are_refused() {
    let mut world = World::new();
    type Change = fn(&mut OpenAuction);
    let cases: [(&str, Change); 8] = [
        ("ZeroAmount", |t| t.max_price = Uftns::ZERO),
        ("DeadlinePassed", |t| t.commit_until = TimeMs(0)),
        ("DeadlinePassed", |t| t.reveal_until = t.commit_until),
        ("DeadlinePassed", |t| t.release_deadline = t.reveal_until),
        ("DeadlineTooFar", |t| t.release_deadline = TimeMs(u64::MAX)),
        ("AmountOverflow", |t| (t.max_price, t.reserve) = (Uftns(u64::MAX), Uftns(1))),
        // Fifty units' carbon; Alice is in the access list.
        ("ReserveShort { needed: Uftns(250), reserved: Uftns(249)", |t| t.reserve = Uftns(249)),
        ("Overdrawn", |t| (t.max_price, t.reserve) = (Uftns::ftns(20_000), Uftns::ftns(200))),
    ];
    for (name, change) in cases {
        let mut terms = terms(&world);
        change(&mut terms);
        let outcome = world.one(&alice(), Operation::OpenAuction(terms));
        assert!(format!("{:?}", outcome.rejection().unwrap()).starts_with(name), "{name}: {outcome:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_lowest_score_wins_and_nothing_is_lost(bids in proptest::collection::vec((1..60_000_u64, 0..300_000_u64, any::<bool>()), 1..6)) {
        let mut world = World::new();
        let auction = open(&mut world);
        for (n, (price, carbon, _)) in (1..).zip(&bids) {
            let who = if n <= 4 { key(n) } else { bob() };
            seal(&mut world, &who, auction, *price, *carbon);
        }
        world.run(10_000, vec![]);
        let mut best: Option<(u64, u64)> = None;
        for (n, (price, carbon, opened)) in (1..).zip(&bids) {
            let who = if n <= 4 { key(n) } else { bob() };
            if *opened && reveal(&mut world, &who, auction, *price, *carbon).is_executed() {
                let cost = price + (carbon * 100_000).div_ceil(1_000_000);
                best = Some(best.map_or((cost, *price), |best| if cost < best.0 { (cost, *price) } else { best }));
            }
        }
        let DueEvent::AuctionClosed { winner, price, .. } = closed(&mut world) else { panic!() };
        match best {
            None => prop_assert_eq!((winner, price), (None, Uftns::ZERO)),
            Some((cost, _)) => {
                let won = bids.iter().find(|(p, c, o)| *o && *p == price.0 && p + (c * 100_000).div_ceil(1_000_000) == cost);
                prop_assert!(winner.is_some() && won.is_some());
            }
        }
        let locked = if winner.is_some() { price.0 + 5_000 } else { 0 };
        prop_assert_eq!(query::totals(&world.state).unwrap().escrows.0, locked);
        world.run(100_000, vec![]);
        prop_assert_eq!(query::totals(&world.state).unwrap().escrows.0, 0);
    }
}
