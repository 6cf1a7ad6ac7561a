//! The true price of a task: base + carbon + premium - discount - green, and the royalty of what it runs on top.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::charges::ChargeTerms;
use crate::parameters::{Parameter, Parameters};
use crate::types::Uftns;

const PPM: u128 = 1_000_000;

/// What a part of a task costs is decided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceInput {
    /// Units of work.
    pub units: u64,
    /// What one of them costs, in millionths of a uFTNS.
    pub unit_price: u64,
    /// Of the units, those that quota covers.
    pub covered_units: u64,
    /// What one of these costs, in millionths of a uFTNS.
    pub covered_price: u64,
    /// The most the worker is paid.
    pub base_limit: Uftns,
    /// The most the requester pays in all; at least `base_limit`.
    pub limit: Uftns,
    /// Footprint in micrograms of CO2e.
    pub carbon_ug: u64,
    /// Renewable share of the host's energy, parts per million.
    pub renewable_ppm: u32,
    /// Royalty of the module, parts per million of the base.
    pub royalty_ppm: u64,
    /// What charges are counted with.
    pub terms: ChargeTerms,
    /// Whether the requester's region is attested and in the access list.
    pub access: bool,
    /// What the access fund holds.
    pub access_fund: Uftns,
    /// What the carbon pool holds.
    pub carbon_pool: Uftns,
}

/// How a price comes about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Price {
    /// To the worker, but for `fee` and `withheld`.
    pub base: Uftns,
    /// To the carbon pool.
    pub carbon: Uftns,
    /// To the access fund.
    pub premium: Uftns,
    /// From the access fund.
    pub discount: Uftns,
    /// From the carbon pool.
    pub green: Uftns,
    /// From the requester: base + carbon + premium + royalty - discount - green.
    pub total: Uftns,
    /// What the reserve did not cover: of content registered after the money was set aside. All else is covered, or nothing is paid.
    pub uncovered: Uftns,
    /// Discounts the funds could not pay.
    pub unfunded: Uftns,
    /// Of the base, the market's share of an order.
    pub fee: Uftns,
    /// Of the base, to the carbon pool for credits that the worker owed and did not retire.
    pub withheld: Uftns,
    /// To the owners of the module and up its provenance.
    pub royalty: Uftns,
}

impl Price {
    /// What the worker is paid: the base but for the market's share and what is withheld.
    #[must_use]
    pub const fn payout(&self) -> Uftns {
        Uftns(self.base.0.saturating_sub(self.fee.0).saturating_sub(self.withheld.0))
    }
}

/// Prices a part. Charges round up, discounts and royalties round down; what funds lack is cut from discounts, what the reserve lacks
/// from royalty, premium and carbon, in this order, never from the base. A part is paid only when its reserve holds what was to be expected
/// ([`ChargeTerms::must_cover`]).
#[must_use]
pub fn price(input: &PriceInput, parameters: &Parameters) -> Price {
    let get = |parameter| u128::from(parameters.get(parameter));
    let base = base(input).min(u128::from(input.base_limit.0));
    let carbon_due = u128::from(input.terms.carbon(input.carbon_ug).0);
    let premium_due = if input.access { 0 } else { u128::from(input.terms.premium(amount(base)).0) };
    let discount_due = if input.access { share(base, get(Parameter::DiscountPpm)) } else { 0 };
    let royalty_due = share(base, u128::from(input.royalty_ppm));
    let green_ppm = share(get(Parameter::GreenPpm), u128::from(input.renewable_ppm));
    let green_due = share(base, green_ppm);

    // Together the discounts never exceed the base: nobody is paid for asking.
    let discount = discount_due.min(u128::from(input.access_fund.0)).min(base);
    let green = green_due.min(u128::from(input.carbon_pool.0)).min(base.saturating_sub(discount));
    let room = u128::from(input.limit.0).saturating_add(discount).saturating_add(green).saturating_sub(base);
    let carbon = carbon_due.min(room);
    let premium = premium_due.min(room.saturating_sub(carbon));
    let royalty = royalty_due.min(room.saturating_sub(carbon).saturating_sub(premium));
    let charges = carbon.saturating_add(premium).saturating_add(royalty);
    let charges_due = carbon_due.saturating_add(premium_due).saturating_add(royalty_due);
    let total = base.saturating_add(charges).saturating_sub(discount).saturating_sub(green);
    Price {
        base: amount(base),
        carbon: amount(carbon),
        premium: amount(premium),
        discount: amount(discount),
        green: amount(green),
        total: amount(total),
        uncovered: amount(charges_due.saturating_sub(charges)),
        unfunded: amount(discount_due.saturating_add(green_due).saturating_sub(discount).saturating_sub(green)),
        fee: Uftns::ZERO,
        withheld: Uftns::ZERO,
        royalty: amount(royalty),
    }
}

/// What the worker is due, rounded down once.
fn base(input: &PriceInput) -> u128 {
    let cost = |units: u64, price: u64| u128::from(units).saturating_mul(u128::from(price));
    let covered = input.covered_units.min(input.units);
    let plain = cost(input.units.saturating_sub(covered), input.unit_price);
    plain.saturating_add(cost(covered, input.covered_price)).checked_div(PPM).unwrap_or(0)
}

fn share(of: u128, ppm: u128) -> u128 {
    of.saturating_mul(ppm).checked_div(PPM).unwrap_or(0)
}

fn amount(value: u128) -> Uftns {
    Uftns(u64::try_from(value).unwrap_or(u64::MAX))
}
