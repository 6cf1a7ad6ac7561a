//! Locking out whoever was proven an offence, whether it has a bond or not.

use crate::execute::{Stop, Working};
use crate::parameters::Parameter;
use crate::records::JailRecord;
use crate::rejection::Rejection;
use crate::state::{StateError, keyspace};
use crate::types::{AccountId, Hash, TimeMs};

impl Working<'_> {
    /// Until when an account is locked out, if it is.
    pub(crate) fn jailed_until(&self, id: &AccountId) -> Result<Option<TimeMs>, StateError> {
        let record: Option<JailRecord> = self.read(&keyspace::jail(id))?;
        Ok(record.filter(|record| record.is_in_force(self.now)).map(|record| record.until))
    }

    /// Refuses whoever is locked out.
    pub(crate) fn must_be_free(&self, id: &AccountId) -> Result<(), Stop> {
        match self.jailed_until(id)? {
            Some(until) => Err(Rejection::Jailed { account: *id, until }.into()),
            None => Ok(()),
        }
    }

    /// Locks an account out: from now on, or for as much longer when it is already. Gives the end.
    pub(crate) fn jail(&mut self, id: &AccountId, because: &Hash) -> Result<TimeMs, Stop> {
        let key = keyspace::jail(id);
        let before: Option<JailRecord> = self.read(&key)?;
        let from = before.map_or(self.now, |record| record.until.max(self.now));
        let until = from.plus_ms(self.parameter(Parameter::JailMs));
        let offences = before.map_or(0, |record| record.offences).saturating_add(1);
        self.write(key, &JailRecord { since: self.now, until, offences, because: *because });
        Ok(until)
    }
}
