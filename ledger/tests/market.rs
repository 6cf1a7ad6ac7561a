//! The market: what is listed, ordered, paid and rated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, receipt, report};
use common::{World, alice, bob, id_of, key, operator};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::*;
use mesh30k_ledger::outcome::{DueEvent, Effect, Outcome};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::*;
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{AgentId, EscrowId, Hash, Uftns};
use proptest::prelude::*;

const WINDOW_MS: u64 = 10_000;
const RULING_MS: u64 = 20_000;
const LATER_MS: u64 = 600_000;

/// Node 1 has agents and a bond; Bob owns a paper that was made from data of node 3's account.
fn market() -> World {
    let mut genesis = common::genesis();
    for (parameter, value) in [(Parameter::ChallengeMs, WINDOW_MS), (Parameter::RulingMs, RULING_MS)] {
        genesis.parameters.0.insert(parameter, value);
    }
    let mut world = mesh(World::of(genesis));
    for who in [key(1), bob()] {
        world.must(&who, Operation::Bond(Bond { duty: Duty::Host, amount: Uftns(10_000_000) }));
    }
    let content = |name: &[u8], who: &SecretKey, parents| {
        let owners = vec![ContentShare { owner: id_of(who), ppm: 1_000_000 }];
        Operation::RegisterContent(RegisterContent {
            content: Hash::of(name),
            owners,
            parents,
            price: Uftns(0),
            royalty_ppm: 0,
        })
    };
    world.must(&key(3), content(b"data", &key(3), vec![]));
    let parents = vec![ContentParent { content: Hash::of(b"data"), royalty_ppm: 200_000 }];
    world.must(&bob(), content(b"paper", &bob(), parents));
    world
}

fn terms(world: &World, content: &[u8], price: u64) -> ListingTerms {
    ListingTerms {
        title: "an offer".into(),
        about: String::new(),
        content: Hash::of(content),
        capability: Some(Capabilities::COMPUTE),
        region: None,
        energy: EnergySource::Unstated,
        price: Uftns(price),
        until: world.now().plus_ms(LATER_MS),
    }
}

fn list(world: &mut World, who: &SecretKey, kind: ListingKind, content: &[u8], price: u64) -> Hash {
    let terms = terms(world, content, price);
    world.must(who, Operation::CreateListing(CreateListing { kind, terms })).0
}

fn placed(world: &World, listing: Hash, work: Option<OrderedWork>) -> Operation {
    let release_deadline = world.now().plus_ms(LATER_MS);
    Operation::PlaceOrder(PlaceOrder { listing, max_price: Uftns(u64::MAX), work, release_deadline })
}

fn order(world: &mut World, who: &SecretKey, listing: Hash, work: Option<OrderedWork>) -> EscrowId {
    let op = placed(world, listing, work);
    world.must(who, op).0
}

fn work(parts: u32, reserve: u64) -> OrderedWork {
    OrderedWork { task: Hash::of(b"task"), module: Hash::of(b"module"), parts, reserve_per_part: Uftns(reserve) }
}

fn rate(world: &mut World, who: &SecretKey, order: EscrowId, stars: u8) -> Outcome {
    world.one(who, Operation::RateOrder(RateOrder { order, stars }))
}

fn score(world: &World, who: &SecretKey) -> u32 {
    query::reputation(&world.state, &id_of(who)).unwrap().map_or(500, |record| record.score)
}

fn open_orders(world: &World, listing: &Hash) -> u32 {
    query::listing(&world.state, listing).unwrap().unwrap().open_orders
}

