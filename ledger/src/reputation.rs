//! Changes of reputation, each with its reason.

use crate::execute::{Stop, Working};
use crate::records::{REPUTATION_START, ReputationRecord};
use crate::state::{StateError, keyspace};
use crate::types::{AccountId, Hash};

/// A part that was paid.
pub(crate) const PAID: i32 = 2;
/// A claim that reviewers refused.
pub(crate) const REFUSED: i32 = -100;
/// A bid that was sealed and never opened.
pub(crate) const UNOPENED: i32 = -20;
/// An order that was won in an auction and never served. Half of a bid never opened: the ledger does not see whether its requester
/// handed the task over.
pub(crate) const UNSERVED: i32 = -10;
/// A purpose that reviewers found too high.
pub(crate) const FALSE_PURPOSE: i32 = -50;
/// Two votes at one height.
pub(crate) const EQUIVOCATED: i32 = -300;

/// An order that was rated with so many of five stars: three change nothing, one more or less is worth a paid part.
pub(crate) const fn rated(stars: u8) -> i32 {
    (stars as i32).saturating_sub(3).saturating_mul(PAID)
}

/// A prediction that came so near: right within a factor of two changes nothing for the worse; no more is lost than the part
/// brings, so that serving an order never costs reputation.
pub(crate) const fn predicted(agreement_ppm: u32) -> i32 {
    match agreement_ppm {
        900_000.. => PAID,
        750_000.. => PAID / 2,
        500_000.. => 0,
        250_000.. => -PAID / 2,
        _ => -PAID,
    }
}

impl Working<'_> {
    /// The score now.
    pub(crate) fn reputation(&self, id: &AccountId) -> Result<u32, StateError> {
        let record: Option<ReputationRecord> = self.read(&keyspace::reputation(id))?;
        Ok(record.map_or(REPUTATION_START, |record| record.score_at(self.now)))
    }

    /// Moves the score, within its bounds.
    pub(crate) fn judge(&mut self, id: &AccountId, by: i32, because: &Hash) -> Result<(), Stop> {
        let key = keyspace::reputation(id);
        let before: Option<ReputationRecord> = self.read(&key)?;
        self.write(key, &ReputationRecord::moved(before.as_ref(), by, self.now, *because));
        Ok(())
    }
}
