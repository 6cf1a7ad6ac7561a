//! What an order of the operators changes in the state: who validates, and in which round. Nothing else.

use crate::codec::encode;
use crate::finality::ValidatorSet;
use crate::query;
use crate::records::Tip;
use crate::smt;
use crate::state::{ChangeSet, StateError, StateRead, keyspace};
use crate::types::{Epoch, Round};

/// The changes after which the next block is of `epoch` and `round` and voted on by `validators`. The tip stays the same block; its
/// state root becomes that of the changed state, which the next block names as the one it is made on.
///
/// # Errors
/// State that cannot be read.
pub fn restart(
    state: &dyn StateRead,
    epoch: Epoch,
    round: Round,
    validators: &ValidatorSet,
) -> Result<ChangeSet, StateError> {
    let mut changes = ChangeSet::new();
    // A change by vote that was under way is overtaken by what the operators order.
    if state.get(keyspace::NEXT_VALIDATORS)?.is_some() {
        changes.insert(keyspace::NEXT_VALIDATORS.to_vec(), None);
    }
    changes.insert(keyspace::EPOCH.to_vec(), Some(encode(&epoch)));
    changes.insert(keyspace::VALIDATORS.to_vec(), Some(encode(validators)));
    let state_root = smt::update(state, &mut changes)?;
    let tip = Tip { state_root, round, ..query::tip(state)? };
    changes.insert(keyspace::TIP.to_vec(), Some(encode(&tip)));
    Ok(changes)
}