#[test]
fn accepted_content_pays_the_market_the_owner_and_what_it_was_made_from() {
    let mut world = market();
    let listing = list(&mut world, &bob(), ListingKind::Model, b"paper", 10_001);
    let before = [bob(), key(3), alice()].map(|who| world.balance(&id_of(&who)));
    let op = placed(&world, listing, None);
    let (id, ordered) = world.must(&alice(), op);
    assert_eq!(query::totals(&world.state).unwrap().escrows, Uftns(10_001));
    assert_eq!(open_orders(&world, &listing), 1);
    let (_, accepted) = world.must(&alice(), Operation::AcceptDelivery(AcceptDelivery { order: id }));
    let Outcome::Executed { effect: Effect::DeliveryAccepted { fee, .. }, .. } = &accepted else { panic!() };
    assert_eq!(*fee, Uftns(101), "a hundredth, rounded up");
    let after = [bob(), key(3), alice()].map(|who| world.balance(&id_of(&who)));
    // Of 9,900: a fifth to the data.
    assert_eq!((after[0] - before[0], after[1] - before[1]), (7_920, 1_980));
    assert_eq!(before[2] - after[2], 10_001 + ordered.fee().0 + accepted.fee().0);
    let totals = query::totals(&world.state).unwrap();
    assert_eq!((totals.treasury, totals.escrows), (Uftns(101), Uftns::ZERO));
    assert_eq!(open_orders(&world, &listing), 0);
    let paper = query::content(&world.state, &Hash::of(b"paper")).unwrap().unwrap();
    assert_eq!((paper.uses, paper.downloads, paper.impact.downloads), (0, 1, IMPACT_OF_USE), "a copy, no use");
    // Whoever paid for it may rate the content itself as well.
    let stars = Operation::RateContent(RateContent { content: Hash::of(b"paper"), stars: 4 });
    assert!(world.one(&alice(), stars).is_executed());
}

#[test]
fn a_delivery_that_nobody_disputes_is_paid_and_one_refused_by_a_panel_is_not() {
    let mut world = market();
    let listing = list(&mut world, &bob(), ListingKind::Data, b"paper", 1_000);
    let (silent, disputed) = (order(&mut world, &alice(), listing, None), order(&mut world, &alice(), listing, None));
    for order in [silent, disputed] {
        world.must(&bob(), Operation::ClaimDelivery(ClaimDelivery { order }));
    }
    let again = world.one(&bob(), Operation::ClaimDelivery(ClaimDelivery { order: silent }));
    assert!(matches!(again.rejection(), Some(Rejection::AlreadyDone(_))));
    world.must(&alice(), Operation::DisputeClaim(DisputeClaim { escrow: disputed, part: 0 }));
    world.run(10, vec![]);
    let panel = query::claim(&world.state, &disputed, 0).unwrap().unwrap().panel;
    for judge in (2..=4).map(key).filter(|key| panel.contains(&id_of(key))).take(2) {
        world.must(&judge, Operation::RuleClaim(RuleClaim { escrow: disputed, part: 0, pay: false }));
    }
    let before = world.balance(&id_of(&bob()));
    let due = world.run(WINDOW_MS, vec![]).1.due;
    assert!(
        due.iter().any(|event| matches!(event, DueEvent::ClaimPaid { escrow, .. } if *escrow == silent)),
        "{due:?}"
    );
    // 990 after the market's share, a fifth of it to the data.
    assert_eq!(world.balance(&id_of(&bob())), before + 792);
    assert_eq!(score(&world, &bob()), 500 - 100 + 2);
    world.run(LATER_MS, vec![]);
    assert_eq!(query::escrow(&world.state, &disputed).unwrap().unwrap().status, EscrowStatus::Refunded);
    assert_eq!(open_orders(&world, &listing), 0, "an order that came back makes room");
}

