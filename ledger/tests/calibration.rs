//! What auctions' orders say of their winners: predictions that are set against receipts, and orders that nobody served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, receipt, report};
use common::{World, agent_key, alice, bob, id_of, key, operator};
use mesh30k_ledger::genesis::GenesisOffice;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::*;
use mesh30k_ledger::outcome::DueEvent;
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::*;
use mesh30k_ledger::types::{Hash, Scope, SectorId, TimeMs, Uftns};
use proptest::prelude::*;

const WINDOW_MS: u64 = 10_000;
const RULING_MS: u64 = 20_000;
/// Enough to work, claim and be ruled on.
const LONG_MS: u64 = 2 * WINDOW_MS + RULING_MS;
const SALT: Hash = Hash([7; 32]);
/// What [`report`] states.
const STATED_UG: u64 = 7_125;

/// Node 1 has agents and a bond; everybody reviews.
fn world() -> World {
    let mut genesis = common::genesis();
    for (parameter, value) in [(Parameter::ChallengeMs, WINDOW_MS), (Parameter::RulingMs, RULING_MS)] {
        genesis.parameters.0.insert(parameter, value);
    }
    let office = |key: &SecretKey| GenesisOffice { office: Office::Reviewer, account: id_of(key) };
    genesis.offices = reviewers().iter().map(office).collect();
    let mut world = mesh(World::of(genesis));
    world.must(&key(1), Operation::Bond(Bond { duty: Duty::Host, amount: Uftns(500_000) }));
    world
}

fn reviewers() -> Vec<SecretKey> {
    vec![bob(), operator(), key(2), key(3), key(4)]
}

/// Alice's auction with these bids (who, price, expected footprint), all opened; gives its name and its winner.
fn auctioned(world: &mut World, bids: &[(SecretKey, u64, u64)], work_ms: u64) -> (Hash, SecretKey) {
    let now = world.now();
    let (task, module) = (Hash::of(b"task"), Hash::of(b"module"));
    let reveal_until = now.plus_ms(4_000);
    let terms = OpenAuction {
        task,
        module,
        max_price: Uftns(50_000),
        reserve: Uftns(20_000),
        commit_until: now.plus_ms(2_000),
        reveal_until,
        release_deadline: reveal_until.plus_ms(work_ms),
    };
    let (auction, _) = world.must(&alice(), Operation::OpenAuction(terms));
    for (who, price, carbon_ug) in bids {
        let sealed = sealed_bid(&auction, &id_of(who), Uftns(*price), *carbon_ug, &SALT);
        world.must(who, Operation::SealBid(SealBid { auction, sealed }));
    }
    world.run(2_000, vec![]);
    for (who, price, carbon_ug) in bids {
        let op = OpenBid { auction, price: Uftns(*price), carbon_ug: *carbon_ug, salt: SALT };
        world.must(who, Operation::OpenBid(op));
    }
    let due = world.run(2_000, vec![]).1.due;
    let [DueEvent::AuctionClosed { winner: Some(winner), .. }] = due.as_slice() else { panic!("{due:?}") };
    (auction, bids.iter().find(|(who, ..)| id_of(who) == *winner).unwrap().0.clone())
}

fn won_by_node_1(world: &mut World, expected_ug: u64, work_ms: u64) -> Hash {
    auctioned(world, &[(key(1), 6_000, expected_ug)], work_ms).0
}

fn release(world: &mut World, escrow: Hash) {
    let receipt = receipt(world, report(0));
    world.must(&alice(), Operation::EscrowRelease(EscrowRelease { escrow, receipt }));
}

fn claim(world: &mut World, escrow: Hash) {
    let receipt = receipt(world, report(0));
    world.must(&key(1), Operation::ClaimPart(ClaimPart { escrow, receipt }));
}

fn reputation(world: &World, who: &SecretKey) -> (u32, Hash) {
    let record = query::reputation(&world.state, &id_of(who)).unwrap();
    record.map_or((500, Hash::ZERO), |record| (record.score, record.because))
}

fn calibration(world: &World, who: &SecretKey) -> Option<CalibrationRecord> {
    query::calibration(&world.state, &id_of(who)).unwrap()
}

