//! What there is under the carbon keys.

use crate::records::{CreditRecord, EmergencyRecord};
use crate::state::{StateError, StateRead, decode_record, keyspace};
use crate::types::{AccountId, Region};

/// Regions there can be: two letters each.
const REGIONS_MAX: usize = 26 * 26;

/// Every region oracles ever reported on.
///
/// # Errors
/// State that cannot be read.
pub fn reported_regions(state: &dyn StateRead) -> Result<Vec<Region>, StateError> {
    let entries = state.scan(keyspace::INTENSITIES, &[], REGIONS_MAX)?;
    entries.iter().map(|(key, _)| region(key)).collect()
}

/// Every region an emergency was ever signalled for, with what is signalled.
///
/// # Errors
/// State that cannot be read.
pub fn emergencies(state: &dyn StateRead) -> Result<Vec<(Region, EmergencyRecord)>, StateError> {
    let entries = state.scan(keyspace::EMERGENCIES, &[], REGIONS_MAX)?;
    entries.iter().map(|(key, value)| Ok((region(key)?, decode_record(key, value)?))).collect()
}

/// Up to `limit` accounts that hold or retired credits, in order of account.
///
/// # Errors
/// State that cannot be read.
pub fn credit_accounts(state: &dyn StateRead, limit: usize) -> Result<Vec<(AccountId, CreditRecord)>, StateError> {
    let entries = state.scan(keyspace::CREDITS, &[], limit)?;
    let named = |key: &[u8]| key.get(2..).and_then(|id| id.try_into().ok()).map(AccountId);
    entries
        .iter()
        .map(|(key, value)| Ok((named(key).ok_or_else(|| corrupt(key, "account"))?, decode_record(key, value)?)))
        .collect()
}

fn region(key: &[u8]) -> Result<Region, StateError> {
    let letters = key.get(2..).and_then(|letters| <[u8; 2]>::try_from(letters).ok());
    letters.and_then(|letters| Region::new(letters).ok()).ok_or_else(|| corrupt(key, "region"))
}

fn corrupt(key: &[u8], what: &str) -> StateError {
    StateError::Corrupt { key: hex::encode(key), reason: format!("it names no {what}") }
}
