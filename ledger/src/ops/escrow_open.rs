//! Locking the payment of a task.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::order::order_closed;
use super::{Call, Capabilities, claim, within};
use crate::calibration;
use crate::charges::ChargeTerms;
use crate::execute::{Stop, Working};
use crate::outcome::{DueEvent, Effect};
use crate::quota;
use crate::records::{ContentRecord, Due, Escrow, EscrowStatus};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, EscrowId, Hash, TimeMs, Uftns};

/// Parts of one task, at most.
pub const MAX_PARTS: u32 = 4_096;
/// The longest an escrow stays open: a year. No money is stuck for ever.
pub const MAX_ESCROW_MS: u64 = 365 * 24 * 3_600 * 1_000;

/// Locks `parts` times (`amount_per_part` + `reserve_per_part`). The escrow is named by this transaction's id.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EscrowOpen {
    /// Names the task among its opener's; receipts repeat it.
    pub task: Hash,
    /// Hash of the wasm module that runs.
    pub module: Hash,
    /// What its agents must be able to do, one capability; the price of a unit is that of this capability.
    pub capability: Capabilities,
    /// Pieces that are done and paid one by one.
    pub parts: u32,
    /// The most a worker is paid for one part.
    pub amount_per_part: Uftns,
    /// Held for the carbon charge, the premium and the royalty of one part; refused when it cannot hold what is to be expected
    /// ([`crate::charges::needed_reserve`]). A part whose footprint it cannot pay for is not paid at all.
    pub reserve_per_part: Uftns,
    /// What is not released by this block time goes back to the opener by itself.
    pub release_deadline: TimeMs,
}

impl EscrowOpen {
    /// What is locked in all; nothing when it does not fit.
    #[must_use]
    pub fn total(&self) -> Option<Uftns> {
        self.amount_per_part.checked_add(self.reserve_per_part)?.checked_mul(u64::from(self.parts))
    }

    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        self.capability.must_be_one()?;
        within("parts", u64::from(self.parts), 1, u64::from(MAX_PARTS))?;
        if self.amount_per_part.is_zero() {
            return Err(Rejection::ZeroAmount.into());
        }
        let (deadline, time) = (self.release_deadline, working.now);
        if deadline <= time {
            return Err(Rejection::DeadlinePassed { deadline, time }.into());
        }
        let latest = time.plus_ms(MAX_ESCROW_MS);
        if deadline > latest {
            return Err(Rejection::DeadlineTooFar { deadline, latest }.into());
        }
        let locked = self.total().ok_or(Rejection::AmountOverflow)?;
        let terms = check_reserve(working, &call.account, self.amount_per_part, self.reserve_per_part, &self.module)?;
        working.debit(&call.account, locked)?;
        let totals = &mut working.globals_mut().totals;
        totals.escrows = totals.escrows.checked_add(locked).ok_or(Rejection::AmountOverflow)?;
        let bytes = usize::try_from(self.parts.div_ceil(8)).unwrap_or(0);
        let escrow = Escrow {
            opener: call.account,
            task: self.task,
            module: self.module,
            capability: self.capability,
            parts: self.parts,
            amount_per_part: self.amount_per_part,
            reserve_per_part: self.reserve_per_part,
            terms,
            locked,
            released: vec![0; bytes],
            released_parts: 0,
            release_deadline: deadline,
            frozen_ms_at_open: working.globals().frozen_ms_at(time),
            status: EscrowStatus::Open,
        };
        working.write(keyspace::escrow(&call.id), &escrow);
        working.schedule(deadline, &Due::EscrowDeadline(call.id));
        Ok(Effect::EscrowOpened { escrow: call.id, locked })
    }
}

/// Refuses a reserve that cannot hold what a part may be charged; gives the terms its charges are counted with.
pub(super) fn check_reserve(
    working: &Working<'_>,
    account: &AccountId,
    price: Uftns,
    reserved: Uftns,
    module: &Hash,
) -> Result<ChargeTerms, Stop> {
    let content: Option<ContentRecord> = working.read(&keyspace::content(module))?;
    let parameters = &working.chain.parameters;
    let terms = ChargeTerms::now(parameters, working.has_access(account)?, content.as_ref());
    let needed = terms.reserve(price, parameters).total();
    if reserved < needed {
        return Err(Rejection::ReserveShort { needed, reserved }.into());
    }
    Ok(terms)
}

/// Returns the rest of an escrow at its deadline, which moves by as long as everything was frozen.
pub(crate) fn refund(working: &mut Working<'_>, id: &EscrowId, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let key = keyspace::escrow(id);
    let mut escrow: Escrow = working.must_read(&key)?;
    if escrow.status != EscrowStatus::Open {
        return Ok(());
    }
    let globals = working.globals();
    let deadline = escrow.effective_deadline(globals.frozen_ms_at(working.now));
    if deadline > working.now {
        working.schedule(deadline, &Due::EscrowDeadline(*id));
        return Ok(());
    }
    if globals.frozen_since.is_some() {
        // Its clock stands still right at its end: look again a second later.
        working.schedule(working.now.plus_ms(1_000), &Due::EscrowDeadline(*id));
        return Ok(());
    }
    // What workers have claimed is decided first.
    claim::end_all(working, id, events)?;
    escrow = working.must_read(&key)?;
    if escrow.status != EscrowStatus::Open {
        return Ok(());
    }
    calibration::unserved(working, id)?;
    let amount = std::mem::take(&mut escrow.locked);
    let totals = &mut working.globals_mut().totals;
    totals.escrows = totals.escrows.checked_sub(amount).ok_or(Rejection::AmountOverflow)?;
    working.credit(&escrow.opener, amount)?;
    escrow.status = EscrowStatus::Refunded;
    working.write(key, &escrow);
    quota::release(working, id, &escrow)?;
    order_closed(working, id)?;
    events.push(DueEvent::EscrowRefunded { escrow: *id, opener: escrow.opener, amount });
    Ok(())
}
