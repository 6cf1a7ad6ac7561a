//! Work that is paid without its requester: claim, window, dispute, lot, ruling; and what tasks are for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{PART, RESERVE, mesh, open, receipt, report};
use common::{World, alice, bob, id_of, key, operator};
use mesh30k_ledger::genesis::GenesisOffice;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{
    Bond, ClaimPart, DeclarePurpose, DisputeClaim, EscrowRelease, Freeze, Operation, ReclassifyPurpose, RuleClaim,
    Transfer,
};
use mesh30k_ledger::outcome::{DueEvent, Effect, Outcome};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{ClaimStatus, Duty, EscrowStatus, Office};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{AccountId, EscrowId, Scope, Uftns};

const WINDOW_MS: u64 = 10_000;
const RULING_MS: u64 = 20_000;
const DISPUTE_BOND: u64 = 1_000_000;
const HOST_BOND: u64 = 100_000;

/// Node 1 has agents and a bond; ten reviewers.
fn world() -> World {
    let mut genesis = common::genesis();
    for (parameter, value) in [(Parameter::ChallengeMs, WINDOW_MS), (Parameter::RulingMs, RULING_MS)] {
        genesis.parameters.0.insert(parameter, value);
    }
    genesis.offices =
        reviewers().iter().map(|key| GenesisOffice { office: Office::Reviewer, account: id_of(key) }).collect();
    let mut world = mesh(World::of(genesis));
    assert!(world.one(&key(1), Operation::Bond(Bond { duty: Duty::Host, amount: Uftns(HOST_BOND) })).is_executed());
    world
}

/// Alice opens and node 1 works: neither may sit on a panel, though both are reviewers.
fn reviewers() -> Vec<SecretKey> {
    vec![alice(), bob(), operator(), key(1), key(2), key(3), key(4)]
}

fn claim(world: &mut World, escrow: EscrowId, part: u32) -> Outcome {
    let receipt = receipt(world, report(part));
    world.one(&key(1), Operation::ClaimPart(ClaimPart { escrow, receipt }))
}

fn dispute(world: &mut World, who: &SecretKey, escrow: EscrowId, part: u32) -> Outcome {
    world.one(who, Operation::DisputeClaim(DisputeClaim { escrow, part }))
}

fn rule(world: &mut World, who: &AccountId, escrow: EscrowId, pay: bool) -> Outcome {
    let key = reviewers().into_iter().find(|key| id_of(key) == *who).unwrap();
    world.one(&key, Operation::RuleClaim(RuleClaim { escrow, part: 0, pay }))
}

/// A disputed claim on part 0 with its panel.
fn disputed(world: &mut World) -> (EscrowId, Vec<AccountId>) {
    let escrow = open(world, 2, 600_000);
    assert!(claim(world, escrow, 0).is_executed());
    assert!(dispute(world, &alice(), escrow, 0).is_executed());
    world.run(10, vec![]);
    (escrow, query::claim(&world.state, &escrow, 0).unwrap().unwrap().panel)
}

#[test]
fn an_undisputed_claim_is_paid_when_its_window_ends() {
    let mut world = world();
    let escrow = open(&mut world, 2, 600_000);
    let worker = id_of(&key(1));
    assert!(claim(&mut world, escrow, 0).is_executed());
    assert!(matches!(claim(&mut world, escrow, 0).rejection(), Some(Rejection::AlreadyDone(_))));
    assert!(world.run(WINDOW_MS - 100, vec![]).1.due.is_empty());
    let before = world.balance(&worker);
    let due = world.run(200, vec![]).1.due;
    let [DueEvent::ClaimPaid { price: Some(price), worker: paid, part: 0, .. }] = due.as_slice() else {
        panic!("{due:?}")
    };
    assert_eq!((price.base, *paid), (Uftns(5_000), worker));
    assert_eq!(world.balance(&worker), before + 5_000);
    let late = dispute(&mut world, &alice(), escrow, 0);
    assert!(matches!(late.rejection(), Some(Rejection::AlreadyDone(_))));
    assert_eq!(query::reputation(&world.state, &worker).unwrap().unwrap().score, 502);
}

