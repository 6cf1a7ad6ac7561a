//! Payment without the requester: a worker claims a part; what is not disputed in the window is paid, what is disputed is ruled on
//! by three reviewers drawn by lot.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::escrow_release::{check_part, check_receipt, settle_part};
use super::order::settle_delivery;
use super::slash::penalize;
use super::{Call, TaskReceipt, own_escrow};
use crate::execute::{Stop, Working};
use crate::outcome::{DueEvent, Effect};
use crate::parameters::Parameter;
use crate::pricing::Price;
use crate::records::{BondRecord, ClaimRecord, ClaimStatus, Claimed, Due, Duty, Escrow, EscrowStatus, Office};
use crate::rejection::Rejection;
use crate::reputation;
use crate::state::{decode_record, keyspace};
use crate::types::{AccountId, EscrowId, Hash, TimeMs, Uftns};

/// Reviewers of a panel.
pub const PANEL: usize = 3;
/// Rulings that decide.
pub const MAJORITY: usize = 2;
/// While everything is frozen, what is due is looked at again after so long.
const FROZEN_RETRY_MS: u64 = 1_000;
/// Claims of one escrow looked at when its deadline comes: as many as it can have parts.
const MAX_CLAIMS: usize = super::MAX_PARTS as usize;

/// The host of a finished part asks for its payment. Answers with a bond as host of at least the part's price / audit rate.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ClaimPart {
    /// Which escrow.
    pub escrow: EscrowId,
    /// What was done, by whom, at what cost in energy and carbon.
    pub receipt: TaskReceipt,
}

/// The opener disputes a claim within its window and answers with a bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DisputeClaim {
    /// Which escrow.
    pub escrow: EscrowId,
    /// Which part.
    pub part: u32,
}

/// One of the panel rules on a disputed claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RuleClaim {
    /// Which escrow.
    pub escrow: EscrowId,
    /// Which part.
    pub part: u32,
    /// Whether the worker is to be paid.
    pub pay: bool,
}

impl ClaimPart {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let report = &self.receipt.report;
        let escrow: Escrow =
            working.read(&keyspace::escrow(&self.escrow))?.ok_or(Rejection::UnknownEscrow(self.escrow))?;
        check_part(working, &escrow, self.escrow, report)?;
        if working.get(&keyspace::claim(&self.escrow, report.part))?.is_some() {
            return Err(Rejection::AlreadyDone("this part was claimed".into()).into());
        }
        let host = check_receipt(working, &self.escrow, escrow.capability, &self.receipt)?;
        if host.account != call.account {
            return Err(Rejection::NotOwner { what: "the receipt's host".into(), owner: host.account }.into());
        }
        let ends = file_claim(working, &self.escrow, &escrow, &call.account, Claimed::Part(*report))?;
        Ok(Effect::PartClaimed { escrow: self.escrow, part: report.part, ends })
    }
}

/// Files a claim of a worker who answers for it; gives the end of its window.
pub(super) fn file_claim(
    working: &mut Working<'_>,
    id: &EscrowId,
    escrow: &Escrow,
    worker: &AccountId,
    claimed: Claimed,
) -> Result<TimeMs, Stop> {
    let part = claimed.part();
    let key = keyspace::claim(id, part);
    if working.get(&key)?.is_some() {
        return Err(Rejection::AlreadyDone("this part was claimed".into()).into());
    }
    check_bond(working, escrow, worker)?;
    let ends = working.now.plus_ms(working.parameter(Parameter::ChallengeMs));
    // A dispute on the last day must still be ruled on before the escrow closes.
    let (ruled, frozen_ms) =
        (ends.plus_ms(working.parameter(Parameter::RulingMs)), working.globals().frozen_ms_at(working.now));
    let latest = escrow.effective_deadline(frozen_ms);
    if ruled > latest {
        return Err(Rejection::DeadlineTooFar { deadline: ruled, latest }.into());
    }
    let record = ClaimRecord {
        worker: *worker,
        claimed,
        ends,
        frozen_ms,
        status: ClaimStatus::Open,
        bond: Uftns::ZERO,
        panel: Vec::new(),
        for_worker: Vec::new(),
        for_opener: Vec::new(),
    };
    working.write(key, &record);
    working.schedule(ends, &Due::ClaimEnds(*id, part));
    Ok(ends)
}