#[test]
fn ordered_work_costs_what_was_listed_and_is_paid_to_its_seller_alone() {
    let mut world = market();
    let listing = list(&mut world, &key(1), ListingKind::Agent(AgentId(1)), b"card", 8_000);
    let id = order(&mut world, &alice(), listing, Some(work(2, 5_000)));
    let release =
        |world: &World, report| Operation::EscrowRelease(EscrowRelease { escrow: id, receipt: receipt(world, report) });
    let other = TaskReport { agent: AgentId(2), ..report(0) };
    let signed = other.sign(&world.context, &key(1), &common::agent_key(1));
    let wrong = world.one(&alice(), Operation::EscrowRelease(EscrowRelease { escrow: id, receipt: signed }));
    assert!(matches!(wrong.rejection(), Some(Rejection::ListingMismatch { .. })), "{wrong:?}");
    let op = release(&world, report(0));
    let before = world.balance(&id_of(&key(1)));
    let (_, paid) = world.must(&alice(), op);
    let Outcome::Executed { effect: Effect::PartReleased { price, .. }, fee } = &paid else { panic!("{paid:?}") };
    // By units it would be 5,000.
    assert_eq!((price.base, price.fee), (Uftns(8_000), Uftns(80)));
    assert_eq!(world.balance(&id_of(&key(1))), before + 7_920 + fee.0 / 2);
    assert_eq!(open_orders(&world, &listing), 1, "a part is left");
    let op = release(&world, report(1));
    world.must(&alice(), op);
    assert_eq!(open_orders(&world, &listing), 0);

    // Node 2 lists computing; node 1 works for it in vain.
    let listing = list(&mut world, &key(2), ListingKind::Compute, b"card", 8_000);
    let id = order(&mut world, &alice(), listing, Some(work(1, 5_000)));
    let stolen = Operation::EscrowRelease(EscrowRelease { escrow: id, receipt: receipt(&world, report(0)) });
    let stolen = world.one(&alice(), stolen);
    assert!(matches!(stolen.rejection(), Some(Rejection::NotOwner { .. })), "{stolen:?}");
    let claimed = Operation::ClaimPart(ClaimPart { escrow: id, receipt: receipt(&world, report(0)) });
    assert!(matches!(world.one(&key(1), claimed).rejection(), Some(Rejection::NotOwner { .. })));
}

#[test]
fn only_whoever_paid_rates_once_an_order_and_each_star_counts() {
    let mut world = market();
    let listing = list(&mut world, &bob(), ListingKind::Model, b"paper", 100);
    let unpaid = order(&mut world, &alice(), listing, None);
    assert!(matches!(rate(&mut world, &alice(), unpaid, 5).rejection(), Some(Rejection::Unknown { .. })));
    let mut expected = 500;
    for (stars, by) in [(5, 4), (1, -4), (3, 0)] {
        let id = order(&mut world, &alice(), listing, None);
        world.must(&alice(), Operation::AcceptDelivery(AcceptDelivery { order: id }));
        expected += 2;
        assert!(matches!(rate(&mut world, &operator(), id, stars).rejection(), Some(Rejection::NotOwner { .. })));
        assert!(rate(&mut world, &alice(), id, stars).is_executed());
        expected += by;
        let record = query::reputation(&world.state, &id_of(&bob())).unwrap().unwrap();
        assert_eq!((i64::from(record.score), record.because), (expected, id), "{stars} stars");
        assert!(matches!(rate(&mut world, &alice(), id, 5).rejection(), Some(Rejection::AlreadyDone(_))));
    }
    let record = query::listing(&world.state, &listing).unwrap().unwrap();
    assert_eq!((record.stars, record.ratings, record.orders, record.open_orders), (9, 3, 4, 1));
}

#[test]
fn a_listing_ends_by_itself_is_renewed_and_withdrawn() {
    let mut world = market();
    let ends = |world: &mut World| {
        world.run(LATER_MS, vec![]).1.due.iter().any(|event| matches!(event, DueEvent::ListingEnded { .. }))
    };
    let listing = list(&mut world, &key(1), ListingKind::Compute, b"work", 10);
    world.run(LATER_MS / 2, vec![]);
    let renewed = terms(&world, b"work", 20);
    world.must(&key(1), Operation::ChangeListing(ChangeListing { listing, terms: renewed }));
    world.run(LATER_MS / 2 - 20, vec![]);
    assert!(!query::listing(&world.state, &listing).unwrap().unwrap().closed, "its first end was put off");
    assert!(ends(&mut world));
    let late = placed(&world, listing, Some(work(1, 0)));
    assert!(matches!(world.one(&alice(), late).rejection(), Some(Rejection::AlreadyDone(_))));
    let late = terms(&world, b"work", 30);
    let late = world.one(&key(1), Operation::ChangeListing(ChangeListing { listing, terms: late }));
    assert!(matches!(late.rejection(), Some(Rejection::AlreadyDone(_))));
    let second = list(&mut world, &key(1), ListingKind::Compute, b"work", 10);
    world.must(&key(1), Operation::WithdrawListing(WithdrawListing { listing: second }));
    assert!(!ends(&mut world), "what was withdrawn does not end again");
}