#[test]
fn what_a_bid_expected_is_set_against_its_receipt() {
    // (expected, worth to the reputation beside the two of a paid part)
    for (expected, step) in [
        (STATED_UG, 2),
        (STATED_UG * 10 / 11 + 1, 2),
        (STATED_UG * 4 / 5, 1),
        (STATED_UG * 3 / 5, 0),
        (STATED_UG * 9 / 5, 0),
        (STATED_UG / 3, -1),
        (STATED_UG * 5, -2),
        (0, -2),
    ] {
        let mut world = world();
        let order = won_by_node_1(&mut world, expected, 600_000);
        assert_eq!(calibration(&world, &key(1)), None, "a bid alone says nothing");
        release(&mut world, order);
        let record = calibration(&world, &key(1)).unwrap();
        let agreement = agreement_ppm(expected, STATED_UG);
        assert_eq!((record.confidence_ppm, record.predictions), ((7 * 500_000 + agreement) / 8, 1));
        assert_eq!((record.because, record.updated_at), (order, world.now()), "each change names its order");
        assert_eq!(reputation(&world, &key(1)), ((502 + step) as u32, order), "expected {expected}");
    }
}

#[test]
fn a_claim_that_nobody_disputed_teaches_as_well() {
    let mut world = world();
    let order = won_by_node_1(&mut world, STATED_UG, 600_000);
    claim(&mut world, order);
    world.run(WINDOW_MS, vec![]);
    assert_eq!(calibration(&world, &key(1)).unwrap().confidence_ppm, 562_500);
    assert_eq!(reputation(&world, &key(1)).0, 504);
}

/// Disputed and ruled for the worker, or accepted by the opener while or after it was disputed: paid, and nothing is learned.
#[test]
fn a_disputed_receipt_is_paid_and_teaches_nothing() {
    for way in 0..3 {
        let mut world = world();
        let order = won_by_node_1(&mut world, STATED_UG, 600_000);
        claim(&mut world, order);
        world.must(&alice(), Operation::DisputeClaim(DisputeClaim { escrow: order, part: 0 }));
        world.run(10, vec![]);
        match way {
            0 => {
                let panel = query::claim(&world.state, &order, 0).unwrap().unwrap().panel;
                for reviewer in reviewers().into_iter().filter(|key| panel.contains(&id_of(key))).take(2) {
                    world.must(&reviewer, Operation::RuleClaim(RuleClaim { escrow: order, part: 0, pay: true }));
                }
            }
            1 => release(&mut world, order),
            _ => {
                world.run(RULING_MS, vec![]);
                release(&mut world, order);
            }
        }
        assert_eq!(query::escrow(&world.state, &order).unwrap().unwrap().status, EscrowStatus::Settled);
        assert_eq!((calibration(&world, &key(1)), reputation(&world, &key(1)).0), (None, 502), "{way}");
    }
}

#[test]
fn a_won_order_that_nobody_serves_costs_reputation() {
    let mut world = world();
    let order = won_by_node_1(&mut world, 0, LONG_MS);
    let due = world.run(LONG_MS, vec![]).1.due;
    assert!(matches!(due.as_slice(), [DueEvent::EscrowRefunded { .. }]), "{due:?}");
    assert_eq!(reputation(&world, &key(1)), (490, order));
    assert_eq!(calibration(&world, &key(1)), None, "what was not done was not foreseen wrongly");
    assert_eq!(reputation(&world, &alice()).0, 500);
}

#[test]
fn nobody_answers_for_an_order_it_could_not_serve() {
    type Happens = fn(&mut World, Hash);
    let cases: [(&str, u64, Happens); 4] = [
        ("too short to be claimed against a silent requester", LONG_MS - 1, |_, _| {}),
        ("a receipt was shown, and refused for want of a ruling", LONG_MS, |world, order| {
            claim(world, order);
            world.must(&alice(), Operation::DisputeClaim(DisputeClaim { escrow: order, part: 0 }));
        }),
        ("a freeze stands", LONG_MS, |world, _| {
            let (scope, reason) = (Scope::Sector(SectorId(0)), "drill".into());
            let until = world.now().plus_ms(10 * LONG_MS);
            world.must(&operator(), Operation::Freeze(Freeze { scope, reason, until }));
        }),
        ("its work was accepted", LONG_MS, release),
    ];
    for (name, work_ms, happens) in cases {
        let mut world = world();
        let order = won_by_node_1(&mut world, STATED_UG, work_ms);
        happens(&mut world, order);
        world.run(2 * LONG_MS, vec![]);
        assert_ne!(query::escrow(&world.state, &order).unwrap().unwrap().status, EscrowStatus::Open);
        assert!(reputation(&world, &key(1)).0 >= 500, "{name}");
    }
}

