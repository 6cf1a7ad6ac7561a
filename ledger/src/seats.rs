//! Who validates: seats are given and taken by vote, one at a time, and the set changes between two blocks.
//!
//! A vote that passes writes down the *next* set. The block after that names it in its header and is the last of its epoch: its
//! certificate, by the old set, is what everybody follows into the new one. The block after it is made and certified by the new set.

use crate::codec::{CodecError, decode};
use crate::execute::{Stop, Working};
use crate::finality::{Validator, ValidatorSet};
use crate::ops::SeatChange;
use crate::parameters::Parameter;
use crate::records::{BondRecord, Duty, NodeRecord};
use crate::rejection::Rejection;
use crate::state::{ChangeSet, StateError, keyspace};
use crate::types::Uftns;

/// Seats a set keeps at least, once it has as many: the fewest among which one liar is harmless.
pub const MIN_SEATS: usize = 4;
/// Seats of a set, at most.
pub const MAX_SEATS: usize = 21;

/// Bytes of an encoded set, at most.
const VALIDATORS_BYTES_MAX: usize = 16 * 1_024;

/// Whether a block that changed this was the last of its epoch.
#[must_use]
pub fn ends_epoch(changes: &ChangeSet) -> bool {
    changes.contains_key(keyspace::EPOCH)
}

/// The validators that a block's changes bring, if it was the last of its epoch.
///
/// # Errors
/// Changes that no block makes.
pub fn next_validators(changes: &ChangeSet) -> Result<Option<ValidatorSet>, CodecError> {
    let written = changes.get(keyspace::VALIDATORS).and_then(Option::as_ref).filter(|_| ends_epoch(changes));
    written.map(|bytes| decode(bytes, VALIDATORS_BYTES_MAX)).transpose()
}

/// Whether another change is still to take effect.
pub(crate) fn is_changing(working: &Working<'_>) -> Result<bool, StateError> {
    Ok(working.get(keyspace::NEXT_VALIDATORS)?.is_some())
}

/// Writes down the set after this change.
pub(crate) fn change(working: &mut Working<'_>, change: &SeatChange) -> Result<(), Stop> {
    let mut seats = working.chain.validators.0.clone();
    let found = seats.binary_search_by_key(&change.node, |seat| seat.node);
    match (change.key, found) {
        (None, Err(_)) => {
            return Err(Rejection::Unknown { what: "validator".into(), id: change.node.to_string() }.into());
        }
        (None, Ok(place)) => {
            seats.remove(place);
            if seats.len() < MIN_SEATS {
                let found = seats.len() as u64;
                let (min, max) = (MIN_SEATS as u64, MAX_SEATS as u64);
                return Err(Rejection::OutOfBounds { field: "validators".into(), found, min, max }.into());
            }
        }
        (Some(key), found) => {
            let node: NodeRecord =
                working.read(&keyspace::node(change.node))?.ok_or(Rejection::UnknownNode(change.node))?;
            working.must_be_free(&node.account)?;
            must_be_bonded(working, &node)?;
            let seat = Validator { node: node.id, key, account: node.account };
            if seats.iter().any(|other| other.key == key) {
                return Err(Rejection::AlreadyDone(format!("key {key} holds a seat")).into());
            }
            match found {
                Ok(place) => seats.splice(place..=place, [seat]).for_each(drop),
                Err(place) => seats.insert(place, seat),
            }
            if seats.len() > MAX_SEATS {
                let (what, found, max) = ("validators".into(), seats.len() as u64, MAX_SEATS as u64);
                return Err(Rejection::TooMany { what, found, max }.into());
            }
        }
    }
    working.write(keyspace::NEXT_VALIDATORS.to_vec(), &ValidatorSet(seats));
    Ok(())
}

fn must_be_bonded(working: &Working<'_>, node: &NodeRecord) -> Result<(), Stop> {
    let needed = Uftns(working.parameter(Parameter::ValidatorBond));
    let record: BondRecord = working.read(&keyspace::bond(&node.account))?.unwrap_or_default();
    let bonded = record.bonded.get(&Duty::Validator).copied().unwrap_or_default();
    if bonded < needed {
        return Err(Rejection::BondTooSmall { duty: Duty::Validator, needed, bonded }.into());
    }
    Ok(())
}

/// Ends the epoch of a block whose header named another set than its own.
pub(crate) fn turn(working: &mut Working<'_>) {
    let Some(next) = working.chain.next_validators.take() else { return };
    let epoch = working.chain.epoch.next();
    working.write(keyspace::VALIDATORS.to_vec(), &next);
    working.write(keyspace::EPOCH.to_vec(), &epoch);
    working.remove(keyspace::NEXT_VALIDATORS.to_vec());
}