#[test]
fn what_the_opener_accepts_meanwhile_is_paid_once() {
    let mut world = world();
    let escrow = open(&mut world, 1, 600_000);
    claim(&mut world, escrow, 0);
    let accepted = EscrowRelease { escrow, receipt: receipt(&world, report(0)) };
    assert!(world.one(&alice(), Operation::EscrowRelease(accepted)).is_executed());
    let before = world.balance(&id_of(&key(1)));
    world.run(WINDOW_MS, vec![]);
    assert_eq!(world.balance(&id_of(&key(1))), before);
    assert_eq!(query::totals(&world.state).unwrap().escrows, Uftns::ZERO);
}

#[test]
fn a_panel_without_the_parties_decides_by_majority_for_the_worker() {
    let mut world = world();
    let (escrow, panel) = disputed(&mut world);
    assert_eq!(panel.len(), 3);
    assert!(!panel.contains(&id_of(&alice())) && !panel.contains(&id_of(&key(1))));
    let outsider = reviewers().iter().map(id_of).find(|id| !panel.contains(id)).unwrap();
    assert_eq!(rule(&mut world, &outsider, escrow, false).rejection(), Some(&Rejection::NotDrawn(outsider)));
    assert!(rule(&mut world, &panel[0], escrow, true).is_executed());
    assert!(matches!(rule(&mut world, &panel[0], escrow, true).rejection(), Some(Rejection::AlreadyDone(_))));
    assert!(rule(&mut world, &panel[1], escrow, false).is_executed());
    let before = world.balance(&id_of(&key(1)));
    let last = rule(&mut world, &panel[2], escrow, true);
    // The part, the bond of a dispute that was lost, and the proposer's half of the fee.
    assert_eq!(world.balance(&id_of(&key(1))), before + 5_000 + DISPUTE_BOND + last.fee().0 / 2);
    assert_eq!(query::claim(&world.state, &escrow, 0).unwrap().unwrap().status, ClaimStatus::Paid);
    let late = rule(&mut world, &panel[1], escrow, false);
    assert!(matches!(late.rejection(), Some(Rejection::AlreadyDone(_))));
}

#[test]
fn a_refused_claim_costs_the_workers_bond_and_returns_the_openers() {
    let mut world = world();
    let opener = id_of(&alice());
    let before = world.balance(&opener);
    let (escrow, panel) = disputed(&mut world);
    rule(&mut world, &panel[0], escrow, false);
    rule(&mut world, &panel[1], escrow, false);
    // A tenth of the bond is taken, a twentieth of that rewards the opener.
    let record = query::bond(&world.state, &id_of(&key(1))).unwrap().unwrap();
    assert_eq!(record.slashed, Uftns(HOST_BOND / 10));
    let again = claim(&mut world, escrow, 0);
    assert!(matches!(again.rejection(), Some(Rejection::AlreadyDone(_))), "a refused receipt stays refused");
    world.run(600_000, vec![]);
    assert_eq!(query::escrow(&world.state, &escrow).unwrap().unwrap().status, EscrowStatus::Refunded);
    let fees = 20 + 30;
    assert_eq!(world.balance(&opener), before - fees + HOST_BOND / 10 / 20);
    assert!(query::reputation(&world.state, &id_of(&key(1))).unwrap().unwrap().score < 500);
}

#[test]
fn nobody_rules_and_nobody_loses_a_bond() {
    let mut world = world();
    let (escrow, _) = disputed(&mut world);
    let due = world.run(RULING_MS, vec![]).1.due;
    assert_eq!(due, [DueEvent::ClaimLapsed { escrow, part: 0 }]);
    let record = query::claim(&world.state, &escrow, 0).unwrap().unwrap();
    assert_eq!((record.status, record.bond), (ClaimStatus::Refused, Uftns::ZERO));
    assert_eq!(query::bond(&world.state, &id_of(&key(1))).unwrap().unwrap().slashed, Uftns::ZERO);
    assert_eq!(query::totals(&world.state).unwrap().escrows.0, 2 * (PART.0 + RESERVE.0));
}

