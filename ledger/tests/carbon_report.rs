//! Who used and paid what: the report against sums taken from what was sent, and against the two funds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, open, receipt, report};
use common::{World, alice, id_of, key, region};
use mesh30k_ledger::carbon::{self, CarbonReport, IntensityBasis};
use mesh30k_ledger::ops::{
    Bond, ClaimPart, ClaimSaving, DeclareHardware, DeclarePurpose, EnergyMethod, EscrowRelease, Operation,
    ReportIntensity, SignalEmergency, TaskReport,
};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::query;
use mesh30k_ledger::records::Duty;
use mesh30k_ledger::types::{EscrowId, Hash, Uftns};

/// Carries out one operation and counts its block.
fn step(
    world: &mut World,
    sums: &mut CarbonReport,
    after_ms: u64,
    who: &mesh30k_ledger::keys::SecretKey,
    op: Operation,
) {
    let signed = world.signed(who, op);
    let (block, execution) = world.run(after_ms, vec![signed]);
    assert!(execution.outcomes[0].is_executed(), "{:?}", execution.outcomes);
    sums.add_block(&world.state, &block, &execution.outcomes, &execution.due).unwrap();
}

fn release(world: &World, escrow: EscrowId, report: TaskReport) -> Operation {
    Operation::EscrowRelease(EscrowRelease { escrow, receipt: receipt(world, report) })
}

fn check_funds(world: &World, sums: &CarbonReport) {
    let (pool, access) = sums.funds(&world.genesis.pools, &query::totals(&world.state).unwrap());
    assert!(pool.balances() && access.balances(), "{pool:?} {access:?}");
    assert!(sums.total().balances());
}

#[test]
fn released_and_claimed_parts_are_summed_and_the_funds_balance() {
    let mut genesis = common::genesis();
    genesis.parameters.0.insert(Parameter::ChallengeMs, 1_000);
    genesis.parameters.0.insert(Parameter::RulingMs, 1_000);
    let mut world = mesh(World::of(genesis));
    let mut sums = CarbonReport::default();
    let hardware = DeclareHardware { embodied_g: 3_600, lifespan_h: 1_000, slots: 2 };
    step(&mut world, &mut sums, 10, &key(1), Operation::DeclareHardware(hardware));
    let escrow = open(&mut world, 3, 600_000);
    let purpose = DeclarePurpose { escrow, purpose: Purpose::ClimateScience };
    step(&mut world, &mut sums, 10, &alice(), Operation::DeclarePurpose(purpose));
    let measured = TaskReport { energy_method: EnergyMethod::Rapl, ..report(0) };
    let first = release(&world, escrow, measured);
    step(&mut world, &mut sums, 10, &alice(), first);
    let bond = Bond { duty: Duty::Host, amount: Uftns::ftns(1) };
    step(&mut world, &mut sums, 10, &key(1), Operation::Bond(bond));
    let claim = ClaimPart { escrow, receipt: receipt(&world, report(1)) };
    step(&mut world, &mut sums, 10, &key(1), Operation::ClaimPart(claim));
    assert_eq!(sums.total().parts, 1, "a claim is not yet a payment");
    let (block, execution) = world.run(2_000, vec![]);
    sums.add_block(&world.state, &block, &execution.outcomes, &execution.due).unwrap();

    let total = sums.total();
    // Two parts of 5 units, 90 J each; 7,125 ug charged, 9,500 ug by the grid alone.
    assert_eq!((total.parts, total.units, total.energy_mj), (2, 10, 180_000));
    assert_eq!((total.carbon_ug, total.location_ug, total.avoided_ug), (14_250, 19_000, 4_750));
    assert_eq!((total.base_uftns, total.carbon_uftns, total.premium_uftns), (10_000, 1_426, 0));
    assert_eq!((total.discount_uftns, total.green_uftns), (3_000, 374));
    // 1 ms of one of 2 slots of 3.6 kg in 1,000 hours is half a microgram: rounded up for each part.
    assert_eq!((total.embodied_ug, total.sci_ug_per_part()), (2, Some(9_501)));
    assert_eq!(total.mean_mg_per_kwh(), Some(380_000));
    let methods = sums.by(|key| key.method);
    assert_eq!(methods.keys().copied().collect::<Vec<_>>(), [EnergyMethod::Rapl, EnergyMethod::Fuel]);
    let purposes = sums.by(|key| (key.requester, key.requester_region, key.purpose));
    let expected = (id_of(&alice()), Some(region("KE")), Purpose::ClimateScience);
    assert_eq!(purposes.into_iter().collect::<Vec<_>>(), [(expected, total)]);
    check_funds(&world, &sums);
}