#[test]
fn an_escrow_that_no_auction_filled_says_nothing_of_anybody() {
    let mut world = world();
    common::tasks::open(&mut world, 1, LONG_MS);
    let served = common::tasks::open(&mut world, 1, LONG_MS);
    release(&mut world, served);
    world.run(LONG_MS, vec![]);
    assert_eq!((calibration(&world, &key(1)), reputation(&world, &key(1)).0), (None, 502));
}

#[test]
fn a_dearer_bid_wins_by_better_predictions() {
    let mut world = world();
    let rival = |expected| [(key(1), 6_000, expected), (key(2), 5_990, expected)];
    let (_, winner) = auctioned(&mut world, &rival(STATED_UG), 600_000);
    assert_eq!(id_of(&winner), id_of(&key(2)), "of newcomers the cheaper one");
    let order = won_by_node_1(&mut world, STATED_UG, 600_000);
    release(&mut world, order);
    let (order, winner) = auctioned(&mut world, &rival(STATED_UG), 600_000);
    assert_eq!(id_of(&winner), id_of(&key(1)));
    let won = query::auction(&world.state, &order).unwrap().unwrap().won;
    assert_eq!(won, Some(OpenedBid { price: Uftns(6_000), carbon_ug: STATED_UG }));
    // Served by another agent of the same host: the account answers for all of them.
    let other = TaskReport { agent: mesh30k_ledger::types::AgentId(2), ..report(0) };
    let receipt = other.sign(&world.context, &key(1), &agent_key(1));
    world.must(&alice(), Operation::EscrowRelease(EscrowRelease { escrow: order, receipt }));
    assert_eq!(calibration(&world, &key(1)).unwrap().predictions, 2);
}

fn record(confidence_ppm: u32) -> CalibrationRecord {
    let at = TimeMs(0);
    CalibrationRecord { confidence_ppm, updated_at: at, because: Hash::ZERO, predictions: 0, ages_from: at }
}

/// A footprint: mostly of the size that work has.
fn footprint() -> impl Strategy<Value = u64> {
    prop_oneof![0..30_u64, 0..1_000_000_u64, any::<u64>()]
}

