//! Paying one part of a task.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::auction::check_winner;
use super::order::{check_seller, fee, order_closed, order_of, part_paid};
use super::register_host::capability_now;
use super::royalty::{royalty_ppm, worked};
use super::{
    Call, Capabilities, TaskReceipt, TaskReport, carbon_ug, intensity_in_force, least_believed, own_escrow, task_units,
};
use crate::calibration;
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::pricing::{Price, PriceInput, price};
use crate::quota;
use crate::records::{AgentRecord, Escrow, EscrowStatus, FreezeRecord, NodeRecord, VolumeRecord};
use crate::rejection::Rejection;
use crate::reputation;
use crate::retirement::withhold;
use crate::state::keyspace;
use crate::types::{AccountId, ClusterId, EscrowId, Hash, Scope, Uftns};
use crate::unit_price::{period_of, unit_price, voted_price};

/// The opener accepts one part: its worker is paid, its carbon charged, the rest returned.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EscrowRelease {
    /// Which escrow.
    pub escrow: EscrowId,
    /// What was done, by whom, at what cost in energy and carbon.
    pub receipt: TaskReceipt,
}

impl EscrowRelease {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let report = &self.receipt.report;
        let escrow = own_escrow(working, call, &self.escrow)?;
        check_part(working, &escrow, self.escrow, report)?;
        let worker = check_receipt(working, &self.escrow, escrow.capability, &self.receipt)?.account;
        let (price, returned) = settle_part(working, &self.escrow, escrow, report, &worker)?;
        Ok(Effect::PartReleased { escrow: self.escrow, part: report.part, worker, price, returned })
    }
}

/// Pays one part out of its escrow: the worker, the pools, the opener.
pub(super) fn settle_part(
    working: &mut Working<'_>,
    id: &EscrowId,
    mut escrow: Escrow,
    report: &TaskReport,
    worker: &AccountId,
) -> Result<(Price, Uftns), Stop> {
    let order = order_of(working, id)?;
    let units = task_units(report.fuel);
    let unit_price = use_capability(working, &escrow, report)?;
    let work = match order {
        // What is ordered costs what was listed, whatever it takes; no quota is used up for it.
        Some(_) => Work { units: escrow.amount_per_part.0, unit_price: UFTNS, covered_units: 0 },
        None => Work { units, unit_price, covered_units: quota::cover(working, id, &escrow, units)? },
    };
    let mut price = price_of(working, &escrow, report, &work)?;
    count_discount(working, &escrow.opener, price.discount)?;
    price.fee = order.map_or(Uftns::ZERO, |order| fee(&order, price.base));
    let limit = escrow.amount_per_part.checked_add(escrow.reserve_per_part).ok_or(Rejection::AmountOverflow)?;
    let returned = limit.checked_sub(price.total).ok_or(Rejection::AmountOverflow)?;
    let payout = price.base.checked_sub(price.fee).ok_or(Rejection::AmountOverflow)?;
    price.withheld = withhold(working, worker, report, payout)?;
    settle_pools(working, limit, &price)?;
    working.credit(worker, price.payout())?;
    working.credit(&escrow.opener, returned)?;
    worked(working, &report.module, &escrow.opener, price.royalty)?;
    working.judge(worker, reputation::PAID, id)?;
    escrow.locked = escrow.locked.checked_sub(limit).ok_or(Rejection::AmountOverflow)?;
    escrow.mark_released(report.part);
    if escrow.released_parts == escrow.parts {
        escrow.status = EscrowStatus::Settled;
    }
    working.write(keyspace::escrow(id), &escrow);
    if let Some(order) = order {
        part_paid(working, id, order);
    }
    if escrow.status == EscrowStatus::Settled {
        quota::release(working, id, &escrow)?;
        order_closed(working, id)?;
        calibration::served(working, id, worker, report)?;
    }
    Ok((price, returned))
}

