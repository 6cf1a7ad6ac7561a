//! Royalties of content that works in tasks, the impact of what is used, and what impact brings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{PART, mesh, open, receipt, report};
use common::{World, alice, bob, id_of, key};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::*;
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::pricing::Price;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{
    ContentParent, ContentRecord, ContentShare, Contribution, HardwareRecord, IMPACT_HALF, IMPACT_OF_USE, Impact,
    ImpactKind, PERIOD_MS,
};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{EscrowId, Hash, Uftns};
use proptest::prelude::*;

/// Bob's module, a fifth of what it earns for key 3's data, a tenth of each part's base for it.
fn world() -> World {
    let mut world = mesh(World::new());
    let content = |name: &[u8], who: &SecretKey, parents, price, royalty_ppm| {
        let owners = vec![ContentShare { owner: id_of(who), ppm: 1_000_000 }];
        Operation::RegisterContent(RegisterContent { content: Hash::of(name), owners, parents, price, royalty_ppm })
    };
    world.must(&key(3), content(b"data", &key(3), vec![], Uftns(0), 0));
    let parents = vec![ContentParent { content: Hash::of(b"data"), royalty_ppm: 200_000 }];
    world.must(&bob(), content(b"module", &bob(), parents, Uftns(10), 100_000));
    world
}

fn record(world: &World, name: &[u8]) -> ContentRecord {
    query::content(&world.state, &Hash::of(name)).unwrap().unwrap()
}

fn pay(world: &mut World, who: &SecretKey, escrow: EscrowId, part: u32) -> Price {
    let receipt = receipt(world, report(part));
    let (_, outcome) = world.must(who, Operation::EscrowRelease(EscrowRelease { escrow, receipt }));
    let Outcome::Executed { effect: Effect::PartReleased { price, .. }, .. } = outcome else { panic!("{outcome:?}") };
    price
}

fn collect(world: &mut World, name: &[u8]) -> Outcome {
    world.one(&alice(), Operation::CollectRoyalties(CollectRoyalties { content: Hash::of(name) }))
}

#[test]
fn a_receipt_pays_the_module_and_collecting_pays_its_provenance() {
    let mut world = world();
    let escrow = open(&mut world, 3, 600_000);
    for part in 0..2 {
        pay(&mut world, &alice(), escrow, part);
    }
    let third = pay(&mut world, &alice(), escrow, 2);
    // Five units of a thousand, less what ten units before take off; a tenth of it.
    assert_eq!((third.base, third.royalty), (Uftns(4_999), Uftns(499)));
    assert_eq!(third.total.0, third.base.0 + third.carbon.0 + 499 - third.discount.0 - third.green.0);
    let totals = query::totals(&world.state).unwrap();
    assert_eq!(totals.escrows, Uftns(1_499), "set aside until somebody collects it");
    let module = record(&world, b"module");
    assert_eq!((module.uses, module.earned, module.earned_uses), (3, Uftns(1_499), 3));

    let (owner, parent) = (world.balance(&id_of(&bob())), world.balance(&id_of(&key(3))));
    let collected = collect(&mut world, b"module");
    let Outcome::Executed { effect: Effect::RoyaltiesCollected { amount, uses, reached, .. }, .. } = collected else {
        panic!("{collected:?}")
    };
    assert_eq!((amount, uses, reached), (Uftns(1_499), 3, 2));
    assert_eq!(world.balance(&id_of(&bob())) - owner, 1_200);
    assert_eq!(world.balance(&id_of(&key(3))) - parent, 299);
    assert_eq!(query::totals(&world.state).unwrap().escrows, Uftns::ZERO);
    assert_eq!(record(&world, b"data").cited, 3, "one citation a use, not a collection");
    assert!(matches!(collect(&mut world, b"module").rejection(), Some(Rejection::AlreadyDone(_))));
    // Whoever paid for its work may rate it.
    world.must(&alice(), Operation::RateContent(RateContent { content: Hash::of(b"module"), stars: 5 }));
}

