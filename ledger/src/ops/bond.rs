//! Bonding and unbonding.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::Call;
use crate::execute::{Stop, Working};
use crate::outcome::{DueEvent, Effect};
use crate::parameters::Parameter;
use crate::records::{BondRecord, Due, Duty, Unbonding};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Uftns};

/// Parts on their way out at once, at most.
pub const MAX_UNBONDING: usize = 16;

/// Sets free money aside to answer for a duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Bond {
    /// What it answers for.
    pub duty: Duty,
    /// More than nothing.
    pub amount: Uftns,
}

/// Begins to take bonded money back; it is free after the unbonding time and answers until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Unbond {
    /// What it answers for.
    pub duty: Duty,
    /// More than nothing, at most what is bonded.
    pub amount: Uftns,
}

impl Bond {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        if self.amount.is_zero() {
            return Err(Rejection::ZeroAmount.into());
        }
        working.bond(&call.account, self.amount)?;
        let key = keyspace::bond(&call.account);
        let mut record: BondRecord = working.read(&key)?.unwrap_or_default();
        let bonded = record.bonded.entry(self.duty).or_default();
        *bonded = bonded.checked_add(self.amount).ok_or(Rejection::AmountOverflow)?;
        let bonded = *bonded;
        working.write(key, &record);
        Ok(Effect::Bonded { duty: self.duty, bonded })
    }
}

impl Unbond {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        if self.amount.is_zero() {
            return Err(Rejection::ZeroAmount.into());
        }
        let key = keyspace::bond(&call.account);
        let mut record: BondRecord = working.read(&key)?.unwrap_or_default();
        let bonded = record.bonded.get(&self.duty).copied().unwrap_or_default();
        let rest = bonded.checked_sub(self.amount).ok_or(Rejection::BondTooSmall {
            duty: self.duty,
            needed: self.amount,
            bonded,
        })?;
        if record.unbonding.len() >= MAX_UNBONDING {
            let (what, max) = ("amounts being unbonded".into(), MAX_UNBONDING as u64);
            return Err(Rejection::TooMany { what, found: record.unbonding.len() as u64, max }.into());
        }
        if rest.is_zero() {
            record.bonded.remove(&self.duty);
        } else {
            record.bonded.insert(self.duty, rest);
        }
        let until = working.now.plus_ms(working.parameter(Parameter::UnbondingMs));
        record.unbonding.push(Unbonding { duty: self.duty, amount: self.amount, until });
        working.write(key, &record);
        working.schedule(until, &Due::Unbonding(call.account));
        Ok(Effect::UnbondingBegan { duty: self.duty, amount: self.amount, until })
    }
}

/// Frees what has waited long enough. Time that everything was frozen counts: a freeze never lengthens anybody's duty.
pub(crate) fn release(working: &mut Working<'_>, id: &AccountId, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let key = keyspace::bond(id);
    let mut record: BondRecord = working.must_read(&key)?;
    let (due, waiting): (Vec<_>, Vec<_>) = record.unbonding.iter().partition(|part| part.until <= working.now);
    let amount = Uftns(due.iter().fold(0_u64, |sum, part: &Unbonding| sum.saturating_add(part.amount.0)));
    if amount.is_zero() {
        // Slashed away meanwhile, or freed by an entry of the same time.
        return Ok(());
    }
    record.unbonding = waiting;
    working.write(key, &record);
    working.unbond(id, amount)?;
    events.push(DueEvent::Unbonded { account: *id, amount });
    Ok(())
}
