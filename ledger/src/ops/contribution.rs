//! Contributions: claimed with evidence, attested by reviewers, paid from the period's emission. The only way, besides genesis, that
//! money comes into being.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::Call;
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::records::{ContentRecord, Contribution, ContributionRecord, EmissionRecord, Office, PERIOD_MS};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Hash, Uftns};
use crate::unit_price::period_of;

/// Claims payment for a contribution. Reviewers attest it before anything is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ClaimContribution {
    /// Of what kind.
    pub kind: Contribution,
    /// Hash of the content or of the receipts; used once on the whole ledger.
    pub evidence: Hash,
    /// What is asked, more than nothing; paid with a bonus when the evidence is the claimant's own content and has impact. What the kind's share of the period does not have is not paid, then or later.
    pub amount: Uftns,
}

/// A reviewer's word that a contribution is worth what is asked. The last one needed pays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AttestContribution {
    /// Of the claim.
    pub evidence: Hash,
}

impl ClaimContribution {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        if self.amount.is_zero() {
            return Err(Rejection::ZeroAmount.into());
        }
        working.must_be_free(&call.account)?;
        let key = keyspace::contribution(&self.evidence);
        if working.get(&key)?.is_some() {
            return Err(Rejection::AlreadyDone("this evidence was claimed".into()).into());
        }
        let record = ContributionRecord {
            account: call.account,
            kind: self.kind,
            amount: self.amount,
            attested_by: Vec::new(),
            paid_at: None,
            paid: Uftns::ZERO,
        };
        working.write(key, &record);
        Ok(Effect::ContributionClaimed { evidence: self.evidence, kind: self.kind, amount: self.amount })
    }
}

impl AttestContribution {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        working.must_hold(Office::Reviewer, &call.account)?;
        let key = keyspace::contribution(&self.evidence);
        let unknown = || Rejection::Unknown { what: "claimed contribution".into(), id: self.evidence.to_string() };
        let mut record: ContributionRecord = working.read(&key)?.ok_or_else(unknown)?;
        if record.account == call.account {
            return Err(Rejection::SelfReference("attested claim".into()).into());
        }
        if record.paid_at.is_some() {
            return Err(Rejection::AlreadyDone("this contribution was paid".into()).into());
        }
        if record.attested_by.contains(&call.account) {
            return Err(Rejection::AlreadyDone("this reviewer attested the contribution".into()).into());
        }
        // Claimed before its offence came to light: it waits until that is served.
        working.must_be_free(&record.account)?;
        record.attested_by.push(call.account);
        let attestations = record.attested_by.len() as u64;
        if attestations >= working.parameter(Parameter::CreditReviewers) {
            let bonus = impact_bonus(working, &self.evidence, &record)?;
            let asked = Uftns(record.amount.0.saturating_add(bonus));
            record.paid = emit(working, record.kind, asked, &record.account)?;
            record.paid_at = Some(working.now);
        }
        let paid = record.paid;
        working.write(key, &record);
        Ok(Effect::ContributionAttested { evidence: self.evidence, attestations, paid })
    }
}

/// What an owner of the content that is its evidence is paid on top, by the content's impact: at most `impact_bonus_ppm` of what it
/// asks, rounded down.
fn impact_bonus(working: &Working<'_>, evidence: &Hash, record: &ContributionRecord) -> Result<u64, Stop> {
    let content: Option<ContentRecord> = working.read(&keyspace::content(evidence))?;
    let own = content.filter(|content| content.owners.iter().any(|share| share.owner == record.account));
    let impact = own.map(|content| content.impact.at(period_of(working.now))).unwrap_or_default();
    let bonus_ppm = impact.share_of(working.parameter(Parameter::ImpactBonusPpm));
    let bonus = u128::from(record.amount.0).saturating_mul(u128::from(bonus_ppm)).checked_div(1_000_000).unwrap_or(0);
    Ok(u64::try_from(bonus).unwrap_or(u64::MAX))
}

/// Mints what is asked, within what the kind's share of the period and the supply cap leave; gives what was minted.
fn emit(working: &mut Working<'_>, kind: Contribution, asked: Uftns, to: &AccountId) -> Result<Uftns, Stop> {
    let period = working.now.0.checked_div(PERIOD_MS).unwrap_or(0);
    let mut emission: EmissionRecord = working.read(keyspace::EMISSION)?.unwrap_or_default();
    if emission.period != period {
        emission = EmissionRecord { period, ..EmissionRecord::default() };
    }
    let share = kind.share_of(Uftns(working.parameter(Parameter::EmissionPerPeriod))).0;
    let totals = working.globals().totals;
    let below_cap = totals.supply_cap.0.saturating_sub(totals.minted.0);
    let paid_before = emission.of(kind).map_or(share, |paid| paid.0);
    let amount = Uftns(asked.0.min(share.saturating_sub(paid_before)).min(below_cap));
    if let Some(paid) = emission.of(kind) {
        *paid = paid.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
    }
    working.write(keyspace::EMISSION.to_vec(), &emission);
    let totals = &mut working.globals_mut().totals;
    totals.minted = totals.minted.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
    working.credit(to, amount)?;
    Ok(amount)
}