/// Whoever is checked only now and then answers for all the times it was not.
fn check_bond(working: &Working<'_>, escrow: &Escrow, host: &AccountId) -> Result<(), Stop> {
    let audit_ppm = u128::from(working.parameter(Parameter::AuditPpm).max(1));
    let needed = u128::from(escrow.amount_per_part.0).saturating_mul(1_000_000).div_ceil(audit_ppm);
    let needed = Uftns(u64::try_from(needed).unwrap_or(u64::MAX));
    let record: BondRecord = working.read(&keyspace::bond(host))?.unwrap_or_default();
    let bonded = record.bonded.get(&Duty::Host).copied().unwrap_or_default();
    if bonded < needed {
        return Err(Rejection::BondTooSmall { duty: Duty::Host, needed, bonded }.into());
    }
    Ok(())
}

fn claim(working: &Working<'_>, escrow: &EscrowId, part: u32) -> Result<ClaimRecord, Stop> {
    let unknown = || Rejection::Unknown { what: "claim".into(), id: format!("{escrow}, part {part}") };
    Ok(working.read(&keyspace::claim(escrow, part))?.ok_or_else(unknown)?)
}

impl DisputeClaim {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let escrow = own_escrow(working, call, &self.escrow)?;
        let mut record = claim(working, &self.escrow, self.part)?;
        if record.status != ClaimStatus::Open {
            return Err(Rejection::AlreadyDone("the claim was disputed or decided".into()).into());
        }
        let deadline = record.effective_end(working.globals().frozen_ms_at(working.now));
        if deadline < working.now {
            return Err(Rejection::DeadlinePassed { deadline, time: working.now }.into());
        }
        record.bond = Uftns(working.parameter(Parameter::DisputeBond));
        working.lock(&call.account, record.bond)?;
        record.status = ClaimStatus::Disputed;
        record.frozen_ms = working.globals().frozen_ms_at(working.now);
        // A ruling time that was raised meanwhile does not outlast the escrow.
        let ruled = working.now.plus_ms(working.parameter(Parameter::RulingMs));
        record.ends = ruled.min(escrow.effective_deadline(record.frozen_ms));
        // Drawn by the next block from the hash of this one, which nobody knew when the claim was filed.
        working.schedule(working.now.plus_ms(1), &Due::DrawPanel(self.escrow, self.part));
        working.schedule(record.ends, &Due::ClaimEnds(self.escrow, self.part));
        let bond = record.bond;
        working.write(keyspace::claim(&self.escrow, self.part), &record);
        Ok(Effect::ClaimDisputed { escrow: self.escrow, part: self.part, bond })
    }
}

impl RuleClaim {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let mut record = claim(working, &self.escrow, self.part)?;
        if record.status != ClaimStatus::Disputed {
            return Err(Rejection::AlreadyDone("the claim is undisputed or was decided".into()).into());
        }
        if !record.panel.contains(&call.account) {
            return Err(Rejection::NotDrawn(call.account).into());
        }
        if record.for_worker.contains(&call.account) || record.for_opener.contains(&call.account) {
            return Err(Rejection::AlreadyDone("this reviewer ruled".into()).into());
        }
        let side = if self.pay { &mut record.for_worker } else { &mut record.for_opener };
        side.push(call.account);
        let decided = side.len() >= MAJORITY;
        let mut price = None;
        if !decided {
            working.write(keyspace::claim(&self.escrow, self.part), &record);
        } else if self.pay {
            price = pay(working, &self.escrow, self.part, record)?;
        } else {
            refuse(working, &self.escrow, self.part, record, true)?;
        }
        Ok(Effect::ClaimRuled { escrow: self.escrow, part: self.part, pay: self.pay, decided, price })
    }
}

