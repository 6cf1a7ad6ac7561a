//! What the moving base fee promises, and that blocks move it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of};
use mesh30k_ledger::fees::BaseFee;
use mesh30k_ledger::ops::{BatchTransfer, Operation, TransferItem};
use mesh30k_ledger::parameters::{Parameter, Parameters};
use mesh30k_ledger::query;
use mesh30k_ledger::types::Uftns;
use proptest::prelude::*;

fn parameters(floor: u64, ceiling: u64, target: u64) -> Parameters {
    Parameters(
        [(Parameter::BaseFee, floor), (Parameter::BaseFeeMax, ceiling), (Parameter::TargetBlockWeight, target)].into(),
    )
}

proptest! {
    #[test]
    fn a_block_moves_the_fee_by_an_eighth_at_most_and_never_out_of_bounds(
        floor in 0..1_000_u64, above in 0..1_000_u64, target in 100..100_000_000_u64, start: u64, weight: u64,
    ) {
        let parameters = parameters(floor, floor + above, target);
        let before = BaseFee(start).within(&parameters);
        let after = before.after(weight, &parameters);
        prop_assert!(after.0.abs_diff(before.0) <= before.0 / 8);
        prop_assert!(after >= BaseFee::whole(floor) && after <= BaseFee::whole(floor + above));
        // Fuller is never cheaper for the next.
        prop_assert!(after <= before.after(weight.saturating_add(target / 7), &parameters));
        prop_assert_eq!(before.after(target, &parameters), before);
    }

    #[test]
    fn fees_round_up_and_do_not_overflow(rate: u64, weight: u64) {
        let (fee, exact) = (BaseFee(rate).fee(weight), u128::from(rate) * u128::from(weight));
        let rounded = u64::try_from(exact.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        prop_assert_eq!(fee, Uftns(rounded));
    }
}

#[test]
fn full_blocks_raise_the_fee_and_empty_ones_lower_it_to_its_floor() {
    let mut genesis = common::genesis();
    genesis.parameters = parameters(2, 5, 100);
    let mut world = World::of(genesis);
    assert_eq!(query::base_fee(&world.state).unwrap(), BaseFee::whole(2));
    let item = TransferItem { to: id_of(&bob()), amount: Uftns(1) };
    let batch = || Operation::BatchTransfer(BatchTransfer { transfers: vec![item; 100] });
    let first = world.one(&alice(), batch());
    assert_eq!(first.fee(), Uftns(2 * 310));
    assert_eq!(query::base_fee(&world.state).unwrap(), BaseFee(2_250_000));
    let second = world.one(&alice(), batch());
    assert_eq!(second.fee(), Uftns((2_250_000_u64 * 310).div_ceil(1_000_000)));
    for _ in 0..20 {
        world.one(&alice(), batch());
    }
    assert_eq!(query::base_fee(&world.state).unwrap(), BaseFee::whole(5));
    for _ in 0..20 {
        world.run(10, vec![]);
    }
    assert_eq!(query::base_fee(&world.state).unwrap(), BaseFee::whole(2));
}
