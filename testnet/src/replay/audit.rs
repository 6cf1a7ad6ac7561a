//! An auditor that knows what the client sent and what it was answered, and nothing of the ledger's code: it predicts the
//! footprint, the charges, both funds and every balance by sums of its own.

use std::collections::BTreeMap;

use mesh30k_ledger::types::AccountId;
use serde::Serialize;

/// The rules as the book states them: a gram costs 100,000 uFTNS; premium 20 %, discount 30 %, green 15 % of the base.
const UFTNS_PER_GRAM: i128 = 100_000;
const PREMIUM_PERCENT: i128 = 20;
const DISCOUNT_PERCENT: i128 = 30;
const GREEN_PERCENT: i128 = 15;
/// Differences told, at most.
const FAILURES_MAX: usize = 20;

/// What the client sent for one part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) requester: AccountId,
    pub(super) worker: AccountId,
    pub(super) has_access: bool,
    pub(super) energy_mj: u64,
    pub(super) mg_per_kwh: u64,
    pub(super) renewable_ppm: u32,
    /// Set aside for it.
    pub(super) locked: u64,
}

/// What it was answered: base, carbon, premium, discount, green, total, returned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered(pub(super) [u64; 7]);

/// What the auditor expects of the ledger.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Audit {
    /// Free balances.
    #[serde(skip)]
    pub(super) accounts: BTreeMap<AccountId, i128>,
    /// The carbon pool, uFTNS.
    pub carbon_pool: i128,
    /// The access fund, uFTNS.
    pub access_fund: i128,
    /// In escrows, uFTNS.
    pub locked: i128,
    /// Fees of all transactions, uFTNS.
    pub fees: i128,
    /// Parts paid.
    pub parts: i128,
    /// Energy, millijoules.
    pub energy_mj: i128,
    /// Footprint, micrograms.
    pub carbon_ug: i128,
    /// Paid by requesters, uFTNS.
    pub paid: i128,
    /// Comparisons made.
    pub checks: u64,
    /// What was not as predicted.
    pub failures: Vec<String>,
}

fn up(dividend: i128, divisor: i128) -> i128 {
    (dividend + divisor - 1) / divisor
}

impl Audit {
    pub(super) fn owns(&mut self, account: AccountId, amount: u64) {
        *self.accounts.entry(account).or_default() += i128::from(amount);
    }

    pub(super) fn paid_fee(&mut self, account: AccountId, fee: u64) {
        *self.accounts.entry(account).or_default() -= i128::from(fee);
        self.fees += i128::from(fee);
    }

    pub(super) fn locked(&mut self, account: AccountId, amount: i128) {
        *self.accounts.entry(account).or_default() -= amount;
        self.locked += amount;
    }

    /// Predicts one payment and compares it with the answer. Only the base is taken from it: what a unit costs moves with use.
    pub(super) fn paid_part(&mut self, sent: &Sent, answered: &Answered) {
        let [base, carbon, premium, discount, green, total, returned] = answered.0.map(i128::from);
        let contracted = i128::from(sent.renewable_ppm);
        let footprint_ug = up(
            i128::from(sent.energy_mj) * i128::from(sent.mg_per_kwh) * (1_000_000 - contracted),
            3_600_000 * 1_000_000,
        );
        let charge = up(footprint_ug * UFTNS_PER_GRAM, 1_000_000);
        let (due_premium, due_discount) =
            if sent.has_access { (0, base * DISCOUNT_PERCENT / 100) } else { (up(base * PREMIUM_PERCENT, 100), 0) };
        let due_discount = due_discount.min(self.access_fund);
        // First the rate in whole millionths, then the amount.
        let rate_ppm = GREEN_PERCENT * 10_000 * contracted / 1_000_000;
        let due_green = (base * rate_ppm / 1_000_000).min(self.carbon_pool).min(base - due_discount);
        let due_total = base + charge + due_premium - due_discount - due_green;
        self.same("carbon charge", charge, carbon);
        self.same("premium", due_premium, premium);
        self.same("access discount", due_discount, discount);
        self.same("green discount", due_green, green);
        self.same("price", due_total, total);
        self.same("what came back", i128::from(sent.locked) - due_total, returned);
        self.carbon_pool += charge - due_green;
        self.access_fund += due_premium - due_discount;
        self.locked -= i128::from(sent.locked);
        *self.accounts.entry(sent.requester).or_default() += i128::from(sent.locked) - due_total;
        *self.accounts.entry(sent.worker).or_default() += base;
        self.parts += 1;
        self.energy_mj += i128::from(sent.energy_mj);
        self.carbon_ug += footprint_ug;
        self.paid += due_total;
    }

    /// Compares a prediction with what is found.
    pub(super) fn same(&mut self, what: &str, predicted: i128, found: i128) {
        self.checks += 1;
        if predicted != found && self.failures.len() < FAILURES_MAX {
            self.failures.push(format!("{what}: the auditor predicts {predicted}, the ledger has {found}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(base: u64, answered: [u64; 6], locked: u64) -> (Audit, Sent) {
        let (requester, worker) = (AccountId([1; 20]), AccountId([2; 20]));
        let sent = Sent {
            requester,
            worker,
            has_access: true,
            energy_mj: 90_000,
            mg_per_kwh: 380_000,
            renewable_ppm: 250_000,
            locked,
        };
        let mut audit =
            Audit { carbon_pool: 1_000, access_fund: 10_000, locked: i128::from(locked), ..Audit::default() };
        let [carbon, premium, discount, green, total, returned] = answered;
        audit.paid_part(&sent, &Answered([base, carbon, premium, discount, green, total, returned]));
        (audit, sent)
    }

    #[test]
    fn the_example_of_the_book_is_predicted_to_the_unit() {
        let (audit, sent) = part(5_000, [713, 0, 1_500, 187, 4_026, 10_974], 15_000);
        assert!(audit.failures.is_empty(), "{:?}", audit.failures);
        assert_eq!((audit.carbon_ug, audit.carbon_pool, audit.access_fund, audit.locked), (7_125, 1_526, 8_500, 0));
        assert_eq!((audit.accounts[&sent.worker], audit.accounts[&sent.requester]), (5_000, 10_974));
    }

    #[test]
    fn one_unit_astray_anywhere_is_found() {
        for place in 0..6 {
            let mut answered = [713, 0, 1_500, 187, 4_026, 10_974];
            answered[place] += 1;
            assert_eq!(part(5_000, answered, 15_000).0.failures.len(), 1, "{place}");
        }
    }
}
