//! What a task is for: declared by its requester, corrected by reviewers.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::Call;
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::priority::Purpose;
use crate::quota;
use crate::records::{Escrow, EscrowStatus, Office, PurposeRecord};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::EscrowId;

/// Declares what a task is for, once. Without it, general research.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DeclarePurpose {
    /// Its escrow.
    pub escrow: EscrowId,
    /// What for.
    pub purpose: Purpose,
}

/// A reviewer's word that a declared purpose is false. Enough of them for the same purpose replace it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ReclassifyPurpose {
    /// Of which escrow.
    pub escrow: EscrowId,
    /// What it is for in truth.
    pub purpose: Purpose,
}

impl DeclarePurpose {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let escrow: Escrow =
            working.read(&keyspace::escrow(&self.escrow))?.ok_or(Rejection::UnknownEscrow(self.escrow))?;
        if escrow.opener != call.account {
            return Err(Rejection::NotOpener { opener: escrow.opener }.into());
        }
        if escrow.status != EscrowStatus::Open {
            return Err(Rejection::EscrowClosed(self.escrow).into());
        }
        let key = keyspace::purpose(&self.escrow);
        if working.get(&key)?.is_some() {
            return Err(Rejection::AlreadyDone("the purpose was declared".into()).into());
        }
        let record = PurposeRecord { declared: self.purpose, in_force: self.purpose, words: Vec::new() };
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
            let before = record.in_force;
            record.in_force = self.purpose;
            record.words.clear();
            let escrow: Escrow = working.must_read(&keyspace::escrow(&self.escrow))?;
            quota::purpose_changed(working, &self.escrow, &escrow, before.yields(), self.purpose.yields())?;
        }
        let purpose = record.in_force;
        working.write(key, &record);
        Ok(Effect::PurposeSet { escrow: self.escrow, purpose })
    }
}