#[test]
fn parts_of_a_report_add_up_to_the_whole() {
    let mut world = mesh(World::new());
    let escrow = open(&mut world, 40, 600_000_000);
    let (mut whole, mut pages) = (CarbonReport::default(), Vec::new());
    for part in 0..40 {
        let op = release(&world, escrow, report(part));
        let signed = world.signed(&alice(), op);
        let (block, execution) = world.run(600_000, vec![signed]);
        whole.add_block(&world.state, &block, &execution.outcomes, &execution.due).unwrap();
        if part % 7 == 0 {
            pages.push(CarbonReport::default());
        }
        let page = pages.last_mut().unwrap();
        page.add_block(&world.state, &block, &execution.outcomes, &execution.due).unwrap();
    }
    let mut merged = CarbonReport::default();
    pages.iter().flat_map(CarbonReport::rows).for_each(|row| merged.add_row(&row));
    assert_eq!(merged, whole);
    assert!(whole.by(|key| key.hour).len() >= 6);
    check_funds(&world, &whole);
    // A part that was left out is noticed.
    let rows: Vec<_> = whole.rows().skip(1).collect();
    let mut short = CarbonReport::default();
    rows.iter().for_each(|row| short.add_row(row));
    let (pool, _) = short.funds(&world.genesis.pools, &query::totals(&world.state).unwrap());
    assert!(!pool.balances());
}

#[test]
fn an_intensity_says_on_what_it_rests() {
    let mut world = World::new();
    let of = |world: &World, letters| carbon::intensity(&world.state, region(letters)).unwrap();
    assert_eq!((of(&world, "DE").mg_per_kwh, of(&world, "DE").basis), (380_000, IntensityBasis::AnnualAverage));
    assert_eq!((of(&world, "AQ").mg_per_kwh, of(&world, "AQ").basis), (480_000, IntensityBasis::Fallback));
    for n in 1..=3 {
        let word = ReportIntensity { region: region("DE"), mg_per_kwh: 400_000 };
        assert!(world.one(&key(n), Operation::ReportIntensity(word)).is_executed());
    }
    let updated_at = world.now();
    assert_eq!(of(&world, "DE").basis, IntensityBasis::Oracles { words: 3, updated_at });
    assert_eq!(carbon::reported_regions(&world.state).unwrap(), [region("DE")]);
    world.run(25 * 3_600_000, vec![]);
    let stale = of(&world, "DE");
    assert_eq!((stale.basis, stale.stale_since), (IntensityBasis::AnnualAverage, Some(updated_at)));
    assert_eq!(stale.table_mg_per_kwh, Some(380_000));
}

#[test]
fn emergencies_and_credits_are_listed_by_region_and_account() {
    let mut world = World::new();
    assert!(carbon::emergencies(&world.state).unwrap().is_empty());
    let until = Some(world.now().plus_ms(3_600_000));
    for who in [key(1), key(2)] {
        let signal = SignalEmergency { region: region("BD"), kind: "flood".into(), until };
        assert!(world.one(&who, Operation::SignalEmergency(signal)).is_executed());
    }
    let listed = carbon::emergencies(&world.state).unwrap();
    let (place, kinds) = (listed[0].0, &listed[0].1.0);
    assert_eq!((place, kinds.len(), kinds["flood"].until), (region("BD"), 1, until));
    let saving = ClaimSaving { evidence: Hash::of(b"e"), baseline_ug: 900, actual_ug: 300 };
    assert!(world.one(&alice(), Operation::ClaimSaving(saving)).is_executed());
    for n in 2..=3 {
        let attest = mesh30k_ledger::ops::AttestSaving { evidence: Hash::of(b"e") };
        assert!(world.one(&key(n), Operation::AttestSaving(attest)).is_executed());
    }
    let holders = carbon::credit_accounts(&world.state, 10).unwrap();
    assert_eq!(holders.iter().map(|(id, record)| (*id, record.held_ug)).collect::<Vec<_>>(), [(id_of(&alice()), 600)]);
}