proptest! {
    /// The formula a second time, by errors where the ledger counts agreement, and by differences where it counts means.
    #[test]
    fn confidence_is_what_an_independent_count_says(
        steps in proptest::collection::vec((footprint(), footprint(), 0..3 * HALF_LIFE_MS), 1..40)
    ) {
        let (mut found, mut confidence, mut now) = (None, 500_000_i128, 0_u64);
        let mut forgotten = 0_u64;
        for (n, (expected, stated, later_ms)) in steps.iter().enumerate() {
            if found.is_none() {
                forgotten = now;
            }
            found = Some(CalibrationRecord::with(found.as_ref(), agreement_ppm(*expected, *stated), TimeMs(now), Hash::ZERO));
            while now - forgotten >= HALF_LIFE_MS {
                let away = confidence - 500_000;
                confidence -= away.signum() * ((away.abs() + 1) / 2);
                forgotten += HALF_LIFE_MS;
            }
            let off = i128::from(expected.abs_diff(*stated));
            let larger = i128::from(*expected.max(stated)) + 10;
            let error = (off * 1_000_000 + larger - 1) / larger;
            confidence = (confidence + (1_000_000 - error - confidence).div_euclid(8)).max(100_000);
            let record = found.unwrap();
            prop_assert_eq!(i128::from(record.confidence_ppm), confidence);
            prop_assert_eq!((record.predictions, record.updated_at), (n as u64 + 1, TimeMs(now)));
            now += later_ms;
        }
    }

    #[test]
    fn confidence_stays_in_its_bounds_and_a_perfect_prediction_never_lowers_it(
        start in CONFIDENCE_MIN_PPM..=CONFIDENCE_MAX_PPM, footprint in footprint(), other in footprint(), later_ms: u64
    ) {
        let before = record(start);
        let now = TimeMs(later_ms);
        let perfect = CalibrationRecord::with(Some(&before), agreement_ppm(footprint, footprint), now, Hash::ZERO);
        prop_assert!(perfect.confidence_ppm >= before.confidence_at(now));
        let with = CalibrationRecord::with(Some(&before), agreement_ppm(footprint, other), now, Hash::ZERO);
        prop_assert!((CONFIDENCE_MIN_PPM..=CONFIDENCE_MAX_PPM).contains(&with.confidence_ppm));
        prop_assert!(with.confidence_ppm <= perfect.confidence_ppm);
        // One prediction, however it was arranged, moves it by an eighth of the whole at most.
        prop_assert!(with.confidence_ppm.abs_diff(before.confidence_at(now)) <= CONFIDENCE_MAX_PPM / 8);
    }

    #[test]
    fn too_high_costs_what_too_low_does_and_nearer_is_never_worse(a in footprint(), b in footprint(), c in footprint()) {
        prop_assert_eq!(agreement_ppm(a, b), agreement_ppm(b, a));
        prop_assert_eq!(agreement_ppm(a, a), CONFIDENCE_MAX_PPM);
        let mut sorted = [a, b, c];
        sorted.sort_unstable();
        let [low, middle, high] = sorted;
        prop_assert!(agreement_ppm(low, high) <= agreement_ppm(low, middle).min(agreement_ppm(middle, high)));
    }

    /// Whoever is better in one and equal in the rest scores lower, whatever the rounding.
    #[test]
    fn a_better_bid_has_a_better_score(
        price in 2..1_000_000_000_u64, carbon_ug in 1..1_000_000_000_u64, reputation in 1..1_000_u32,
        confidence in CONFIDENCE_MIN_PPM..CONFIDENCE_MAX_PPM, carbon_price in 1..1_000_000_u64, by in 1..1_000_u64
    ) {
        let bid = OpenedBid { price: Uftns(price), carbon_ug };
        let score = bid_score(&bid, reputation, confidence, carbon_price);
        let more = u32::try_from(by).unwrap();
        let cheaper = OpenedBid { price: Uftns(price.saturating_sub(by).max(1)), carbon_ug };
        let cleaner = OpenedBid { price: Uftns(price), carbon_ug: carbon_ug.saturating_sub(by) };
        prop_assert!(bid_score(&cheaper, reputation, confidence, carbon_price) < score);
        prop_assert!(bid_score(&cleaner, reputation, confidence, carbon_price) < score);
        prop_assert!(bid_score(&bid, (reputation + more).min(1_000), confidence, carbon_price) < score);
        prop_assert!(bid_score(&bid, reputation, (confidence + more).min(CONFIDENCE_MAX_PPM), carbon_price) < score);
    }

    /// As a fraction: price x carbon factor / (reputation x confidence), and nothing that overflows.
    #[test]
    fn a_score_is_the_fraction_that_it_stands_for(
        price in 1..u64::MAX / 2, charge in 0..u64::MAX / 2, reputation in 0..=1_000_u32,
        confidence in CONFIDENCE_MIN_PPM..=CONFIDENCE_MAX_PPM
    ) {
        // The charge is what a reserve can hold: carbon at a uFTNS a microgram.
        let bid = OpenedBid { price: Uftns(price), carbon_ug: charge };
        let score = bid_score(&bid, reputation, confidence, 1_000_000);
        let cost = (u128::from(price) + u128::from(charge)) * 1_000_000;
        let trust = u128::from(reputation.max(1)) * u128::from(confidence);
        prop_assert!(score * trust <= cost * 1_000_000_000 && cost * 1_000_000_000 < (score + 1) * trust);
    }

    /// However often it is moved in between, a reputation forgets what its age says.
    #[test]
    fn changes_do_not_put_forgetting_off(changes in proptest::collection::vec(0..HALF_LIFE_MS, 1..60)) {
        let mut record = ReputationRecord::moved(None, 400, TimeMs(0), Hash::ZERO);
        let mut now = 0;
        for later_ms in changes {
            now += later_ms;
            record = ReputationRecord::moved(Some(&record), 0, TimeMs(now), Hash::ZERO);
        }
        let halves = (now / HALF_LIFE_MS).min(31);
        prop_assert_eq!(record.score, 500 + (400_u32 >> halves));
    }
}