#[test]
fn listings_of_one_account_and_orders_of_one_listing_are_bounded() {
    let mut world = market();
    let mut listings = Vec::new();
    for _ in 0..MAX_LISTINGS {
        listings.push(list(&mut world, &key(1), ListingKind::Compute, b"work", 10));
    }
    let more =
        Operation::CreateListing(CreateListing { kind: ListingKind::Compute, terms: terms(&world, b"work", 10) });
    assert!(matches!(world.one(&key(1), more.clone()).rejection(), Some(Rejection::TooMany { found: 64, .. })));
    world.must(&key(1), Operation::WithdrawListing(WithdrawListing { listing: listings[0] }));
    world.must(&key(1), more);
    for _ in 0..MAX_OPEN_ORDERS {
        order(&mut world, &alice(), listings[1], Some(work(1, 5)));
    }
    let more = placed(&world, listings[1], Some(work(1, 5)));
    assert!(matches!(world.one(&alice(), more).rejection(), Some(Rejection::TooMany { found: 256, .. })));
}

#[test]
fn what_reviewers_find_unsafe_takes_no_orders_until_it_is_something_else() {
    let mut world = market();
    let listing = list(&mut world, &key(1), ListingKind::Compute, b"work", 10);
    let review =
        |world: &mut World, n, safety| world.one(&key(n), Operation::ReviewListing(ReviewListing { listing, safety }));
    assert!(review(&mut world, 2, Safety::Unsafe).is_executed());
    order(&mut world, &alice(), listing, Some(work(1, 5)));
    assert!(matches!(review(&mut world, 2, Safety::Unsafe).rejection(), Some(Rejection::AlreadyDone(_))));
    assert!(review(&mut world, 3, Safety::Unsafe).is_executed());
    let more = placed(&world, listing, Some(work(1, 5)));
    assert_eq!(world.one(&alice(), more.clone()).rejection(), Some(&Rejection::UnsafeListing(listing)));
    // The same work at another price is as unsafe as before; other work is not known yet.
    let cheaper = terms(&world, b"work", 5);
    world.must(&key(1), Operation::ChangeListing(ChangeListing { listing, terms: cheaper }));
    assert_eq!(world.one(&alice(), more.clone()).rejection(), Some(&Rejection::UnsafeListing(listing)));
    let other = terms(&world, b"other work", 5);
    world.must(&key(1), Operation::ChangeListing(ChangeListing { listing, terms: other }));
    world.must(&alice(), more);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Conservation is checked by every block of the world; here: who ordered pays the price and the fees, and gets all of it back
    /// when nothing is delivered.
    #[test]
    fn an_order_costs_its_price_or_nothing(price in 1..1_000_000_000_u64, deliver: bool, wait in 1..100_000_u64) {
        let mut world = market();
        let listing = list(&mut world, &bob(), ListingKind::Data, b"paper", price);
        let before = world.balance(&id_of(&alice()));
        let op = placed(&world, listing, None);
        let (order, ordered) = world.must(&alice(), op);
        let mut fees = ordered.fee().0;
        if deliver {
            fees += world.must(&alice(), Operation::AcceptDelivery(AcceptDelivery { order })).1.fee().0;
        }
        world.run(LATER_MS + wait, vec![]);
        let cost = if deliver { price } else { 0 };
        prop_assert_eq!(world.balance(&id_of(&alice())), before - fees - cost);
        prop_assert_eq!(query::totals(&world.state).unwrap().escrows, Uftns::ZERO);
        prop_assert_eq!(open_orders(&world, &listing), 0);
    }
}