/// Checks a receipt against the registered agent, its host and its place; gives the host.
pub(super) fn check_receipt(
    working: &Working<'_>,
    escrow: &EscrowId,
    capability: Capabilities,
    receipt: &TaskReceipt,
) -> Result<NodeRecord, Stop> {
    let report = &receipt.report;
    let agent: AgentRecord =
        working.read(&keyspace::agent(report.agent))?.ok_or(Rejection::UnknownAgent(report.agent))?;
    if agent.node != report.host {
        return Err(Rejection::WrongHost { agent: agent.id, host: agent.node, found: report.host }.into());
    }
    if !agent.capabilities.contains(capability) {
        return Err(Rejection::NotCapable { agent: agent.id }.into());
    }
    let host: NodeRecord = working.must_read(&keyspace::node(agent.node))?;
    check_winner(working, escrow, &host.account)?;
    check_seller(working, escrow, &host, agent.id)?;
    check_thawed(working, &agent)?;
    if !receipt.is_signed_by_host(&host.host_key, &working.chain.context) {
        return Err(Rejection::ReceiptSignature("host".into()).into());
    }
    if !receipt.is_signed_by_agent(&agent.key, &working.chain.context) {
        return Err(Rejection::ReceiptSignature("agent".into()).into());
    }
    let min = least_believed(intensity_in_force(working, host.region)?);
    if report.intensity_mg_per_kwh < min {
        return Err(Rejection::IntensityTooLow { found: report.intensity_mg_per_kwh, min }.into());
    }
    if report.renewable_ppm > host.renewable_ppm {
        let (found, attested) = (report.renewable_ppm, host.renewable_ppm);
        return Err(Rejection::RenewableNotAttested { host: host.id, found, attested }.into());
    }
    let expected = carbon_ug(report.energy_mj, report.intensity_mg_per_kwh, report.renewable_ppm)
        .ok_or(Rejection::AmountOverflow)?;
    if report.carbon_ug != expected {
        return Err(Rejection::CarbonMismatch { found: report.carbon_ug, expected }.into());
    }
    Ok(host)
}

/// Checks that an escrow still pays the part a report is about.
pub(super) fn check_part(
    working: &Working<'_>,
    escrow: &Escrow,
    id: EscrowId,
    report: &TaskReport,
) -> Result<(), Rejection> {
    if escrow.status != EscrowStatus::Open {
        return Err(Rejection::EscrowClosed(id));
    }
    let deadline = escrow.effective_deadline(working.globals().frozen_ms_at(working.now));
    if deadline < working.now {
        return Err(Rejection::DeadlinePassed { deadline, time: working.now });
    }
    let same = |field: &str, found: Hash, expected: Hash| {
        if found == expected {
            return Ok(());
        }
        Err(Rejection::ReceiptMismatch { field: field.into(), found, expected })
    };
    same("task", report.task, escrow.task)?;
    same("module", report.module, escrow.module)?;
    if report.part >= escrow.parts {
        return Err(Rejection::UnknownPart { part: report.part, parts: escrow.parts });
    }
    if escrow.is_released(report.part) {
        return Err(Rejection::PartReleased(report.part));
    }
    if report.exit_code != 0 {
        return Err(Rejection::TaskFailed(report.exit_code));
    }
    escrow.must_cover(report.carbon_ug)
}

/// Frozen agents finish nothing.
fn check_thawed(working: &Working<'_>, agent: &AgentRecord) -> Result<(), Stop> {
    let ClusterId { sector, .. } = agent.cluster;
    for scope in [Scope::Sector(sector), Scope::Cluster(agent.cluster), Scope::Agent(agent.id)] {
        if let Some(freeze) = working.read::<FreezeRecord>(&keyspace::freeze(&scope))? {
            return Err(Rejection::Frozen { scope, until: freeze.until }.into());
        }
    }
    Ok(())
}

