//! What the true price promises, for whatever is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use mesh30k_ledger::charges::ChargeTerms;
use mesh30k_ledger::ops::{carbon_ug, most_royalty_ppm, quality_ppm};
use mesh30k_ledger::parameters::{Parameter, Parameters};
use mesh30k_ledger::pricing::{Price, PriceInput, price};
use mesh30k_ledger::types::Uftns;
use proptest::prelude::*;

fn input() -> impl Strategy<Value = PriceInput> {
    let money = || prop_oneof![0..1_000_u64, 0..10_000_000_000_u64];
    (
        0..1_000_000_u64,
        money(),
        money(),
        0..100_000_000_u64,
        0..=1_000_000_u32,
        any::<bool>(),
        (money(), money()),
        0..=300_000_u64,
    )
        .prop_map(
            |(units, base, reserve, carbon_ug, renewable_ppm, access, (access_fund, carbon_pool), royalty_ppm)| {
                PriceInput {
                    units,
                    unit_price: 1_000_000_000,
                    covered_units: 0,
                    covered_price: 0,
                    base_limit: Uftns(base),
                    limit: Uftns(base + reserve),
                    carbon_ug,
                    renewable_ppm,
                    royalty_ppm,
                    terms: terms(access),
                    access,
                    access_fund: Uftns(access_fund),
                    carbon_pool: Uftns(carbon_pool),
                }
            },
        )
}

fn terms(access: bool) -> ChargeTerms {
    ChargeTerms::now(&Parameters::default(), access, None)
}

fn of(input: &PriceInput) -> Price {
    price(input, &Parameters::default())
}

proptest! {
    /// One rounding for all units together; none is ever paid twice.
    #[test]
    fn more_quota_is_never_dearer_and_never_below_its_price(
        input in input(), covered_units in 0..1_100_000_u64, more in 0..1_000_u64, covered_price in 0..=1_000_000_000_u64
    ) {
        let base = |covered_units| of(&PriceInput { covered_units, covered_price, ..input }).base.0;
        prop_assert!(base(covered_units + more) <= base(covered_units));
        let least = u128::from(input.units) * u128::from(covered_price) / 1_000_000;
        prop_assert!(u128::from(base(covered_units)) >= least.min(u128::from(input.base_limit.0)));
    }

    #[test]
    fn sums_balance_and_no_fund_goes_below_zero(input in input()) {
        let price = of(&input);
        prop_assert_eq!(
            [price.base, price.carbon, price.premium, price.royalty].iter().map(|sum| u128::from(sum.0)).sum::<u128>(),
            u128::from(price.total.0) + u128::from(price.discount.0) + u128::from(price.green.0)
        );
        prop_assert!(price.total <= input.limit);
        prop_assert!(price.discount <= input.access_fund && price.green <= input.carbon_pool);
        // The worker always receives the base in full.
        prop_assert_eq!(price.base.0, (input.units * 1_000).min(input.base_limit.0));
    }

    /// It comes last: what it takes, nobody else would have had, and it is never more than its share.
    #[test]
    fn a_royalty_takes_from_the_requester_alone(input in input()) {
        let (with, without) = (of(&input), of(&PriceInput { royalty_ppm: 0, ..input }));
        let base = u128::from(with.base.0);
        prop_assert!(u128::from(with.royalty.0) <= base * u128::from(input.royalty_ppm) / 1_000_000);
        prop_assert_eq!(with.total.0, without.total.0 + with.royalty.0);
        let rest = Price { royalty: Uftns::ZERO, total: without.total, uncovered: without.uncovered, ..with };
        prop_assert_eq!(rest, without);
    }

    #[test]
    fn access_never_pays_more(input in input()) {
        let inside = of(&PriceInput { access: true, terms: terms(true), ..input });
        let outside = of(&PriceInput { access: false, terms: terms(false), ..input });
        prop_assert!(inside.total <= outside.total);
    }

    #[test]
    fn more_renewable_is_never_dearer_and_more_carbon_never_cheaper(
        input in input(), other in 0..=1_000_000_u32, energy in 0..10_000_000_u64, more in 0..1_000_000_u64,
    ) {
        let (low, high) = (input.renewable_ppm.min(other), input.renewable_ppm.max(other));
        let at = |renewable_ppm| {
            let carbon_ug = carbon_ug(energy, 400_000, renewable_ppm).unwrap();
            of(&PriceInput { renewable_ppm, carbon_ug, ..input }).total
        };
        prop_assert!(at(high) <= at(low));
        let dirtier = PriceInput { carbon_ug: input.carbon_ug + more, ..input };
        prop_assert!(of(&input).total <= of(&dirtier).total);
    }

    #[test]
    fn extremes_do_not_overflow(units: u64, unit_price: u64, base: u64, carbon_ug: u64, fund: u64) {
        let mut parameters = Parameters::default();
        for parameter in Parameter::ALL {
            parameters.0.insert(*parameter, parameter.bounds().1);
        }
        let (base, fund) = (Uftns(base), Uftns(fund));
        let input = PriceInput {
            units, unit_price, base_limit: base, limit: Uftns(u64::MAX), carbon_ug, renewable_ppm: 1_000_000,
            covered_units: 0,
            covered_price: 0,
            royalty_ppm: u64::MAX,
            terms: ChargeTerms::now(&parameters, false, None),
            access: true, access_fund: fund, carbon_pool: fund,
        };
        prop_assert!(price(&input, &parameters).base <= base);
    }
}

proptest! {
    /// Whatever is charged, and to whom: what is needed to open and to be paid is enough for all of it.
    #[test]
    fn a_reserve_that_was_taken_pays_every_charge_in_full(
        input in input(), spare in 0..10_000_u64, royalty_ppm in 0..=200_000_u32, stars in 1..=5_u64, ratings in 0..1_000_u64,
    ) {
        let parameters = Parameters::default();
        let terms = ChargeTerms { royalty_ppm: most_royalty_ppm(royalty_ppm), ..input.terms };
        let needed = terms.reserve(input.base_limit, &parameters);
        let reserved = Uftns(needed.total().0 + spare);
        let asked = u64::from(royalty_ppm) * quality_ppm(stars * ratings, ratings) / 1_000_000;
        let limit = Uftns(input.base_limit.0 + reserved.0);
        let paid = of(&PriceInput { royalty_ppm: asked, limit, terms, ..input });
        if terms.must_cover(input.base_limit, reserved, input.carbon_ug).is_ok() {
            prop_assert_eq!(paid.uncovered, Uftns::ZERO);
            prop_assert_eq!(paid.carbon, terms.carbon(input.carbon_ug));
            prop_assert_eq!(paid.premium, if input.access { Uftns::ZERO } else { terms.premium(paid.base) });
        } else {
            prop_assert!(terms.carbon(input.carbon_ug) > needed.carbon, "what is reckoned with always fits");
        }
    }
}

#[test]
fn footprints_round_up_by_the_formula() {
    // 1 kWh at 400 g/kWh is 400 g; half of it contracted renewable: 200 g.
    assert_eq!(carbon_ug(3_600_000_000, 400_000, 0), Some(400_000_000));
    assert_eq!(carbon_ug(3_600_000_000, 400_000, 500_000), Some(200_000_000));
    assert_eq!(carbon_ug(1, 1, 0), Some(1));
    assert_eq!(carbon_ug(0, 400_000, 0), Some(0));
    assert_eq!(carbon_ug(1, 1, 1_000_001), None);
    assert_eq!(carbon_ug(u64::MAX, u64::MAX, 0), None);
}
