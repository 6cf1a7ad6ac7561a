//! Who holds an office: read by operations, changed by votes.

use crate::execute::{Stop, Working};
use crate::ops::within;
use crate::records::{MAX_HOLDERS, Office, OfficeRecord, TERM_MS};
use crate::rejection::Rejection;
use crate::state::{StateError, decode_record, keyspace};
use crate::types::AccountId;

impl Working<'_> {
    /// Whether an account holds an office now; nobody does while locked out.
    pub(crate) fn holds(&self, office: Office, account: &AccountId) -> Result<bool, StateError> {
        let record: Option<OfficeRecord> = self.read(&keyspace::office(office, account))?;
        Ok(record.is_some_and(|term| self.now < term.until) && self.jailed_until(account)?.is_none())
    }

    /// Refuses whoever does not hold it.
    pub(crate) fn must_hold(&self, office: Office, account: &AccountId) -> Result<(), Stop> {
        if self.holds(office, account)? {
            Ok(())
        } else {
            self.must_be_free(account)?;
            Err(Rejection::NotInOffice { office, account: *account }.into())
        }
    }

    /// Everybody who holds it now and is not locked out, in order of account; at most [`MAX_HOLDERS`].
    pub(crate) fn holders(&self, office: Office) -> Result<Vec<AccountId>, StateError> {
        let prefix = keyspace::offices(office);
        let mut holders = Vec::new();
        for (key, value) in self.scan(&prefix, MAX_HOLDERS)? {
            let term: OfficeRecord = decode_record(&key, &value)?;
            let account = key.strip_prefix(prefix.as_slice()).and_then(|id| <[u8; 20]>::try_from(id).ok());
            let corrupt = || StateError::Corrupt { key: hex::encode(&key), reason: "it names no account".into() };
            let account = AccountId(account.ok_or_else(corrupt)?);
            if self.now < term.until && self.jailed_until(&account)?.is_none() {
                holders.push(account);
            }
        }
        Ok(holders)
    }
}

/// Begins a new term, or ends one at once.
pub(crate) fn appoint(
    working: &mut Working<'_>,
    office: Office,
    account: &AccountId,
    appointed: bool,
) -> Result<(), Stop> {
    let key = keyspace::office(office, account);
    if !appointed {
        if working.get(&key)?.is_none() {
            return Err(Rejection::NotInOffice { office, account: *account }.into());
        }
        working.remove(key);
        return Ok(());
    }
    // Records of ended terms make room first; at most as many as there are holders.
    for (old, value) in working.scan(&keyspace::offices(office), MAX_HOLDERS)? {
        let term: OfficeRecord = decode_record(&old, &value)?;
        if term.until <= working.now {
            working.remove(old);
        }
    }
    let others = working.holders(office)?.into_iter().filter(|holder| holder != account).count();
    within("holders of the office", others.saturating_add(1) as u64, 1, MAX_HOLDERS as u64)?;
    let record = OfficeRecord { since: working.now, until: working.now.plus_ms(TERM_MS) };
    working.write(key, &record);
    Ok(())
}
