//! What a declared emergency lends to disaster response: quota set aside for the least urgent tasks.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, own_open_escrow, within};
use crate::execute::{Stop, Working};
use crate::outcome::{DueEvent, Effect};
use crate::priority::Purpose;
use crate::quota::{self, moved, set_reserved};
use crate::records::{Due, EmergencyRecord, Escrow, PurposeRecord, QuotaDraw, TakenQuota};
use crate::rejection::Rejection;
use crate::state::{StateError, decode_record, keyspace};
use crate::types::{AccountId, EscrowId, Region, TimeMs};

/// Tasks one draw takes from, at most.
pub const MAX_SOURCES: usize = 16;
/// Tasks with drawn quota at once, at most.
pub const MAX_DRAWS: usize = 256;

/// Draws quota for a task of disaster response in the region of an emergency: from proof-of-work first, then from luxury. It goes
/// back when the emergency or the task ends, or when reviewers say that the task is for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DrawQuota {
    /// Its escrow.
    pub escrow: EscrowId,
    /// Units, more than nothing; fewer when there are no more.
    pub units: u64,
}

impl DrawQuota {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("units", self.units, 1, u64::MAX)?;
        let escrow = own_open_escrow(working, call, &self.escrow)?;
        if working.get(&keyspace::quota_draw(&self.escrow))?.is_some() {
            return Err(Rejection::AlreadyDone("quota was drawn for this task".into()).into());
        }
        if !is_disaster_response(working, &self.escrow)? {
            return Err(Rejection::NoEmergency("the task does not count as disaster response".into()).into());
        }
        let (region, until) = emergency_of(working, &call.account)?;
        let draws = working.scan(keyspace::QUOTA_DRAWS, MAX_DRAWS)?.len();
        if draws >= MAX_DRAWS {
            let (what, max) = ("tasks with drawn quota".into(), MAX_DRAWS as u64);
            return Err(Rejection::TooMany { what, found: draws as u64, max }.into());
        }
        let draw = self.take(working, &escrow, region)?;
        let units = draw.units();
        if units == 0 {
            return Err(Rejection::QuotaShort { needed: self.units, free: 0 }.into());
        }
        let mut record = quota::quota(working, &escrow.opener, escrow.capability)?;
        record.drawn = moved(record.drawn, units, 0)?;
        let reserved = record.reserved.get(&self.escrow).copied().unwrap_or(0);
        let reserved = moved(reserved, units, 0)?;
        set_reserved(working, &mut record, &escrow.opener, escrow.capability, &self.escrow, reserved)?;
        quota::keep(working, &escrow.opener, escrow.capability, &record);
        working.write(keyspace::quota_draw(&self.escrow), &draw);
        working.schedule(until, &Due::QuotaDrawEnds(self.escrow));
        Ok(Effect::QuotaDrawn { escrow: self.escrow, units, tasks: draw.taken.len() as u64, until })
    }

    /// Takes what the least urgent tasks have set aside, in order of purpose and task; nothing from the account's own.
    fn take(&self, working: &mut Working<'_>, escrow: &Escrow, region: Region) -> Result<QuotaDraw, Stop> {
        let (opener, capability) = (escrow.opener, escrow.capability);
        let mut draw = QuotaDraw { region, opener, capability, taken: Vec::new() };
        let mut left = self.units;
        let prefix = keyspace::yielding_tasks(capability);
        for (key, value) in working.scan(&prefix, MAX_SOURCES)? {
            let owner: AccountId = decode_record(&key, &value)?;
            let task = key.last_chunk::<32>().map(|id| crate::types::Hash(*id));
            let corrupt = || StateError::Corrupt { key: hex::encode(&key), reason: "it names no task".into() };
            let task = task.ok_or_else(corrupt)?;
            if left == 0 || owner == opener {
                continue;
            }
            let mut record = quota::quota(working, &owner, capability)?;
            let reserved = record.reserved.get(&task).copied().unwrap_or(0);
            let units = reserved.min(left);
            left = left.saturating_sub(units);
            set_reserved(working, &mut record, &owner, capability, &task, reserved.saturating_sub(units))?;
            record.yielded = moved(record.yielded, units, 0)?;
            quota::keep(working, &owner, capability, &record);
            draw.taken.push(TakenQuota { owner, escrow: task, units });
        }
        Ok(draw)
    }
}