/// What a unit costs the opener now; what is used is counted for the prices to come.
fn use_capability(working: &mut Working<'_>, escrow: &Escrow, report: &TaskReport) -> Result<u64, Stop> {
    let units = task_units(report.fuel);
    let mut capability = capability_now(working, escrow.capability)?;
    let key = keyspace::volume(&escrow.opener);
    let mut volume = working.read::<VolumeRecord>(&key)?.unwrap_or_default().in_period(period_of(working.now));
    let price = unit_price(capability.price, working.now, &volume, &working.chain.parameters);
    capability.used = capability.used.saturating_add(units);
    volume.units = volume.units.saturating_add(units);
    working.write(keyspace::capability(escrow.capability), &capability);
    working.write(key, &volume);
    Ok(price)
}

/// What discounts for its region may still take off an account's work in the running period: whoever is requester and worker in one
/// person must not empty the fund.
fn allowance(working: &Working<'_>, id: &AccountId) -> Result<Uftns, Stop> {
    let volume: Option<VolumeRecord> = working.read(&keyspace::volume(id))?;
    let taken = volume.unwrap_or_default().in_period(period_of(working.now)).discounted;
    Ok(Uftns(working.parameter(Parameter::AccessAllowance).saturating_sub(taken.0)))
}

fn count_discount(working: &mut Working<'_>, id: &AccountId, discount: Uftns) -> Result<(), Stop> {
    if discount.is_zero() {
        return Ok(());
    }
    let key = keyspace::volume(id);
    let volume: Option<VolumeRecord> = working.read(&key)?;
    let mut volume = volume.unwrap_or_default().in_period(period_of(working.now));
    volume.discounted = volume.discounted.checked_add(discount).ok_or(Rejection::AmountOverflow)?;
    working.write(key, &volume);
    Ok(())
}

/// What a part's base is counted from.
struct Work {
    units: u64,
    /// In millionths of a uFTNS.
    unit_price: u64,
    covered_units: u64,
}

/// A uFTNS in the unit of prices.
const UFTNS: u64 = 1_000_000;

fn price_of(working: &Working<'_>, escrow: &Escrow, report: &TaskReport, work: &Work) -> Result<Price, Stop> {
    let totals = working.globals().totals;
    let limit = escrow.amount_per_part.checked_add(escrow.reserve_per_part).ok_or(Rejection::AmountOverflow)?;
    let input = PriceInput {
        units: work.units,
        unit_price: work.unit_price,
        covered_units: work.covered_units,
        covered_price: work.unit_price.min(voted_price(&working.chain.parameters)),
        base_limit: escrow.amount_per_part,
        limit,
        carbon_ug: report.carbon_ug,
        renewable_ppm: report.renewable_ppm,
        royalty_ppm: royalty_ppm(working, &report.module)?,
        terms: escrow.terms,
        access: working.has_access(&escrow.opener)?,
        access_fund: totals.access_fund.min(allowance(working, &escrow.opener)?),
        carbon_pool: totals.carbon_pool,
    };
    Ok(price(&input, &working.chain.parameters))
}

/// Moves a part's money out of the escrow and between the pools; what goes to accounts is credited by the caller.
fn settle_pools(working: &mut Working<'_>, limit: Uftns, price: &Price) -> Result<(), Rejection> {
    let totals = &mut working.globals_mut().totals;
    let moved = |pool: Uftns, taken: Uftns, added: Uftns| {
        pool.checked_sub(taken).and_then(|rest| rest.checked_add(added)).ok_or(Rejection::AmountOverflow)
    };
    // A royalty stays set aside, now for the content's owners.
    totals.escrows = moved(totals.escrows, limit, price.royalty)?;
    totals.access_fund = moved(totals.access_fund, price.discount, price.premium)?;
    totals.carbon_pool = moved(totals.carbon_pool, price.green, price.carbon)?;
    totals.carbon_pool = moved(totals.carbon_pool, Uftns::ZERO, price.withheld)?;
    totals.treasury = moved(totals.treasury, Uftns::ZERO, price.fee)?;
    Ok(())
}
