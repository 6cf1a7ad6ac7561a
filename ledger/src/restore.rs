//! State from somebody else's snapshot: what can be recomputed is, so that only the two certified roots need trust.

use crate::block::Header;
use crate::codec::{decode, encode};
use crate::mmr::Peaks;
use crate::records::Tip;
use crate::smt;
use crate::state::{ChangeSet, Entry, MemoryState, StateError, keyspace};
use crate::types::Hash;

/// Bytes of the stored peaks, at most: 64 mountains.
const PEAKS_BYTES_MAX: usize = 4_096;

/// State rebuilt from the entries of a snapshot, with the roots it really has.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Everything there is to write, tree nodes and tip included.
    pub changes: ChangeSet,
    /// To be compared with the certified one.
    pub state_root: Hash,
    /// To be compared with the certified one.
    pub blocks_root: Hash,
}

/// Whether an entry of the state belongs in a snapshot: what is committed to, and the range of blocks. All else is made anew.
#[must_use]
pub fn travels(key: &[u8]) -> bool {
    let domain = key.first();
    domain.is_some_and(|domain| *domain == keyspace::BLOCKS || keyspace::COMMITTED.contains(domain))
        || key == keyspace::BLOCK_PEAKS
}

/// Rebuilds state after the block of `header` from the entries a peer sent. Its tree nodes and its tip are not taken
/// over but made anew. Inner nodes of the block range are taken: a wrong one spoils only proofs, which are checked.
///
/// # Errors
/// Entries that do not hang together.
pub fn restore(entries: impl IntoIterator<Item = Entry>, header: &Header) -> Result<Restored, StateError> {
    let (mut changes, mut peaks) = (ChangeSet::new(), Peaks::default());
    let mut range = ChangeSet::new();
    for (key, value) in entries {
        match key.first() {
            Some(domain) if keyspace::COMMITTED.contains(domain) => drop(changes.insert(key, Some(value))),
            Some(&keyspace::BLOCKS) => drop(range.insert(key, Some(value))),
            _ if key == keyspace::BLOCK_PEAKS => {
                peaks = decode(&value, PEAKS_BYTES_MAX)
                    .map_err(|error| StateError::Corrupt { key: hex::encode(&key), reason: error.to_string() })?;
                range.insert(key, Some(value));
            }
            _ => {}
        }
    }
    let state_root = smt::update(&MemoryState::new(), &mut changes)?;
    let tip = Tip { height: header.height, block: header.id(), time: header.time, state_root, round: header.round };
    changes.append(&mut range);
    changes.insert(keyspace::TIP.to_vec(), Some(encode(&tip)));
    Ok(Restored { changes, state_root, blocks_root: peaks.root() })
}
