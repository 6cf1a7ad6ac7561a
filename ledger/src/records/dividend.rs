//! Dividends: what an account's holding of a quarter is, and what a quarter that ended still owes.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::parameters::{Parameter, Parameters};
use crate::types::{TimeMs, Uftns};

const PPM: u128 = 1_000_000;

/// Quarters that still pay; what nobody came for after them goes to the treasury.
pub const QUARTERS_KEPT: u32 = 8;

/// The lowest points of an account in a quarter, as blocks left it: of a quarter that ended long ago when nothing touched it since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Holding {
    /// Which quarter this is of.
    pub quarter: u32,
    /// Least of free and bonded together.
    pub low: Uftns,
    /// Least of what is bonded.
    pub low_stake: Uftns,
    /// What of `low` has been held before: half of the rest joins with each quarter.
    pub seasoned: Uftns,
}

/// The same of all accounts together for the running quarter. `seasoned` may be some units above the sum of the accounts', which
/// each round down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Quarter {
    /// Its number, from 0.
    pub number: u32,
    /// When it ends.
    pub ends: TimeMs,
    /// Sum of lows.
    pub low: Uftns,
    /// Sum of lows of stakes.
    pub low_stake: Uftns,
    /// Sum of what is seasoned.
    pub seasoned: Uftns,
}

/// A quarter that ended and what it pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DividendRecord {
    /// What was to be paid.
    pub pool: Uftns,
    /// What of it nobody has come for.
    pub left: Uftns,
    /// All accounts' weight.
    pub weight: Weights,
}

/// What weighs how much: bonded money answers for a duty and counts more, and so does what was held for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Weights {
    /// Sum of lows.
    pub low: Uftns,
    /// Sum of lows of stakes.
    pub low_stake: Uftns,
    /// Sum of what is seasoned.
    pub seasoned: Uftns,
    /// What a bonded unit counts more, parts per million.
    pub role_ppm: u64,
    /// What a seasoned unit counts more, parts per million.
    pub holding_ppm: u64,
}

impl Holding {
    /// At the end of the quarter: half of what was held throughout and is not seasoned yet becomes so.
    pub(crate) const fn season(&mut self) {
        let fresh = self.low.0.saturating_sub(self.seasoned.0);
        self.seasoned = Uftns(self.seasoned.0.saturating_add(fresh >> 1));
    }
}

impl Weights {
    pub(crate) fn of(quarter: &Quarter, parameters: &Parameters) -> Self {
        Self {
            low: quarter.low,
            low_stake: quarter.low_stake,
            seasoned: quarter.seasoned,
            role_ppm: parameters.get(Parameter::DividendRolePpm),
            holding_ppm: parameters.get(Parameter::DividendHoldingPpm),
        }
    }

    /// low + low stake x role + seasoned x holding, each rounded down.
    fn weigh(&self, low: Uftns, low_stake: Uftns, seasoned: Uftns) -> u128 {
        let part = |amount: Uftns, ppm: u64| {
            u128::from(amount.0).saturating_mul(u128::from(ppm)).checked_div(PPM).unwrap_or(0)
        };
        u128::from(low.0)
            .saturating_add(part(low_stake, self.role_ppm))
            .saturating_add(part(seasoned, self.holding_ppm))
    }

    pub(crate) fn total(&self) -> u128 {
        self.weigh(self.low, self.low_stake, self.seasoned)
    }
}

impl DividendRecord {
    /// What a holding of its quarter is paid, rounded down.
    #[must_use]
    pub fn share(&self, holding: &Holding) -> Uftns {
        let weight = self.weight.weigh(holding.low, holding.low_stake, holding.seasoned);
        let share = u128::from(self.pool.0).saturating_mul(weight).checked_div(self.weight.total()).unwrap_or(0);
        Uftns(u64::try_from(share).unwrap_or(u64::MAX)).min(self.left)
    }
}
