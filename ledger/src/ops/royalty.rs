//! Royalties of content that works in tasks: each paid part whose module it is puts its royalty aside; collecting pays them out, up
//! the provenance.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::Call;
use super::content::{Earned, content, count_use, pay_royalties};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::records::{ContentRecord, ImpactKind};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Hash, Uftns};

/// The most of a part's base that content may ask as its royalty, before its quality counts: a fifth.
pub const MAX_TASK_ROYALTY_PPM: u64 = 200_000;
/// Ratings of three stars that everything begins with, so that the first rating is not everything.
const PRIOR_RATINGS: u64 = 8;
const PRIOR_STARS: u64 = 3 * PRIOR_RATINGS;
/// What a star on average is worth; one more than the stars are counted, so that three are exactly one.
const STAR_PPM: u64 = 250_000;

/// Pays out what content earned in tasks since it was last collected. Anybody may ask for it; its owners and parents are paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CollectRoyalties {
    /// Of which content.
    pub content: Hash,
}

/// What the ratings of content multiply its royalty with, in ppm: from a half at one star to one and a half at five.
#[must_use]
pub fn quality_ppm(stars: u64, ratings: u64) -> u64 {
    let ratings = u128::from(ratings).saturating_add(u128::from(PRIOR_RATINGS));
    let stars = u128::from(stars).saturating_add(u128::from(PRIOR_STARS)).saturating_add(ratings);
    let scaled = stars.saturating_mul(u128::from(STAR_PPM)).checked_div(ratings).unwrap_or(0);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// The most that content with this rate may ever ask, in ppm of the base: with five stars from everybody.
#[must_use]
pub fn most_royalty_ppm(royalty_ppm: u32) -> u64 {
    u64::from(royalty_ppm).saturating_mul(6 * STAR_PPM).div_ceil(1_000_000)
}

/// The royalty of a part that runs this module, in ppm of its base; nothing when the module is no registered content.
pub(super) fn royalty_ppm(working: &Working<'_>, module: &Hash) -> Result<u64, Stop> {
    let record: Option<ContentRecord> = working.read(&keyspace::content(module))?;
    Ok(record.map_or(0, |record| {
        let quality = u128::from(quality_ppm(record.stars, record.ratings));
        let scaled = u128::from(record.royalty_ppm).saturating_mul(quality).checked_div(1_000_000).unwrap_or(0);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }))
}

/// A part that runs this module was paid by `user`, `royalty` of it for the content; the caller has taken that out of the escrow and
/// still counts it as locked.
pub(super) fn worked(working: &mut Working<'_>, module: &Hash, user: &AccountId, royalty: Uftns) -> Result<(), Stop> {
    let key = keyspace::content(module);
    if working.get(&key)?.is_none() {
        return Ok(());
    }
    let mut record = count_use(working, module, user, ImpactKind::Use, !royalty.is_zero())?;
    record.earned = record.earned.checked_add(royalty).ok_or(Rejection::AmountOverflow)?;
    let paid = !royalty.is_zero();
    record.earned_uses = record.earned_uses.saturating_add(u64::from(paid));
    record.earned_by_others = record.earned_by_others.saturating_add(u64::from(paid && !record.is_owned_by(user)));
    working.write(key, &record);
    Ok(())
}

impl CollectRoyalties {
    pub(crate) fn apply(&self, working: &mut Working<'_>, _: &Call<'_>) -> Result<Effect, Stop> {
        let mut record = content(working, &self.content)?;
        let (amount, uses) = (std::mem::take(&mut record.earned), std::mem::take(&mut record.earned_uses));
        let by_others = std::mem::take(&mut record.earned_by_others);
        if amount.is_zero() {
            return Err(Rejection::AlreadyDone("what this content earned in tasks was collected".into()).into());
        }
        working.write(keyspace::content(&self.content), &record);
        working.uncount_locked(amount)?;
        let reached = pay_royalties(working, &self.content, &Earned { amount, uses, by_others, user: None })?;
        Ok(Effect::RoyaltiesCollected { content: self.content, amount, uses, reached })
    }
}