/// Draws the panel: reviewers in office but opener and worker, by lot from the hash of the block before.
pub(crate) fn draw_panel(
    working: &mut Working<'_>,
    id: &EscrowId,
    part: u32,
    events: &mut Vec<DueEvent>,
) -> Result<(), Stop> {
    let mut record = claim(working, id, part)?;
    if record.status != ClaimStatus::Disputed || !record.panel.is_empty() {
        return Ok(());
    }
    let escrow: Escrow = working.must_read(&keyspace::escrow(id))?;
    let mut pool = working.holders(Office::Reviewer)?;
    pool.retain(|reviewer| *reviewer != escrow.opener && *reviewer != record.worker);
    for seat in 0..PANEL {
        let lot = Hash::derive(
            "mesh30k panel lot v1",
            &[&working.tip.block.0, &id.0, &part.to_le_bytes(), &(seat as u64).to_le_bytes()],
        );
        let (number, _) = lot.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let drawn = u64::from_le_bytes(*number).checked_rem(pool.len() as u64).and_then(|at| usize::try_from(at).ok());
        let Some(drawn) = drawn else { break };
        record.panel.push(pool.swap_remove(drawn));
    }
    events.push(DueEvent::PanelDrawn { escrow: *id, part, panel: record.panel.clone() });
    working.write(keyspace::claim(id, part), &record);
    Ok(())
}

/// The end of a claim's phase: what nobody disputed is paid; what nobody ruled on is not, and the opener's bond comes back.
pub(crate) fn end(working: &mut Working<'_>, id: &EscrowId, part: u32, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let record = claim(working, id, part)?;
    if !record.is_open() {
        return Ok(());
    }
    let globals = working.globals();
    let ends = record.effective_end(globals.frozen_ms_at(working.now));
    if globals.frozen_since.is_some() {
        working.schedule(working.now.plus_ms(FROZEN_RETRY_MS), &Due::ClaimEnds(*id, part));
        return Ok(());
    }
    if ends > working.now {
        // Put off by a freeze, or the window of a claim that was disputed meanwhile.
        working.schedule(ends, &Due::ClaimEnds(*id, part));
        return Ok(());
    }
    let worker = record.worker;
    if record.status == ClaimStatus::Open {
        let price = pay(working, id, part, record)?;
        events.push(DueEvent::ClaimPaid { escrow: *id, part, worker, price });
    } else {
        refuse(working, id, part, record, false)?;
        events.push(DueEvent::ClaimLapsed { escrow: *id, part });
    }
    Ok(())
}

/// Decides every claim of an escrow whose deadline has come, before the rest goes back.
pub(crate) fn end_all(working: &mut Working<'_>, id: &EscrowId, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let prefix = keyspace::claims(id);
    let mut parts = Vec::new();
    for (key, value) in working.scan(&prefix, MAX_CLAIMS)? {
        let record: ClaimRecord = decode_record(&key, &value)?;
        if record.is_open() {
            parts.push(record.claimed.part());
        }
    }
    for part in parts {
        end(working, id, part, events)?;
    }
    Ok(())
}

/// Pays the part, unless the opener did so meanwhile; the bond of a dispute that was lost goes to the worker.
fn pay(working: &mut Working<'_>, id: &EscrowId, part: u32, mut record: ClaimRecord) -> Result<Option<Price>, Stop> {
    let bond = std::mem::take(&mut record.bond);
    working.unlock(&record.worker, bond)?;
    record.status = ClaimStatus::Paid;
    let escrow: Escrow = working.must_read(&keyspace::escrow(id))?;
    let mut price = None;
    if escrow.status == EscrowStatus::Open && !escrow.is_released(part) {
        price = Some(match &record.claimed {
            Claimed::Part(report) => settle_part(working, id, escrow, report, &record.worker)?.0,
            Claimed::Delivery(_) => settle_delivery(working, id, escrow)?,
        });
    }
    working.write(keyspace::claim(id, part), &record);
    Ok(price)
}

/// Leaves the part to the opener. A claim that reviewers refused was a false receipt: it costs the worker's bond.
fn refuse(
    working: &mut Working<'_>,
    id: &EscrowId,
    part: u32,
    mut record: ClaimRecord,
    proven: bool,
) -> Result<(), Stop> {
    let escrow: Escrow = working.must_read(&keyspace::escrow(id))?;
    let bond = std::mem::take(&mut record.bond);
    working.unlock(&escrow.opener, bond)?;
    record.status = ClaimStatus::Refused;
    working.write(keyspace::claim(id, part), &record);
    if proven {
        working.judge(&record.worker, reputation::REFUSED, id)?;
        let share = working.parameter(Parameter::SlashPpm);
        // Nothing when others have slashed it to nothing before.
        penalize(working, &record.worker, Duty::Host, share, &escrow.opener)?;
    }
    Ok(())
}
