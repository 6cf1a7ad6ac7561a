//! What is set aside beside the price of a part, so that whatever it may be charged is paid in full.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::ops::most_royalty_ppm;
use crate::parameters::{Parameter, Parameters};
use crate::query;
use crate::records::ContentRecord;
use crate::rejection::Rejection;
use crate::state::{StateError, StateRead};
use crate::types::{AccountId, Hash, Uftns};

const PPM: u128 = 1_000_000;

/// What a task's charges are counted with: as in force when its money was set aside, whatever is voted later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ChargeTerms {
    /// Price of a gram of CO2e, in uFTNS.
    pub carbon_price: u64,
    /// Premium in ppm of the base; nothing for a requester in the access list.
    pub premium_ppm: u64,
    /// The most that the module may ask as its royalty, in ppm of the base.
    pub royalty_ppm: u64,
}

/// What a part needs beside its price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// Of the whole price.
    pub premium: Uftns,
    /// For what its module may ask.
    pub royalty: Uftns,
    /// For the footprint that so much work is reckoned to have.
    pub carbon: Uftns,
}

impl ChargeTerms {
    /// Those in force for a requester in the access list, or outside it, and a module of this content.
    #[must_use]
    pub fn now(parameters: &Parameters, access: bool, module: Option<&ContentRecord>) -> Self {
        Self {
            carbon_price: parameters.get(Parameter::CarbonPrice),
            premium_ppm: if access { 0 } else { parameters.get(Parameter::PremiumPpm) },
            royalty_ppm: module.map_or(0, |content| most_royalty_ppm(content.royalty_ppm)),
        }
    }

    /// The charge for a footprint, rounded up.
    #[must_use]
    pub fn carbon(&self, carbon_ug: u64) -> Uftns {
        amount(u128::from(carbon_ug).saturating_mul(u128::from(self.carbon_price)).div_ceil(PPM))
    }

    /// The premium on a base, rounded up.
    #[must_use]
    pub fn premium(&self, base: Uftns) -> Uftns {
        amount(u128::from(base.0).saturating_mul(u128::from(self.premium_ppm)).div_ceil(PPM))
    }

    /// The most that the module may ask of a base, rounded up.
    #[must_use]
    pub fn royalty(&self, base: Uftns) -> Uftns {
        amount(u128::from(base.0).saturating_mul(u128::from(self.royalty_ppm)).div_ceil(PPM))
    }

    /// What a part needs beside a price of at most `price`.
    #[must_use]
    pub fn reserve(&self, price: Uftns, parameters: &Parameters) -> Reserve {
        // At a unit price of nothing any amount of work costs nothing; it is reckoned as one unit.
        let units = price.0.checked_div(parameters.get(Parameter::TaskUnitPrice)).unwrap_or(1).max(1);
        let carbon_ug = units.saturating_mul(parameters.get(Parameter::CarbonReserveUg));
        Reserve { premium: self.premium(price), royalty: self.royalty(price), carbon: self.carbon(carbon_ug) }
    }

    /// Refuses a footprint whose charge, beside premium and royalty on all of `price`, `reserved` does not hold.
    ///
    /// # Errors
    /// [`Rejection::ReserveShort`], with what would be needed.
    pub fn must_cover(&self, price: Uftns, reserved: Uftns, carbon_ug: u64) -> Result<(), Rejection> {
        let carbon = self.carbon(carbon_ug);
        let needed = Reserve { premium: self.premium(price), royalty: self.royalty(price), carbon }.total();
        if needed <= reserved { Ok(()) } else { Err(Rejection::ReserveShort { needed, reserved }) }
    }
}

impl Reserve {
    /// All of it.
    #[must_use]
    pub const fn total(&self) -> Uftns {
        Uftns(self.premium.0.saturating_add(self.royalty.0).saturating_add(self.carbon.0))
    }
}

/// What an account has to set aside for each part of a task that runs this module and pays at most `price` for it.
///
/// # Errors
/// State that cannot be read.
pub fn needed_reserve(
    state: &dyn StateRead,
    account: &AccountId,
    price: Uftns,
    module: &Hash,
) -> Result<Reserve, StateError> {
    let (parameters, regions) = (query::parameters(state)?, query::regions(state)?);
    let attested = query::account(state, account)?.and_then(|account| account.attested_region());
    let access = attested.is_some_and(|region| regions.access_list.contains(&region));
    let module = query::content(state, module)?;
    Ok(ChargeTerms::now(&parameters, access, module.as_ref()).reserve(price, &parameters))
}

fn amount(value: u128) -> Uftns {
    Uftns(u64::try_from(value).unwrap_or(u64::MAX))
}