#[test]
fn claims_that_do_not_hold_are_refused() {
    let mut world = world();
    let escrow = open(&mut world, 2, 600_000);
    let good = receipt(&world, report(0));
    let stranger = world.one(&bob(), Operation::ClaimPart(ClaimPart { escrow, receipt: good }));
    assert!(matches!(stranger.rejection(), Some(Rejection::NotOwner { .. })));
    let unknown = ClaimPart { escrow: common::tasks::report(0).task, receipt: good };
    assert!(matches!(world.one(&key(1), Operation::ClaimPart(unknown)).rejection(), Some(Rejection::UnknownEscrow(_))));
    let mut forged = good;
    forged.report.fuel += 1;
    let forged = world.one(&key(1), Operation::ClaimPart(ClaimPart { escrow, receipt: forged }));
    assert!(matches!(forged.rejection(), Some(Rejection::ReceiptSignature(_))));
    assert!(matches!(claim(&mut world, escrow, 2).rejection(), Some(Rejection::UnknownPart { .. })));
    let short = open(&mut world, 1, WINDOW_MS + RULING_MS - 1);
    assert!(matches!(claim(&mut world, short, 0).rejection(), Some(Rejection::DeadlineTooFar { .. })));
    assert!(matches!(dispute(&mut world, &alice(), escrow, 0).rejection(), Some(Rejection::Unknown { .. })));
    assert!(claim(&mut world, escrow, 0).is_executed());
    assert!(matches!(dispute(&mut world, &bob(), escrow, 0).rejection(), Some(Rejection::NotOpener { .. })));
    let early = world.one(&key(2), Operation::RuleClaim(RuleClaim { escrow, part: 0, pay: true }));
    assert!(matches!(early.rejection(), Some(Rejection::AlreadyDone(_))), "nothing to rule on");

    let unbonded = mesh(World::new());
    let mut world = unbonded;
    let escrow = open(&mut world, 1, 1_000_000_000);
    let refused = claim(&mut world, escrow, 0);
    let needed = Rejection::BondTooSmall { duty: Duty::Host, needed: Uftns(10 * PART.0), bonded: Uftns::ZERO };
    assert_eq!(refused.rejection(), Some(&needed));
}

#[test]
fn clocks_of_claims_stand_still_while_everything_is_frozen() {
    let mut world = world();
    let escrow = open(&mut world, 1, WINDOW_MS + RULING_MS + 1_000);
    claim(&mut world, escrow, 0);
    let until = world.now().plus_ms(60_000);
    world.one(&operator(), Operation::Freeze(Freeze { scope: Scope::Global, reason: "drill".into(), until }));
    world.run(60_000, vec![]);
    let status = |world: &World| query::claim(&world.state, &escrow, 0).unwrap().unwrap().status;
    world.run(2_000, vec![]);
    assert_eq!(status(&world), ClaimStatus::Open);
    assert!(dispute(&mut world, &alice(), escrow, 0).is_executed());
    world.run(WINDOW_MS, vec![]);
    assert_eq!(status(&world), ClaimStatus::Disputed);
    world.run(RULING_MS, vec![]);
    world.run(RULING_MS, vec![]);
    assert_eq!(status(&world), ClaimStatus::Refused);
    assert_eq!(query::totals(&world.state).unwrap().escrows, Uftns::ZERO);
}

#[test]
fn purposes_are_declared_once_and_corrected_by_two_reviewers() {
    let mut world = world();
    let escrow = open(&mut world, 1, 600_000);
    let declare = |purpose| Operation::DeclarePurpose(DeclarePurpose { escrow, purpose });
    let correct = |purpose| Operation::ReclassifyPurpose(ReclassifyPurpose { escrow, purpose });
    let in_force = |world: &World| query::purpose(&world.state, &escrow).unwrap().unwrap().in_force;
    assert!(matches!(world.one(&key(2), correct(Purpose::Luxury)).rejection(), Some(Rejection::Unknown { .. })));
    assert!(matches!(world.one(&bob(), declare(Purpose::Luxury)).rejection(), Some(Rejection::NotOpener { .. })));
    assert!(world.one(&alice(), declare(Purpose::DisasterResponse)).is_executed());
    let twice = world.one(&alice(), declare(Purpose::ClimateAdaptation));
    assert!(matches!(twice.rejection(), Some(Rejection::AlreadyDone(_))));
    assert!(world.one(&key(2), correct(Purpose::ProofOfWork)).is_executed());
    assert!(matches!(world.one(&key(2), correct(Purpose::ProofOfWork)).rejection(), Some(Rejection::AlreadyDone(_))));
    assert!(world.one(&key(3), correct(Purpose::Luxury)).is_executed());
    assert_eq!(in_force(&world), Purpose::DisasterResponse, "two reviewers, two minds");
    assert!(world.one(&key(4), correct(Purpose::ProofOfWork)).is_executed());
    assert_eq!(in_force(&world), Purpose::ProofOfWork);
}

