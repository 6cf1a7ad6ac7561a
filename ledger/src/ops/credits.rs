//! Carbon credits: issued for attested savings, moved, retired for good.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::records::{CreditRecord, CreditTotals, Office, SavingRecord};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Hash};

/// One claim is for at most a thousand tonnes.
pub const MAX_SAVING_UG: u64 = 1_000_000_000_000_000;

/// Claims a saving against a registered baseline. Reviewers attest it before anything is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ClaimSaving {
    /// Names the receipt and its baseline; used once on the whole ledger.
    pub evidence: Hash,
    /// What it would have been, micrograms of CO2e; more than `actual_ug` by at most [`MAX_SAVING_UG`].
    pub baseline_ug: u64,
    /// What it was.
    pub actual_ug: u64,
}

/// A reviewer's word that a claimed saving is real. The last one needed issues the credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AttestSaving {
    /// Of the claim.
    pub evidence: Hash,
}

/// Gives credits to another account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TransferCredits {
    /// Who receives; not the account itself.
    pub to: AccountId,
    /// Micrograms, more than nothing.
    pub amount_ug: u64,
}

/// Retires credits: nobody can use them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RetireCredits {
    /// Micrograms, more than nothing.
    pub amount_ug: u64,
}

impl ClaimSaving {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let saved = self.baseline_ug.saturating_sub(self.actual_ug);
        within("saving (ug)", saved, 1, MAX_SAVING_UG)?;
        let key = keyspace::saving(&self.evidence);
        if working.get(&key)?.is_some() {
            return Err(Rejection::AlreadyDone("this evidence was claimed".into()).into());
        }
        let record = SavingRecord {
            account: call.account,
            evidence: self.evidence,
            baseline_ug: self.baseline_ug,
            actual_ug: self.actual_ug,
            attested_by: Vec::new(),
            issued_at: None,
        };
        working.write(key, &record);
        Ok(Effect::SavingClaimed { evidence: self.evidence, saved_ug: saved })
    }
}

impl AttestSaving {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        working.must_hold(Office::Reviewer, &call.account)?;
        let key = keyspace::saving(&self.evidence);
        let unknown = || Rejection::Unknown { what: "claimed saving".into(), id: self.evidence.to_string() };
        let mut record: SavingRecord = working.read(&key)?.ok_or_else(unknown)?;
        if record.account == call.account {
            return Err(Rejection::SelfReference("attested claim".into()).into());
        }
        if record.issued_at.is_some() {
            return Err(Rejection::AlreadyDone("this saving was credited".into()).into());
        }
        if record.attested_by.contains(&call.account) {
            return Err(Rejection::AlreadyDone("this reviewer attested the saving".into()).into());
        }
        record.attested_by.push(call.account);
        let attestations = record.attested_by.len() as u64;
        let mut issued_ug = 0;
        if attestations >= working.parameter(Parameter::CreditReviewers) {
            issued_ug = record.baseline_ug.saturating_sub(record.actual_ug);
            record.issued_at = Some(working.now);
            issue(working, &record.account, issued_ug)?;
        }
        working.write(key, &record);
        Ok(Effect::SavingAttested { evidence: self.evidence, attestations, issued_ug })
    }
}

impl TransferCredits {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("amount (ug)", self.amount_ug, 1, u64::MAX)?;
        if self.to == call.account {
            return Err(Rejection::SelfReference("receiver".into()).into());
        }
        let mut from = own(working, &call.account, self.amount_ug)?;
        from.held_ug = from.held_ug.saturating_sub(self.amount_ug);
        working.write(keyspace::credits(&call.account), &from);
        let mut to: CreditRecord = working.read(&keyspace::credits(&self.to))?.unwrap_or_default();
        to.held_ug = to.held_ug.checked_add(self.amount_ug).ok_or(Rejection::AmountOverflow)?;
        working.write(keyspace::credits(&self.to), &to);
        Ok(Effect::CreditsTransferred { to: self.to, amount_ug: self.amount_ug })
    }
}

impl RetireCredits {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("amount (ug)", self.amount_ug, 1, u64::MAX)?;
        let mut record = own(working, &call.account, self.amount_ug)?;
        record.held_ug = record.held_ug.saturating_sub(self.amount_ug);
        record.retired_ug = record.retired_ug.checked_add(self.amount_ug).ok_or(Rejection::AmountOverflow)?;
        let retired_ug = record.retired_ug;
        working.write(keyspace::credits(&call.account), &record);
        let mut totals = totals(working)?;
        totals.held_ug = totals.held_ug.saturating_sub(self.amount_ug);
        totals.retired_ug = totals.retired_ug.checked_add(self.amount_ug).ok_or(Rejection::AmountOverflow)?;
        working.write(keyspace::CREDIT_TOTALS.to_vec(), &totals);
        Ok(Effect::CreditsRetired { amount_ug: self.amount_ug, retired_ug })
    }
}

fn own(working: &Working<'_>, id: &AccountId, needed_ug: u64) -> Result<CreditRecord, Stop> {
    let record: CreditRecord = working.read(&keyspace::credits(id))?.unwrap_or_default();
    if record.held_ug < needed_ug {
        return Err(Rejection::CreditsShort { needed_ug, held_ug: record.held_ug }.into());
    }
    Ok(record)
}

fn totals(working: &Working<'_>) -> Result<CreditTotals, Stop> {
    Ok(working.read(keyspace::CREDIT_TOTALS)?.unwrap_or_default())
}

/// Makes credits: only for an attested saving or an import by vote.
pub(crate) fn issue(working: &mut Working<'_>, to: &AccountId, amount_ug: u64) -> Result<(), Stop> {
    let mut totals = totals(working)?;
    totals.issued_ug = totals.issued_ug.checked_add(amount_ug).ok_or(Rejection::AmountOverflow)?;
    totals.held_ug = totals.held_ug.checked_add(amount_ug).ok_or(Rejection::AmountOverflow)?;
    working.write(keyspace::CREDIT_TOTALS.to_vec(), &totals);
    let mut record: CreditRecord = working.read(&keyspace::credits(to))?.unwrap_or_default();
    record.held_ug = record.held_ug.checked_add(amount_ug).ok_or(Rejection::AmountOverflow)?;
    working.write(keyspace::credits(to), &record);
    Ok(())
}
