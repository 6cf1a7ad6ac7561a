//! What a task is for: declared by its requester, corrected by reviewers.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, own_open_escrow};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::priority::Purpose;
use crate::quota;
use crate::records::{Escrow, Office, PurposeRecord};
use crate::rejection::Rejection;
use crate::reputation;
use crate::state::keyspace;
use crate::types::{EscrowId, Uftns};

/// Declares what a task is for, once. Without it, general research.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DeclarePurpose {
    /// Its escrow.
    pub escrow: EscrowId,
    /// What for.
    pub purpose: Purpose,
}

/// A reviewer's word that a declared purpose is false. Enough of them for the same purpose replace it; one that had put the task too
/// high costs its requester.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ReclassifyPurpose {
    /// Of which escrow.
    pub escrow: EscrowId,
    /// What it is for in truth.
    pub purpose: Purpose,
}

impl DeclarePurpose {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let escrow = own_open_escrow(working, call, &self.escrow)?;
        let key = keyspace::purpose(&self.escrow);
        if working.get(&key)?.is_some() {
            return Err(Rejection::AlreadyDone("the purpose was declared".into()).into());
        }
        let record =
            PurposeRecord { declared: self.purpose, in_force: self.purpose, words: Vec::new(), false_claim: false };
        working.write(key, &record);
        quota::purpose_changed(working, &self.escrow, &escrow, None, self.purpose.yields())?;
        Ok(Effect::PurposeSet { escrow: self.escrow, purpose: self.purpose })
    }
}

impl ReclassifyPurpose {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        working.must_hold(Office::Reviewer, &call.account)?;
        let key = keyspace::purpose(&self.escrow);
        let unknown = || Rejection::Unknown { what: "declared purpose of escrow".into(), id: self.escrow.to_string() };
        let mut record: PurposeRecord = working.read(&key)?.ok_or_else(unknown)?;
        if record.words.contains(&(call.account, self.purpose)) || record.in_force == self.purpose {
            return Err(Rejection::AlreadyDone("this was said".into()).into());
        }
        // A reviewer's later word replaces its earlier one.
        record.words.retain(|(reviewer, _)| *reviewer != call.account);
        record.words.push((call.account, self.purpose));
        let alike = record.words.iter().filter(|(_, purpose)| *purpose == self.purpose).count() as u64;
        if alike >= working.parameter(Parameter::CreditReviewers) {
            let escrow: Escrow = working.must_read(&keyspace::escrow(&self.escrow))?;
            quota::purpose_changed(working, &self.escrow, &escrow, record.in_force.yields(), self.purpose.yields())?;
            record.in_force = self.purpose;
            record.words.clear();
            let access = working.has_access(&escrow.opener)?;
            if !record.false_claim && self.purpose.factor_milli(access) < record.declared.factor_milli(access) {
                record.false_claim = true;
                working.write(key, &record);
                return punish(working, &self.escrow, &escrow, &record, access);
            }
        }
        let purpose = record.in_force;
        working.write(key, &record);
        Ok(Effect::PurposeSet { escrow: self.escrow, purpose })
    }
}

/// A purpose that reviewers found too high, once a task: what it pretended of the task's size, a penalty, and reputation. Taken from
/// what the requester has free; what is locked for workers stays theirs.
fn punish(
    working: &mut Working<'_>,
    task: &EscrowId,
    escrow: &Escrow,
    record: &PurposeRecord,
    access: bool,
) -> Result<Effect, Stop> {
    let size = u128::from(escrow.amount_per_part.0).saturating_mul(u128::from(escrow.parts));
    let (declared, found) = (record.declared.factor_milli(access), record.in_force.factor_milli(access));
    let balance = working.look(&escrow.opener)?.map_or(Uftns::ZERO, |account| account.balance);
    let difference = share(size, declared.saturating_sub(found), declared).min(balance);
    let rest = Uftns(balance.0.saturating_sub(difference.0));
    let penalty = share(size, working.parameter(Parameter::PurposePenaltyPpm), 1_000_000).min(rest);
    let taken = difference.checked_add(penalty).ok_or(Rejection::AmountOverflow)?;
    working.debit(&escrow.opener, taken)?;
    let totals = &mut working.globals_mut().totals;
    totals.treasury = totals.treasury.checked_add(taken).ok_or(Rejection::AmountOverflow)?;
    working.judge(&escrow.opener, reputation::FALSE_PURPOSE, task)?;
    let (account, purpose) = (escrow.opener, record.in_force);
    Ok(Effect::PurposeFalse { escrow: *task, purpose, account, difference, penalty })
}

/// A share, rounded up.
fn share(of: u128, by: u64, whole: u64) -> Uftns {
    let scaled = of.saturating_mul(u128::from(by)).div_ceil(u128::from(whole.max(1)));
    Uftns(u64::try_from(scaled).unwrap_or(u64::MAX))
}
