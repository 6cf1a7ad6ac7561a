//! Payments at later times, whose money is set aside at once.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, MAX_MEMO_BYTES, within};
use crate::execute::{Stop, Working};
use crate::outcome::{DueEvent, Effect};
use crate::records::{Due, ScheduleRecord};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Hash, TimeMs, Uftns};

/// Payments of one schedule, at most.
pub const MAX_SCHEDULED: u32 = 1_000;
/// From one payment to the next, at least: a minute.
pub const MIN_INTERVAL_MS: u64 = 60_000;
/// The last payment lies at most two years ahead.
pub const MAX_SCHEDULE_MS: u64 = 2 * 365 * 24 * 3_600 * 1_000;
/// While everything is frozen, a payment is tried again after so long.
const FROZEN_RETRY_MS: u64 = 1_000;

/// Sets aside `times` x `amount` and pays it out at its times. Named by this transaction's id.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Schedule {
    /// Who receives; not the account itself.
    pub to: AccountId,
    /// Each time, more than nothing.
    pub amount: Uftns,
    /// 1 to [`MAX_SCHEDULED`].
    pub times: u32,
    /// Later than the block it is taken in.
    pub first_at: TimeMs,
    /// At least [`MIN_INTERVAL_MS`]; 0 when there is one payment.
    pub every_ms: u64,
    /// At most [`MAX_MEMO_BYTES`].
    pub memo: String,
}

/// Calls off what is still to come and takes the money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Unschedule {
    /// Which.
    pub schedule: Hash,
}

impl Schedule {
    /// What is set aside; nothing when it does not fit.
    #[must_use]
    pub fn total(&self) -> Option<Uftns> {
        self.amount.checked_mul(u64::from(self.times))
    }

    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("memo (bytes)", self.memo.len() as u64, 0, MAX_MEMO_BYTES as u64)?;
        within("times", u64::from(self.times), 1, u64::from(MAX_SCHEDULED))?;
        let least = if self.times == 1 { 0 } else { MIN_INTERVAL_MS };
        within("every_ms", self.every_ms, least, MAX_SCHEDULE_MS)?;
        if self.amount.is_zero() {
            return Err(Rejection::ZeroAmount.into());
        }
        if self.to == call.account {
            return Err(Rejection::SelfReference("receiver".into()).into());
        }
        let time = working.now;
        if self.first_at <= time {
            return Err(Rejection::DeadlinePassed { deadline: self.first_at, time }.into());
        }
        let last = self.first_at.plus_ms(self.every_ms.saturating_mul(u64::from(self.times.saturating_sub(1))));
        let latest = time.plus_ms(MAX_SCHEDULE_MS);
        if last > latest {
            return Err(Rejection::DeadlineTooFar { deadline: last, latest }.into());
        }
        let locked = self.total().ok_or(Rejection::AmountOverflow)?;
        working.lock(&call.account, locked)?;
        let record = ScheduleRecord {
            from: call.account,
            to: self.to,
            amount: self.amount,
            left: self.times,
            next_at: self.first_at,
            every_ms: self.every_ms,
            memo: self.memo.clone(),
        };
        working.write(keyspace::schedule(&call.id), &record);
        working.schedule(self.first_at, &Due::Payment(call.id));
        Ok(Effect::Scheduled { schedule: call.id, locked })
    }
}

impl Unschedule {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let key = keyspace::schedule(&self.schedule);
        let unknown = || Rejection::Unknown { what: "schedule".into(), id: self.schedule.to_string() };
        let record: ScheduleRecord = working.read(&key)?.ok_or_else(unknown)?;
        if record.from != call.account {
            return Err(Rejection::NotOwner { what: "schedule".into(), owner: record.from }.into());
        }
        let returned = record.amount.checked_mul(u64::from(record.left)).ok_or(Rejection::AmountOverflow)?;
        working.unlock(&call.account, returned)?;
        working.remove(key);
        Ok(Effect::Unscheduled { schedule: self.schedule, returned })
    }
}

/// Makes the next payment. A schedule that was called off is gone; its entry in the queue finds nothing.
pub(crate) fn pay_due(working: &mut Working<'_>, id: &Hash, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let key = keyspace::schedule(id);
    let Some(mut record) = working.read::<ScheduleRecord>(&key)? else { return Ok(()) };
    if working.globals().frozen_since.is_some() {
        working.schedule(working.now.plus_ms(FROZEN_RETRY_MS), &Due::Payment(*id));
        return Ok(());
    }
    working.unlock(&record.to, record.amount)?;
    record.left = record.left.saturating_sub(1);
    events.push(DueEvent::SchedulePaid { schedule: *id, to: record.to, amount: record.amount, left: record.left });
    if record.left == 0 {
        working.remove(key);
        return Ok(());
    }
    // From its planned time, so that delays do not add up.
    record.next_at = record.next_at.plus_ms(record.every_ms);
    working.schedule(record.next_at, &Due::Payment(*id));
    working.write(key, &record);
    Ok(())
}
