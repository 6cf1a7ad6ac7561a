//! The duty of workers whose energy is not renewable enough: they retire carbon credits for the missing share of a period's footprint.
//! What they did not retire is taken out of what they earn next, at the carbon price, and only as far as there are credits they could
//! have had: nobody goes unpaid for want of something nobody sells.

use crate::execute::{Stop, Working};
use crate::ops::TaskReport;
use crate::parameters::Parameter;
use crate::records::{CreditRecord, CreditTotals, RetirementRecord};
use crate::state::keyspace;
use crate::types::{AccountId, TimeMs, Uftns};

const PPM: u128 = 1_000_000;
/// Micrograms in a gram.
const UG_PER_G: u128 = 1_000_000;

/// The share of a footprint that is to be retired: what the renewable share lacks of the target, rounded up.
#[must_use]
pub fn missing_ug(carbon_ug: u64, renewable_ppm: u32, target_ppm: u64) -> u64 {
    let missing_ppm = u128::from(target_ppm.saturating_sub(u64::from(renewable_ppm)));
    let scaled = u128::from(carbon_ug).saturating_mul(missing_ppm).div_ceil(PPM);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

impl RetirementRecord {
    /// The period that `now` lies in, counted from 1970; `period_ms` is the parameter in force.
    #[must_use]
    pub fn period_of(now: TimeMs, period_ms: u64) -> u64 {
        now.0.checked_div(period_ms).unwrap_or(0)
    }

    /// Brought to a period: what accrued in one that ended is due, and retired credits that were not counted yet are set against it.
    #[must_use]
    pub fn at(mut self, period: u64, retired_ug: u64) -> Self {
        if self.period != period {
            self.due_ug = self.due_ug.saturating_add(std::mem::take(&mut self.accrued_ug));
            self.period = period;
        }
        let set_off = retired_ug.saturating_sub(self.counted_ug).min(self.due_ug);
        self.due_ug = self.due_ug.saturating_sub(set_off);
        self.counted_ug = self.counted_ug.saturating_add(set_off);
        self
    }

    /// Takes the price of what is due out of a payout: as much of it as the payout pays in full, at most the supply there is, rounded
    /// up.
    #[must_use]
    pub fn charge(&mut self, payout: Uftns, uftns_per_g: u64, supply_ug: u64) -> Uftns {
        let price = u128::from(uftns_per_g);
        let affordable = u128::from(payout.0).saturating_mul(UG_PER_G).checked_div(price);
        let affordable = affordable.and_then(|ug| u64::try_from(ug).ok()).unwrap_or(u64::MAX);
        let paid_ug = self.due_ug.min(supply_ug).min(affordable);
        self.due_ug = self.due_ug.saturating_sub(paid_ug);
        self.paid_ug = self.paid_ug.saturating_add(paid_ug);
        let charge = u128::from(paid_ug).saturating_mul(price).div_ceil(UG_PER_G);
        Uftns(u64::try_from(charge).unwrap_or(u64::MAX)).min(payout)
    }
}

/// Settles what a worker owes before it is paid for a part, and counts the part: gives what is withheld from the payout.
pub(crate) fn withhold(
    working: &mut Working<'_>,
    worker: &AccountId,
    report: &TaskReport,
    payout: Uftns,
) -> Result<Uftns, Stop> {
    let key = keyspace::retirement(worker);
    let before: Option<RetirementRecord> = working.read(&key)?;
    let period = RetirementRecord::period_of(working.now, working.parameter(Parameter::RetirementPeriodMs));
    let credits: CreditRecord = working.read(&keyspace::credits(worker))?.unwrap_or_default();
    let mut record = before.unwrap_or_default().at(period, credits.retired_ug);
    let supply: CreditTotals = working.read(keyspace::CREDIT_TOTALS)?.unwrap_or_default();
    let withheld = record.charge(payout, working.parameter(Parameter::CarbonPrice), supply.held_ug);
    let target_ppm = working.parameter(Parameter::RetirementTargetPpm);
    let owed_ug = missing_ug(report.carbon_ug, report.renewable_ppm, target_ppm);
    record.accrued_ug = record.accrued_ug.saturating_add(owed_ug);
    // Whoever is renewable enough owes nothing and has no record.
    if before.is_some() || owed_ug > 0 {
        working.write(key, &record);
    }
    Ok(withheld)
}
