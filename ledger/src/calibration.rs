//! What the orders that auctions filled say of their winners: how well they predicted, and whether they came at all.

use crate::execute::{Stop, Working};
use crate::ops::TaskReport;
use crate::parameters::Parameter;
use crate::records::{AuctionRecord, CONFIDENCE_START_PPM, CalibrationRecord, ClaimRecord, ClaimStatus, agreement_ppm};
use crate::reputation;
use crate::state::{StateError, keyspace};
use crate::types::{AccountId, EscrowId};

impl Working<'_> {
    /// How far this account's predictions are trusted now.
    pub(crate) fn confidence_ppm(&self, id: &AccountId) -> Result<u32, StateError> {
        let record: Option<CalibrationRecord> = self.read(&keyspace::calibration(id))?;
        Ok(record.map_or(CONFIDENCE_START_PPM, |record| record.confidence_at(self.now)))
    }
}

/// An order is paid and closed: sets what its winner expected against what its receipt states. An order has one part, so one receipt is
/// all there is. One that was ever disputed teaches nothing: a panel rules on the pay, not on the footprint.
pub(crate) fn served(
    working: &mut Working<'_>,
    id: &EscrowId,
    worker: &AccountId,
    report: &TaskReport,
) -> Result<(), Stop> {
    let record: Option<AuctionRecord> = working.read(&keyspace::auction(id))?;
    let Some(won) = record.and_then(|record| record.won) else { return Ok(()) };
    let claim: Option<ClaimRecord> = working.read(&keyspace::claim(id, report.part))?;
    if claim.is_some_and(|claim| claim.status != ClaimStatus::Open) {
        return Ok(());
    }
    let agreement = agreement_ppm(won.carbon_ug, report.carbon_ug);
    let key = keyspace::calibration(worker);
    let before: Option<CalibrationRecord> = working.read(&key)?;
    working.write(key, &CalibrationRecord::with(before.as_ref(), agreement, working.now, *id));
    match reputation::predicted(agreement) {
        0 => Ok(()),
        by => working.judge(worker, by, id),
    }
}

/// An escrow's deadline has come and nothing of it was paid: if an auction filled it and its winner showed no receipt, that costs the
/// winner reputation. Not where it could not have helped it: when the order was too short to do the work and claim it against a
/// silent requester, or a freeze stands.
pub(crate) fn unserved(working: &mut Working<'_>, id: &EscrowId) -> Result<(), Stop> {
    let Some(record): Option<AuctionRecord> = working.read(&keyspace::auction(id))? else { return Ok(()) };
    let Some(winner) = record.winner else { return Ok(()) };
    // As long for the work as a requester has to look at it.
    let needed_ms = working
        .parameter(Parameter::ChallengeMs)
        .saturating_mul(2)
        .saturating_add(working.parameter(Parameter::RulingMs));
    let had_ms = record.release_deadline.since_ms(record.reveal_until);
    let claimed = !working.scan(&keyspace::claims(id), 1)?.is_empty();
    if had_ms < needed_ms || claimed || a_freeze_stands(working)? {
        return Ok(());
    }
    working.judge(&winner, reputation::UNSERVED, id)
}

/// Whose agents a freeze of a part of the mesh holds is not asked: while one stands, silence counts for nothing.
fn a_freeze_stands(working: &Working<'_>) -> Result<bool, Stop> {
    Ok(!working.scan(keyspace::FREEZES, 1)?.is_empty())
}