fn is_disaster_response(working: &Working<'_>, task: &EscrowId) -> Result<bool, Stop> {
    let purpose: Option<PurposeRecord> = working.read(&keyspace::purpose(task))?;
    Ok(purpose.is_some_and(|purpose| purpose.in_force == Purpose::DisasterResponse))
}

/// The end of the emergency in a region, while it is in force.
fn in_force(working: &Working<'_>, region: Region) -> Result<Option<TimeMs>, Stop> {
    let record: Option<EmergencyRecord> = working.read(&keyspace::emergency(region))?;
    Ok(record.and_then(|record| record.in_force_until(working.now)))
}

/// The attested region of an account and the end of the emergency there.
fn emergency_of(working: &Working<'_>, account: &AccountId) -> Result<(Region, TimeMs), Stop> {
    let record = working.account(account)?.unwrap_or_default();
    let region = record.attested_region();
    let region = region.ok_or_else(|| Rejection::NoEmergency("the account's region is not attested".into()))?;
    let until = in_force(working, region)?;
    Ok((region, until.ok_or_else(|| Rejection::NoEmergency(format!("none is in force in {region}")))?))
}

/// An emergency was declared anew or lifted: what it took is looked at with the next block.
pub(crate) fn emergency_changed(working: &mut Working<'_>, region: Region) -> Result<(), Stop> {
    for (key, value) in working.scan(keyspace::QUOTA_DRAWS, MAX_DRAWS)? {
        let draw: QuotaDraw = decode_record(&key, &value)?;
        if let Some(task) = key.last_chunk::<32>().filter(|_| draw.region == region) {
            working.schedule(working.now, &Due::QuotaDrawEnds(crate::types::Hash(*task)));
        }
    }
    Ok(())
}

/// Gives back what an emergency took for a task, unless emergency and task go on.
pub(crate) fn end_draw(working: &mut Working<'_>, task: &EscrowId, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let key = keyspace::quota_draw(task);
    let Some(draw) = working.read::<QuotaDraw>(&key)? else { return Ok(()) };
    let open = quota::is_open(working, task)?;
    let goes_on = open && is_disaster_response(working, task)?;
    if let Some(until) = in_force(working, draw.region)?.filter(|_| goes_on) {
        working.schedule(until, &Due::QuotaDrawEnds(*task));
        return Ok(());
    }
    let units = draw.units();
    let mut record = quota::quota(working, &draw.opener, draw.capability)?;
    record.drawn = moved(record.drawn, 0, units)?;
    let reserved = record.reserved.get(task).copied().unwrap_or(0);
    let rest = if open { reserved.saturating_sub(units) } else { 0 };
    set_reserved(working, &mut record, &draw.opener, draw.capability, task, rest)?;
    quota::cut(working, &mut record, &draw.opener, draw.capability)?;
    quota::keep(working, &draw.opener, draw.capability, &record);
    for taken in &draw.taken {
        let mut record = quota::quota(working, &taken.owner, draw.capability)?;
        record.yielded = moved(record.yielded, 0, taken.units)?;
        if quota::is_open(working, &taken.escrow)? {
            let had = record.reserved.get(&taken.escrow).copied().unwrap_or(0);
            // A loan that went back meanwhile may have taken away what this was.
            let room = record.usable().saturating_sub(record.reserved_units());
            let back = moved(had, taken.units.min(room), 0)?;
            set_reserved(working, &mut record, &taken.owner, draw.capability, &taken.escrow, back)?;
        }
        quota::keep(working, &taken.owner, draw.capability, &record);
    }
    working.remove(key);
    events.push(DueEvent::QuotaDrawEnded { escrow: *task, units, tasks: draw.taken.len() as u64 });
    Ok(())
}
