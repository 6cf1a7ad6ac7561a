//! Quota as operations see it: allocated to whoever brings agents, set aside for tasks, used up by their receipts.

use crate::execute::{Stop, Working};
use crate::ops::{AgentRegistration, Capabilities};
use crate::parameters::Parameter;
use crate::records::{Due, Escrow, EscrowStatus, PurposeRecord, QuotaDraw, QuotaRecord};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, EscrowId, TimeMs};

/// The number of the quota period that runs.
pub(crate) fn period(working: &Working<'_>) -> u64 {
    working.now.0.checked_div(working.parameter(Parameter::QuotaPeriodMs)).unwrap_or(0)
}

/// When so many periods are over, the running one included.
pub(crate) fn end_of(working: &Working<'_>, periods: u32) -> TimeMs {
    let last = period(working).saturating_add(u64::from(periods));
    TimeMs(last.saturating_mul(working.parameter(Parameter::QuotaPeriodMs)))
}

/// An account's quota of a capability in the running period.
pub(crate) fn quota(working: &Working<'_>, account: &AccountId, capability: Capabilities) -> Result<QuotaRecord, Stop> {
    let record: Option<QuotaRecord> = working.read(&keyspace::quota(account, capability))?;
    Ok(record.unwrap_or_default().in_period(period(working)))
}

/// Keeps it.
pub(crate) fn keep(working: &mut Working<'_>, account: &AccountId, capability: Capabilities, record: &QuotaRecord) {
    working.write(keyspace::quota(account, capability), record);
}

/// Adds to what an account has or takes from it; whatever takes has looked before whether it is there.
pub(crate) fn moved(of: u64, added: u64, taken: u64) -> Result<u64, Rejection> {
    of.checked_add(added).and_then(|sum| sum.checked_sub(taken)).ok_or(Rejection::AmountOverflow)
}

/// Whoever brings capacity may use a part of as much at the voted price, whatever it costs others by then.
pub(crate) fn allocate(
    working: &mut Working<'_>,
    account: &AccountId,
    agents: &[AgentRegistration],
) -> Result<(), Stop> {
    let each = working.parameter(Parameter::QuotaAgentUnits);
    if each == 0 {
        return Ok(());
    }
    let all = agents.iter().fold(Capabilities::default(), |all, agent| all.union(agent.capabilities));
    for capability in all.each() {
        let able = agents.iter().filter(|agent| agent.capabilities.contains(capability)).count();
        let mut record = quota(working, account, capability)?;
        record.allocated = moved(record.allocated, each.saturating_mul(able as u64), 0)?;
        keep(working, account, capability, &record);
    }
    Ok(())
}

/// Sets what a task has set aside, and keeps the list of what an emergency may draw on. The caller keeps the record.
pub(crate) fn set_reserved(
    working: &mut Working<'_>,
    record: &mut QuotaRecord,
    owner: &AccountId,
    capability: Capabilities,
    task: &EscrowId,
    units: u64,
) -> Result<(), Stop> {
    if units == 0 {
        record.reserved.remove(task);
    } else {
        record.reserved.insert(*task, units);
    }
    let purpose: Option<PurposeRecord> = working.read(&keyspace::purpose(task))?;
    let Some(rank) = purpose.and_then(|purpose| purpose.in_force.yields()) else { return Ok(()) };
    list(working, keyspace::yielding_task(capability, rank, task), owner, units > 0)
}

/// Cuts what is set aside to what may be, from the highest task down.
pub(crate) fn cut(
    working: &mut Working<'_>,
    record: &mut QuotaRecord,
    owner: &AccountId,
    capability: Capabilities,
) -> Result<(), Stop> {
    loop {
        let over = record.reserved_units().saturating_sub(record.usable());
        let Some((task, units)) = record.reserved.last_key_value().map(|(task, units)| (*task, *units)) else {
            return Ok(());
        };
        if over == 0 {
            return Ok(());
        }
        set_reserved(working, record, owner, capability, &task, units.saturating_sub(over))?;
    }
}

/// Puts a task on the list of those that yield in an emergency, or takes it off.
fn list(working: &mut Working<'_>, key: Vec<u8>, owner: &AccountId, listed: bool) -> Result<(), Stop> {
    let before = working.get(&key)?.is_some();
    match (before, listed) {
        (false, true) => working.write(key, owner),
        (true, false) => working.remove(key),
        _ => {}
    }
    Ok(())
}

/// A task counts for another purpose: it may yield now or no longer, and what it drew as disaster response goes back.
pub(crate) fn purpose_changed(
    working: &mut Working<'_>,
    task: &EscrowId,
    escrow: &Escrow,
    before: Option<u8>,
    after: Option<u8>,
) -> Result<(), Stop> {
    let record = quota(working, &escrow.opener, escrow.capability)?;
    let reserved = record.reserved.contains_key(task);
    for (rank, listed) in [(before, false), (after, reserved)] {
        if let Some(rank) = rank {
            list(working, keyspace::yielding_task(escrow.capability, rank, task), &escrow.opener, listed)?;
        }
    }
    look_at_draw(working, task)
}

/// Has what an emergency took for a task looked at with the next block.
pub(crate) fn look_at_draw(working: &mut Working<'_>, task: &EscrowId) -> Result<(), Stop> {
    if working.get(&keyspace::quota_draw(task))?.is_some() {
        working.schedule(working.now, &Due::QuotaDrawEnds(*task));
    }
    Ok(())
}

/// Uses up what a task has set aside for so many units; tells how many that covers.
pub(crate) fn cover(working: &mut Working<'_>, task: &EscrowId, escrow: &Escrow, units: u64) -> Result<u64, Stop> {
    let mut record = quota(working, &escrow.opener, escrow.capability)?;
    let Some(reserved) = record.reserved.get(task).copied() else { return Ok(0) };
    let covered = reserved.min(units);
    set_reserved(working, &mut record, &escrow.opener, escrow.capability, task, reserved.saturating_sub(covered))?;
    record.used = record.used.saturating_add(covered);
    keep(working, &escrow.opener, escrow.capability, &record);
    Ok(covered)
}

/// A task is over: what it had set aside is free again. What an emergency took for it goes back with the next block.
pub(crate) fn release(working: &mut Working<'_>, task: &EscrowId, escrow: &Escrow) -> Result<(), Stop> {
    if working.read::<QuotaDraw>(&keyspace::quota_draw(task))?.is_some() {
        return look_at_draw(working, task);
    }
    let mut record = quota(working, &escrow.opener, escrow.capability)?;
    if record.reserved.contains_key(task) {
        set_reserved(working, &mut record, &escrow.opener, escrow.capability, task, 0)?;
        keep(working, &escrow.opener, escrow.capability, &record);
    }
    Ok(())
}

/// Whether a task is still open.
pub(crate) fn is_open(working: &Working<'_>, task: &EscrowId) -> Result<bool, Stop> {
    let escrow: Option<Escrow> = working.read(&keyspace::escrow(task))?;
    Ok(escrow.is_some_and(|escrow| escrow.status == EscrowStatus::Open))
}
