//! Who voted in which epoch, written down when an epoch begins: what was signed in it may come to light after it ended.

use super::{Stop, Working};
use crate::finality::Validator;
use crate::parameters::Parameter;
use crate::records::EpochRecord;
use crate::rejection::Rejection;
use crate::state::{StateError, decode_record, keyspace};
use crate::types::{Epoch, NodeId};

/// Epochs remembered at once, at most; beyond it the oldest is forgotten.
pub const MAX_EPOCHS: usize = 64;

/// Writes down the validators of an epoch with its first block, closes the one before, and forgets those that answer no more.
pub(super) fn note(working: &mut Working<'_>) -> Result<(), StateError> {
    let key = keyspace::epoch(working.chain.epoch);
    if working.get(&key)?.is_some() {
        return Ok(());
    }
    let (now, last, window_ms) = (working.now, working.tip.time, working.parameter(Parameter::UnbondingMs));
    let mut known = working.scan(keyspace::EPOCHS, MAX_EPOCHS)?.into_iter();
    // They stand in order of epoch; with the new one there are as many as may be.
    let surplus = known.len().saturating_add(1).saturating_sub(MAX_EPOCHS);
    for (old, _) in known.by_ref().take(surplus) {
        working.remove(old);
    }
    for (old, value) in known {
        let mut record: EpochRecord = decode_record(&old, &value)?;
        let ended = *record.ended.get_or_insert(last);
        if record.is_answerable(now, window_ms) {
            if ended == last {
                working.write(old, &record);
            }
        } else {
            working.remove(old);
        }
    }
    let validators = working.chain.validators.clone();
    working.write(key, &EpochRecord { validators, ended: None });
    Ok(())
}

impl Working<'_> {
    /// The seat a node had in an epoch whose validators still answer for what they signed.
    pub(crate) fn answering_seat(&self, epoch: Epoch, node: NodeId) -> Result<Validator, Stop> {
        let record: Option<EpochRecord> = self.read(&keyspace::epoch(epoch))?;
        let window_ms = self.parameter(Parameter::UnbondingMs);
        let why = |text: String| Stop::from(Rejection::BadEvidence(text));
        let record = record.ok_or_else(|| why(format!("epoch {epoch} has not begun, or is forgotten")))?;
        if !record.is_answerable(self.now, window_ms) {
            return Err(why(format!("epoch {epoch} ended longer than {window_ms} ms ago")));
        }
        Ok(*record.validators.get(node).ok_or(Rejection::UnknownNode(node))?)
    }
}