#[test]
fn ratings_move_a_royalty_and_a_reserve_that_is_too_small_is_refused() {
    let mut world = world();
    let escrow = open(&mut world, 2, 600_000);
    pay(&mut world, &alice(), escrow, 0);
    world.must(&alice(), Operation::RateContent(RateContent { content: Hash::of(b"module"), stars: 5 }));
    // (5 + 24 + 9) / 9 quarters: 1.0555.. of a tenth.
    assert_eq!(pay(&mut world, &alice(), escrow, 1).royalty, Uftns(527));
    let op = EscrowOpen {
        task: Hash::of(b"task"),
        module: Hash::of(b"module"),
        capability: Capabilities::COMPUTE,
        parts: 1,
        amount_per_part: PART,
        reserve_per_part: Uftns::ZERO,
        release_deadline: world.now().plus_ms(60_000),
    };
    // A fifth as premium, a tenth and a half of it as royalty, and five units' carbon; Bob is in no list.
    let open = |reserve| EscrowOpen { amount_per_part: Uftns(5_000), reserve_per_part: Uftns(reserve), ..op.clone() };
    let (needed, reserved) = (Uftns(1_000 + 750 + 25), Uftns(1_774));
    let short = world.one(&bob(), Operation::EscrowOpen(open(1_774)));
    assert_eq!(short.rejection(), Some(&Rejection::ReserveShort { needed, reserved }));
    let (tight, _) = world.must(&bob(), Operation::EscrowOpen(open(1_775)));
    // The part emitted more than was reckoned with: its 7,125 ug are not to be had for less.
    let receipt = receipt(&world, report(0));
    let release = |escrow| Operation::EscrowRelease(EscrowRelease { escrow, receipt });
    let short = world.one(&bob(), release(tight));
    let (needed, reserved) = (Uftns(1_000 + 750 + 713), Uftns(1_775));
    assert_eq!(short.rejection(), Some(&Rejection::ReserveShort { needed, reserved }));
    let (enough, _) = world.must(&bob(), Operation::EscrowOpen(open(2_463)));
    let price = pay(&mut world, &bob(), enough, 0);
    assert_eq!((price.base, price.premium, price.carbon), (Uftns(5_000), Uftns(1_000), Uftns(713)));
    assert_eq!((price.royalty, price.uncovered), (Uftns(527), Uftns::ZERO));
}

#[test]
fn impact_counts_others_uses_and_pays_an_owner_on_top() {
    let mut world = world();
    let buy = |world: &mut World, who: &SecretKey| {
        world.must(who, Operation::BuyUse(BuyUse { content: Hash::of(b"module"), max_price: Uftns(10) }));
    };
    buy(&mut world, &bob());
    assert_eq!(record(&world, b"module").impact.score(), 0, "an owner who uses its own proves nothing");
    for _ in 0..25 {
        buy(&mut world, &alice());
    }
    assert_eq!(record(&world, b"module").impact.score(), 25 * IMPACT_OF_USE);
    let claim = |world: &mut World, who: &SecretKey, evidence: &[u8]| {
        let (kind, evidence) = (Contribution::Model, Hash::of(evidence));
        world.must(who, Operation::ClaimContribution(ClaimContribution { kind, evidence, amount: Uftns(1_000) }));
        world.must(&key(2), Operation::AttestContribution(AttestContribution { evidence }));
        world.must(&key(3), Operation::AttestContribution(AttestContribution { evidence }));
        query::contribution(&world.state, &evidence).unwrap().unwrap().paid
    };
    // A fifth of a quarter at 25 of 125.
    assert_eq!(claim(&mut world, &bob(), b"module"), Uftns(1_050));
    assert_eq!(claim(&mut world, &bob(), b"else"), Uftns(1_000));
    assert_eq!(claim(&mut world, &bob(), b"data"), Uftns(1_000), "it is not Bob's");
    world.run(PERIOD_MS, vec![]);
    buy(&mut world, &alice());
    assert_eq!(record(&world, b"module").impact.score(), 25_000 - 782 + IMPACT_OF_USE, "a day costs a 32nd");
}

#[test]
fn citations_count_but_not_by_whoever_cites_oneself() {
    let mut world = world();
    let impact = |world: &World, name| record(world, name).impact;
    // Bob's own use, and one by the owner of what it was made from: nobody cites anybody else.
    for (who, cited, module_uses) in [(bob(), 1, 0), (key(3), 2, 1)] {
        world.must(&who, Operation::BuyUse(BuyUse { content: Hash::of(b"module"), max_price: Uftns(10) }));
        assert_eq!((record(&world, b"data").cited, impact(&world, b"data").citations), (cited, 0));
        assert_eq!(impact(&world, b"module").uses, module_uses * IMPACT_OF_USE);
    }
    world.must(&alice(), Operation::BuyUse(BuyUse { content: Hash::of(b"module"), max_price: Uftns(10) }));
    assert_eq!((record(&world, b"data").cited, impact(&world, b"data").citations), (3, IMPACT_OF_USE));
    // In tasks: two parts of Bob's own, one of Alice's; counted when they are collected.
    let own = EscrowOpen {
        task: Hash::of(b"task"),
        module: Hash::of(b"module"),
        capability: Capabilities::COMPUTE,
        parts: 2,
        amount_per_part: Uftns(5_000),
        reserve_per_part: Uftns(5_000),
        release_deadline: world.now().plus_ms(600_000),
    };
    let (own, _) = world.must(&bob(), Operation::EscrowOpen(own));
    let others = open(&mut world, 1, 600_000);
    for (who, escrow, part) in [(bob(), own, 0), (bob(), own, 1), (alice(), others, 0)] {
        pay(&mut world, &who, escrow, part);
    }
    let module = record(&world, b"module");
    assert_eq!((module.earned_uses, module.earned_by_others), (3, 1));
    collect(&mut world, b"module");
    let (data, module) = (record(&world, b"data"), record(&world, b"module"));
    assert_eq!((data.cited, data.impact.citations), (6, 2 * IMPACT_OF_USE));
    assert_eq!((data.impact.uses, data.impact.downloads), (0, 0), "it was never used itself");
    // Key 3's, Alice's, and Alice's part.
    assert_eq!((module.uses, module.impact.uses, module.earned_by_others), (6, 3 * IMPACT_OF_USE, 0));
}

