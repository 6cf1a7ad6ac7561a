//! Oracles, savings, credits, offices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of, key, operator, region};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{
    AttestSaving, Choice, ClaimSaving, CreditImport, OfficeChange, Operation, ProposalKind, Propose, ReportIntensity,
    RetireCredits, TransferCredits, Vote,
};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Office, ProposalStatus, TERM_MS};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{Hash, ProposalId};

const HOUR_MS: u64 = 3_600_000;

fn report(world: &mut World, who: &SecretKey, mg_per_kwh: u64) -> Outcome {
    world.one(who, Operation::ReportIntensity(ReportIntensity { region: region("DE"), mg_per_kwh }))
}

fn in_force(world: &World) -> u64 {
    query::intensity_mg_per_kwh(&world.state, region("DE")).unwrap()
}

#[test]
fn three_oracles_move_an_intensity_by_bounded_steps() {
    let mut world = World::new();
    report(&mut world, &key(1), 400_000);
    report(&mut world, &key(2), 900_000);
    assert_eq!(in_force(&world), 380_000, "two words are not enough");
    report(&mut world, &key(2), 420_000);
    report(&mut world, &key(3), 1);
    assert_eq!(in_force(&world), 400_000, "the median, whatever one oracle says");
    // All three together lie: a quarter an hour at most, however often they repeat it.
    for _ in 0..3 {
        for n in 1..=3 {
            report(&mut world, &key(n), 2_000_000);
        }
    }
    assert_eq!(in_force(&world), 475_000);
    world.run(HOUR_MS, vec![]);
    report(&mut world, &key(1), 2_000_000);
    assert_eq!(in_force(&world), 593_750);
    // Nobody reports any more: back to the table.
    world.run(24 * HOUR_MS + 1, vec![]);
    assert_eq!(in_force(&world), 380_000);
    let stranger = report(&mut world, &bob(), 1);
    assert!(matches!(stranger.rejection(), Some(Rejection::NotInOffice { office: Office::Oracle, .. })));
    let absurd = report(&mut world, &key(1), 2_000_001);
    assert!(matches!(absurd.rejection(), Some(Rejection::OutOfBounds { max: 2_000_000, .. })));
}

fn claim(evidence: &[u8], baseline_ug: u64, actual_ug: u64) -> Operation {
    Operation::ClaimSaving(ClaimSaving { evidence: Hash::of(evidence), baseline_ug, actual_ug })
}

fn attest(evidence: &[u8]) -> Operation {
    Operation::AttestSaving(AttestSaving { evidence: Hash::of(evidence) })
}

fn retire(amount_ug: u64) -> Operation {
    Operation::RetireCredits(RetireCredits { amount_ug })
}

#[test]
fn credits_are_issued_once_for_an_attested_saving_and_retired_once() {
    let mut world = World::new();
    assert!(world.one(&alice(), claim(b"e", 900, 300)).is_executed());
    let twice = world.one(&bob(), claim(b"e", 900, 300));
    assert!(matches!(twice.rejection(), Some(Rejection::AlreadyDone(_))), "evidence is used once on the whole ledger");
    assert!(matches!(world.one(&alice(), attest(b"e")).rejection(), Some(Rejection::NotInOffice { .. })));
    assert!(matches!(world.one(&key(2), attest(b"x")).rejection(), Some(Rejection::Unknown { .. })));
    assert!(world.one(&key(2), attest(b"e")).is_executed());
    assert!(matches!(world.one(&key(2), attest(b"e")).rejection(), Some(Rejection::AlreadyDone(_))));
    assert_eq!(query::credit_totals(&world.state).unwrap().issued_ug, 0);
    let last = world.one(&key(3), attest(b"e"));
    assert!(matches!(last, Outcome::Executed { effect: Effect::SavingAttested { issued_ug: 600, .. }, .. }));
    assert!(matches!(world.one(&key(4), attest(b"e")).rejection(), Some(Rejection::AlreadyDone(_))));

    let give = |to, amount_ug| Operation::TransferCredits(TransferCredits { to, amount_ug });
    assert!(world.one(&alice(), give(id_of(&bob()), 250)).is_executed());
    assert!(matches!(world.one(&alice(), give(id_of(&alice()), 1)).rejection(), Some(Rejection::SelfReference(_))));
    let short = Rejection::CreditsShort { needed_ug: 351, held_ug: 350 };
    assert_eq!(world.one(&alice(), give(id_of(&bob()), 351)).rejection(), Some(&short));
    assert!(world.one(&bob(), retire(250)).is_executed());
    let again = Rejection::CreditsShort { needed_ug: 250, held_ug: 0 };
    assert_eq!(world.one(&bob(), retire(250)).rejection(), Some(&again), "retired for good");
    assert!(matches!(world.one(&bob(), retire(0)).rejection(), Some(Rejection::OutOfBounds { .. })));
    let totals = query::credit_totals(&world.state).unwrap();
    assert_eq!((totals.issued_ug, totals.held_ug, totals.retired_ug), (600, 350, 250));
}

