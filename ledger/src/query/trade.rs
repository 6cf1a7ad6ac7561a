//! Lists of what is bid on, claimed and contributed. Each is bounded, and says when it was cut.

use super::{Answer, State, list, named};
use crate::ops::{MAX_DRAWS, MAX_PARTS};
use crate::records::{
    AuctionRecord, ClaimRecord, ContentRecord, ContributionRecord, EmissionRecord, QuotaDraw, SavingRecord,
};
use crate::state::{StateError, decode_record, keyspace, read};
use crate::types::{AccountId, EscrowId, Hash};
use borsh::{BorshDeserialize, BorshSerialize};

/// Records one filtered list looks at, at most.
const LOOKED_AT_MAX: usize = 100_000;
/// Of those, so many at a time.
const STRETCH: usize = 1_024;

/// What of a list was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// In order of name.
    pub rows: Vec<(Hash, T)>,
    /// Whether there may be more: a limit was reached.
    pub is_cut: bool,
}

/// Up to `limit` records under a prefix that are wanted, each with the hash that follows the prefix in its key.
fn wanted<T: BorshDeserialize + BorshSerialize>(
    state: State<'_>,
    prefix: &[u8],
    limit: usize,
    mut is_wanted: impl FnMut(&T) -> bool,
) -> Answer<Found<T>> {
    let corrupt =
        |key: &[u8]| StateError::Corrupt { key: hex::encode(key), reason: "its key has no name in it".into() };
    let (mut rows, mut from, mut looked_at) = (Vec::new(), Vec::new(), 0_usize);
    while looked_at < LOOKED_AT_MAX {
        let stretch = state.scan(prefix, &from, STRETCH)?;
        for (key, value) in &stretch {
            let record = decode_record(key, value)?;
            if !is_wanted(&record) {
                continue;
            }
            if rows.len() >= limit {
                return Ok(Found { rows, is_cut: true });
            }
            let name = key.strip_prefix(prefix).and_then(|rest| rest.first_chunk()).ok_or_else(|| corrupt(key))?;
            rows.push((Hash(*name), record));
        }
        looked_at = looked_at.saturating_add(stretch.len());
        let Some((last, _)) = stretch.last().filter(|_| stretch.len() == STRETCH) else {
            return Ok(Found { rows, is_cut: false });
        };
        // The next key there can be.
        from.clone_from(last);
        from.push(0);
    }
    Ok(Found { rows, is_cut: true })
}

/// Up to `limit` auctions in order of name, beginning with `from`.
///
/// # Errors
/// State that cannot be read (so for every function here).
pub fn auctions(state: State<'_>, from: &Hash, limit: usize) -> Answer<Vec<(Hash, AuctionRecord)>> {
    named(state, keyspace::AUCTIONS, &keyspace::auction(from), limit)
}

/// Every claim on a part of an escrow, in order of part.
#[allow(clippy::missing_errors_doc)]
pub fn claims_of(state: State<'_>, escrow: &EscrowId) -> Answer<Vec<ClaimRecord>> {
    list(state, &keyspace::claims(escrow), &[], usize::try_from(MAX_PARTS).unwrap_or(usize::MAX))
}

/// Up to `limit` claims that are still to be decided, each with its escrow.
#[allow(clippy::missing_errors_doc)]
pub fn open_claims(state: State<'_>, limit: usize) -> Answer<Found<ClaimRecord>> {
    wanted(state, keyspace::CLAIMS, limit, ClaimRecord::is_open)
}

/// Up to `limit` contributions of an account, or of all, each with its evidence.
#[allow(clippy::missing_errors_doc)]
pub fn contributions(state: State<'_>, of: Option<&AccountId>, limit: usize) -> Answer<Found<ContributionRecord>> {
    wanted(state, keyspace::CONTRIBUTIONS, limit, |record: &ContributionRecord| {
        of.is_none_or(|account| record.account == *account)
    })
}

/// Up to `limit` contents that an account owns a share of.
#[allow(clippy::missing_errors_doc)]
pub fn contents_of(state: State<'_>, owner: &AccountId, limit: usize) -> Answer<Found<ContentRecord>> {
    wanted(state, keyspace::CONTENTS, limit, |record: &ContentRecord| {
        record.owners.iter().any(|share| share.owner == *owner)
    })
}

/// What the period that ran when a contribution was last paid has paid.
#[allow(clippy::missing_errors_doc)]
pub fn emission(state: State<'_>) -> Answer<EmissionRecord> {
    Ok(read(state, keyspace::EMISSION)?.unwrap_or_default())
}

/// Up to `limit` claimed savings, each with its evidence.
#[allow(clippy::missing_errors_doc)]
pub fn savings(state: State<'_>, limit: usize) -> Answer<Found<SavingRecord>> {
    wanted(state, keyspace::SAVINGS, limit, |_: &SavingRecord| true)
}

/// Everything that emergencies took and have not given back, each with the task it was taken for.
#[allow(clippy::missing_errors_doc)]
pub fn quota_draws_by_task(state: State<'_>) -> Answer<Vec<(EscrowId, QuotaDraw)>> {
    named(state, keyspace::QUOTA_DRAWS, &[], MAX_DRAWS)
}
