//! Where accounts are and how renewable nodes are: said by themselves, attested by others, and what a region may bring in a day.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{PART, RESERVE, mesh, open, receipt, report};
use common::{World, alice, bob, genesis, id_of, key, operator, region};
use mesh30k_ledger::charges::needed_reserve;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{Attest, Capabilities, Declare, EscrowOpen, EscrowRelease, Operation, carbon_ug};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::pricing::Price;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Declared, PERIOD_MS};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{EscrowId, Hash, NodeId, Uftns};

fn declare(what: Declared) -> Operation {
    Operation::Declare(Declare { what, evidence: Hash::of(b"bill") })
}

fn attest(who: &SecretKey, what: Declared) -> Operation {
    Operation::Attest(Attest { account: id_of(who), what })
}

fn in_force(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Executed { effect: Effect::Declared { in_force, .. } | Effect::Attested { in_force, .. }, .. } => {
            *in_force
        }
        other => panic!("{other:?}"),
    }
}

/// Kenya is in the access list.
fn ke() -> Declared {
    Declared::Region(region("KE"))
}

fn pay(world: &mut World, who: &SecretKey, escrow: EscrowId, part: u32) -> Price {
    let receipt = receipt(world, report(part));
    let (_, outcome) = world.must(who, Operation::EscrowRelease(EscrowRelease { escrow, receipt }));
    let Outcome::Executed { effect: Effect::PartReleased { price, .. }, .. } = outcome else { panic!("{outcome:?}") };
    price
}

#[test]
fn a_region_brings_nothing_before_two_others_attest_it() {
    let mut world = mesh(World::new());
    let premium =
        |world: &World| needed_reserve(&world.state, &id_of(&bob()), PART, &Hash::of(b"module")).unwrap().premium;
    assert_eq!(premium(&world), Uftns(2_000));
    assert!(!in_force(&world.one(&bob(), declare(ke()))));
    let account = query::account(&world.state, &id_of(&bob())).unwrap().unwrap();
    assert_eq!(
        (account.region, account.attested_region()),
        (Some(region("KE")), None),
        "not where it was before either"
    );
    assert_eq!(premium(&world), Uftns(2_000));
    assert!(matches!(world.one(&operator(), attest(&bob(), ke())).rejection(), Some(Rejection::NotInOffice { .. })));
    // A reviewer and an oracle; the same word twice is one.
    assert!(!in_force(&world.one(&key(4), attest(&bob(), ke()))));
    assert!(matches!(world.one(&key(4), attest(&bob(), ke())).rejection(), Some(Rejection::AlreadyDone(_))));
    assert_eq!(premium(&world), Uftns(2_000));
    assert!(in_force(&world.one(&key(1), attest(&bob(), ke()))));
    assert_eq!(premium(&world), Uftns::ZERO);
    assert!(
        matches!(world.one(&key(2), attest(&bob(), ke())).rejection(), Some(Rejection::Unknown { .. })),
        "it is done"
    );

    // Whoever moves is nowhere until that is attested; words on the old place do not count for the new one.
    let de = Declared::Region(region("DE"));
    assert!(!in_force(&world.one(&bob(), declare(de))));
    assert_eq!(premium(&world), Uftns(2_000));
    world.must(&key(2), attest(&bob(), de));
    assert!(!in_force(&world.one(&bob(), declare(ke()))));
    assert!(matches!(world.one(&key(3), attest(&bob(), de)).rejection(), Some(Rejection::Unknown { .. })));
    assert!(!in_force(&world.one(&key(2), attest(&bob(), ke()))), "counted anew");
}

#[test]
fn a_renewable_share_rises_by_attestation_and_falls_at_once() {
    let mut world = mesh(World::new());
    let share = |world: &World| query::node(&world.state, NodeId(1)).unwrap().unwrap().renewable_ppm;
    assert_eq!(share(&world), 500_000);
    assert!(!in_force(&world.one(&key(1), declare(Declared::RenewablePpm(800_000)))));
    assert_eq!(share(&world), 500_000);
    let greener = |world: &mut World| {
        let mut report = report(0);
        (report.renewable_ppm, report.carbon_ug) = (800_000, carbon_ug(90_000, 380_000, 800_000).unwrap());
        let escrow = open(world, 1, 600_000);
        let receipt = report.sign(&world.context, &key(1), &common::agent_key(0));
        world.one(&alice(), Operation::EscrowRelease(EscrowRelease { escrow, receipt }))
    };
    assert!(matches!(greener(&mut world).rejection(), Some(Rejection::RenewableNotAttested { attested: 500_000, .. })));
    world.must(&key(2), attest(&key(1), Declared::RenewablePpm(800_000)));
    assert!(in_force(&world.one(&key(3), attest(&key(1), Declared::RenewablePpm(800_000)))));
    assert_eq!(share(&world), 800_000);
    assert!(greener(&mut world).is_executed());
    assert!(in_force(&world.one(&key(1), declare(Declared::RenewablePpm(100_000)))), "nobody gains by less");
    assert_eq!(share(&world), 100_000);
    assert!(matches!(
        world.one(&bob(), declare(Declared::RenewablePpm(1))).rejection(),
        Some(Rejection::NodeMissing(_))
    ));
}

#[test]
fn what_a_region_takes_off_has_an_end_every_day() {
    let mut genesis = genesis();
    genesis.parameters.0.insert(Parameter::AccessAllowance, 4_000);
    let mut world = mesh(World::of(genesis));
    // 30 % of a base of 5,000 each.
    let escrow = open(&mut world, 6, 3 * PERIOD_MS);
    let discounts: Vec<u64> = (0..4).map(|part| pay(&mut world, &alice(), escrow, part).discount.0).collect();
    assert_eq!(discounts, [1_500, 1_500, 1_000, 0]);
    let price = pay(&mut world, &alice(), escrow, 4);
    // Work makes the next a little cheaper.
    let share = |price: &Price| Uftns(price.base.0 * 3 / 10);
    assert_eq!((price.discount, price.unfunded, price.premium), (Uftns::ZERO, share(&price), Uftns::ZERO));
    world.run(PERIOD_MS, vec![]);
    let price = pay(&mut world, &alice(), escrow, 5);
    assert_eq!((price.discount, price.unfunded), (share(&price), Uftns::ZERO), "a new day");
}

/// Terms are those of the day the money was set aside: who leaves the list meanwhile owes no premium, and gets no discount.
#[test]
fn what_is_voted_or_attested_later_does_not_make_a_reserve_too_small() {
    let mut world = mesh(World::new());
    let open = EscrowOpen {
        task: Hash::of(b"task"),
        module: Hash::of(b"module"),
        capability: Capabilities::COMPUTE,
        parts: 1,
        amount_per_part: PART,
        // Too little for a premium, enough for the carbon.
        reserve_per_part: Uftns(713),
        release_deadline: world.now().plus_ms(600_000),
    };
    assert!(RESERVE > open.reserve_per_part);
    let (escrow, _) = world.must(&alice(), Operation::EscrowOpen(open));
    world.must(&alice(), declare(Declared::Region(region("DE"))));
    let price = pay(&mut world, &alice(), escrow, 0);
    assert_eq!(
        (price.carbon, price.premium, price.discount, price.uncovered),
        (Uftns(713), Uftns(0), Uftns(0), Uftns(0))
    );
}