#[test]
fn reviewers_do_not_attest_their_own_and_savings_save() {
    let mut world = World::new();
    world.one(&key(2), claim(b"own", 10, 0));
    assert!(matches!(world.one(&key(2), attest(b"own")).rejection(), Some(Rejection::SelfReference(_))));
    for (baseline, actual) in [(5, 5), (4, 5), (u64::MAX, 0)] {
        let outcome = world.one(&alice(), claim(b"none", baseline, actual));
        assert!(matches!(outcome.rejection(), Some(Rejection::OutOfBounds { .. })), "{outcome:?}");
    }
}

fn pass(world: &mut World, kind: ProposalKind) -> ProposalStatus {
    let opened = world.one(&alice(), Operation::Propose(Propose { title: "by vote".into(), kind }));
    let Outcome::Executed { effect: Effect::Proposed { proposal, .. }, .. } = opened else { panic!("{opened:?}") };
    assert!(world.one(&alice(), Operation::Vote(Vote { proposal, choice: Choice::Yes })).is_executed());
    world.run(5_000, vec![]);
    world.run(2_000, vec![]);
    status(world, proposal)
}

fn status(world: &World, id: ProposalId) -> ProposalStatus {
    query::proposal(&world.state, id).unwrap().unwrap().status
}

#[test]
fn offices_are_given_and_taken_by_vote_and_end_with_their_term() {
    let mut world = World::new();
    let change =
        |appointed| ProposalKind::Office(OfficeChange { office: Office::Oracle, account: id_of(&bob()), appointed });
    assert!(!report(&mut world, &bob(), 1).is_executed());
    assert_eq!(pass(&mut world, change(true)), ProposalStatus::Executed);
    assert!(report(&mut world, &bob(), 1).is_executed());
    assert_eq!(pass(&mut world, change(false)), ProposalStatus::Executed);
    assert!(!report(&mut world, &bob(), 1).is_executed());
    assert_eq!(pass(&mut world, change(false)), ProposalStatus::Failed, "who holds no office loses none");
    assert!(report(&mut world, &key(1), 1).is_executed());
    world.run(TERM_MS, vec![]);
    assert!(!report(&mut world, &key(1), 1).is_executed(), "terms end by themselves");
}

#[test]
fn credits_come_in_by_vote() {
    let mut world = World::new();
    let import = |amount_ug, source: &str| {
        ProposalKind::CreditImport(CreditImport { to: id_of(&operator()), amount_ug, source: source.into() })
    };
    assert_eq!(pass(&mut world, import(700, "registry X, 1 to 7")), ProposalStatus::Executed);
    assert_eq!(query::credits(&world.state, &id_of(&operator())).unwrap().unwrap().held_ug, 700);
    for kind in [import(0, "x"), import(1, "")] {
        let refused = world.one(&alice(), Operation::Propose(Propose { title: "x".into(), kind }));
        assert!(matches!(refused.rejection(), Some(Rejection::OutOfBounds { .. })));
    }
}
