//! Quota set aside for a task.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, own_open_escrow};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::quota;
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::EscrowId;

/// Tasks one account has quota of one capability set aside for, at most.
pub const MAX_RESERVED: usize = 16;

/// Sets quota aside for a task: so many units of it cost no more than the voted price. Replaces what was set aside for it before;
/// what it does not use is free again when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ReserveQuota {
    /// Its escrow.
    pub escrow: EscrowId,
    /// Units; nothing to set free what it has.
    pub units: u64,
}

impl ReserveQuota {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let escrow = own_open_escrow(working, call, &self.escrow)?;
        if working.get(&keyspace::quota_draw(&self.escrow))?.is_some() {
            return Err(Rejection::AlreadyDone("the emergency's quota was drawn for this task".into()).into());
        }
        let mut record = quota::quota(working, &call.account, escrow.capability)?;
        let before = record.reserved.remove(&self.escrow).unwrap_or(0);
        if self.units > 0 && record.reserved.len() >= MAX_RESERVED {
            let (what, max) = ("tasks with quota".into(), MAX_RESERVED as u64);
            return Err(Rejection::TooMany { what, found: record.reserved.len() as u64, max }.into());
        }
        let free = record.free();
        // Giving up a part is always taken: what was used meanwhile may have left less than there was.
        if self.units > free.max(before) {
            return Err(Rejection::QuotaShort { needed: self.units, free }.into());
        }
        quota::set_reserved(working, &mut record, &call.account, escrow.capability, &self.escrow, self.units)?;
        quota::keep(working, &call.account, escrow.capability, &record);
        Ok(Effect::QuotaReserved { escrow: self.escrow, units: self.units, free: record.free() })
    }
}