/// Alice declares a purpose, two reviewers say another; gives what it cost her and her reputation then.
fn corrected(world: &mut World, declared: Purpose, found: Purpose) -> (u64, u32) {
    let escrow = open(world, 3, 600_000);
    let declare = Operation::DeclarePurpose(DeclarePurpose { escrow, purpose: declared });
    assert!(world.one(&alice(), declare).is_executed());
    let before = world.balance(&id_of(&alice()));
    for n in [2, 3] {
        let op = ReclassifyPurpose { escrow, purpose: found };
        assert!(world.one(&key(n), Operation::ReclassifyPurpose(op)).is_executed());
    }
    let reputation = query::reputation(&world.state, &id_of(&alice())).unwrap();
    (before - world.balance(&id_of(&alice())), reputation.map_or(500, |record| record.score))
}

#[test]
fn a_false_purpose_costs_the_difference_a_penalty_and_reputation() {
    // Three parts of 10,000; 95 % of that was pretended, a tenth comes on top.
    let mut world = self::world();
    let treasury = query::totals(&world.state).unwrap().treasury.0;
    assert_eq!(corrected(&mut world, Purpose::DisasterResponse, Purpose::Luxury), (28_500 + 3_000, 450));
    assert_eq!(query::totals(&world.state).unwrap().treasury.0 - treasury, 31_500);
    // Education counts 2.0 where Alice is: half of that was pretended.
    assert_eq!(corrected(&mut world, Purpose::Education, Purpose::GeneralResearch), (15_000 + 3_000, 400));
    // Modesty and words that say the same cost nothing.
    assert_eq!(corrected(&mut world, Purpose::GeneralResearch, Purpose::ClimateScience), (0, 400));
}

#[test]
fn a_false_purpose_costs_once_and_at_most_what_there_is() {
    let mut world = self::world();
    let escrow = open(&mut world, 3, 600_000);
    let declare = DeclarePurpose { escrow, purpose: Purpose::ClimateAdaptation };
    assert!(world.one(&alice(), Operation::DeclarePurpose(declare)).is_executed());
    let rest = world.balance(&id_of(&alice())) - 30_000;
    let poor = Transfer { to: id_of(&bob()), amount: Uftns(rest), memo: String::new() };
    assert!(world.one(&alice(), Operation::Transfer(poor)).is_executed());
    let left = world.balance(&id_of(&alice()));
    let say = |world: &mut World, n: u8, purpose| {
        world.one(&key(n), Operation::ReclassifyPurpose(ReclassifyPurpose { escrow, purpose }))
    };
    say(&mut world, 2, Purpose::ProofOfWork);
    match say(&mut world, 3, Purpose::ProofOfWork) {
        // 98 % of 30,000, and what is left of the penalty's 3,000.
        Outcome::Executed { effect: Effect::PurposeFalse { difference, penalty, .. }, .. } => {
            assert_eq!((difference.0, penalty.0), (29_400, left - 29_400));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.balance(&id_of(&alice())), 0);
    for purpose in [Purpose::Education, Purpose::Luxury] {
        for n in [2, 3] {
            assert!(matches!(say(&mut world, n, purpose), Outcome::Executed { effect: Effect::PurposeSet { .. }, .. }));
        }
    }
    assert_eq!(query::escrow(&world.state, &escrow).unwrap().unwrap().locked, Uftns(3 * (PART.0 + RESERVE.0)));
}