#[test]
fn what_a_machine_cost_is_declared_by_its_node_and_replaced() {
    let mut world = World::new();
    let declare = |embodied_g| Operation::DeclareHardware(DeclareHardware { embodied_g, lifespan_h: 35_040, slots: 8 });
    world.must(&key(2), declare(1));
    world.must(&key(2), declare(1_200_000));
    let node = query::node_of_account(&world.state, &id_of(&key(2))).unwrap().unwrap();
    let found = query::hardware(&world.state, node).unwrap();
    assert_eq!(found, Some(HardwareRecord { embodied_g: 1_200_000, lifespan_h: 35_040, slots: 8 }));
    // 1.2 t over four years is 34.2 g an hour; an eighth of it for an hour of one slot.
    assert_eq!(found.unwrap().embodied_ug(3_600_000_000), 4_280_822);
    assert_eq!(query::hardware(&world.state, mesh30k_ledger::types::NodeId(1)).unwrap(), None);
}

proptest! {
    #[test]
    fn impact_only_falls_with_time_and_ends(scores: [u64; 3], period in 0..1_000_000_u64, ages in 0..3_000_u64, more in 0..3_000_u64) {
        let [uses, downloads, citations] = scores;
        let impact = Impact { uses, downloads, citations, period };
        let score = impact.score();
        let (young, old) = (impact.at(period + ages), impact.at(period + ages + more));
        prop_assert_eq!(young.at(period + ages + more), old, "in one go or in two");
        prop_assert!(old.score() <= young.score() && young.score() <= score);
        prop_assert_eq!(impact.at(period + 2_000).score(), 0);
        prop_assert_eq!(impact.at(period.saturating_sub(ages)).score(), score, "time does not run back");
        for (at, kind) in [ImpactKind::Use, ImpactKind::Download, ImpactKind::Citation].into_iter().enumerate() {
            let counted = impact.counted(kind, period, more);
            let mut expected = scores;
            expected[at] = expected[at].saturating_add(more * IMPACT_OF_USE);
            prop_assert_eq!([counted.uses, counted.downloads, counted.citations], expected, "a kind moves itself alone");
        }
    }

    #[test]
    fn a_bonus_grows_with_impact_and_never_reaches_its_highest(score: u64, more: u64, highest in 1..=1_000_000_u64) {
        let of = |score| Impact { uses: score, ..Impact::default() }.share_of(highest);
        prop_assert!(of(score) < highest && of(score) <= of(score.saturating_add(more)));
        prop_assert_eq!((of(0), of(IMPACT_HALF)), (0, highest / 2));
    }

    #[test]
    fn quality_is_between_a_half_and_one_and_a_half(stars in proptest::collection::vec(1..=5_u64, 0..200)) {
        let (sum, ratings) = (stars.iter().sum::<u64>(), stars.len() as u64);
        let quality = quality_ppm(sum, ratings);
        prop_assert!((500_000..=1_500_000).contains(&quality));
        prop_assert!(quality_ppm(sum + 5, ratings + 1) >= quality && quality_ppm(sum + 1, ratings + 1) <= quality);
        prop_assert_eq!(quality_ppm(3 * ratings, ratings), 1_000_000);
    }

    #[test]
    fn longer_work_has_more_of_a_machine(embodied_g in 1..=MAX_EMBODIED_G, lifespan_h in 1..=MAX_LIFESPAN_H, slots in 1..=MAX_SLOTS, wall_us: u64, more: u64) {
        let machine = HardwareRecord { embodied_g, lifespan_h, slots };
        prop_assert!(machine.embodied_ug(wall_us) <= machine.embodied_ug(wall_us.saturating_add(more)));
        prop_assert_eq!(machine.embodied_ug(0), 0);
        // Its whole life in all slots, less than one microgram a slot too much.
        let life_us = u64::from(lifespan_h) * 3_600_000_000;
        let all = u128::from(machine.embodied_ug(life_us)) * u128::from(slots);
        let whole = u128::from(embodied_g) * 1_000_000;
        prop_assert!(all >= whole && all < whole + u128::from(slots));
    }
}
