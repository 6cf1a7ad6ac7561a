//! Whether the nodes of a range of blocks are all there and lead to its root: for whoever takes them from a file.

use crate::codec::decode;
use crate::mmr::{Peaks, parent};
use crate::state::keyspace;
use crate::types::Hash;

/// Begins every key of the range's nodes.
pub const RANGE_PREFIX: &[u8] = &[keyspace::BLOCKS];
/// Levels of a range, at most: more blocks than any chain has.
const LEVELS_MAX: usize = 64;

/// Follows the nodes of a range in the order of their keys: the leaves first, then level by level. Nothing of it is kept but how many
/// there are on each level, and the last of each.
#[derive(Debug, Default)]
pub struct RangeAudit {
    levels: Vec<(u64, Hash)>,
}

/// Why nodes are no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum RangeError<E> {
    #[error("it is not the next node of the range of blocks")]
    NotNext,
    #[error("it is not the hash of the two nodes below it")]
    Hash,
    #[error("the range of blocks is not whole")]
    NotWhole,
    #[error("the range of blocks cannot be read back")]
    Below(#[source] E),
}

impl RangeAudit {
    /// Takes the next node; `below` reads those that were taken before.
    ///
    /// # Errors
    /// It is not the next one, or not what those below it lead to.
    pub fn take<E>(
        &mut self,
        key: &[u8],
        value: &[u8],
        below: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), RangeError<E>> {
        let hash: Hash = decode(value, size_of::<Hash>()).map_err(|_| RangeError::NotNext)?;
        let (level, index) = self.place(key).ok_or(RangeError::NotNext)?;
        if let Some(under) = level.checked_sub(1) {
            let left = index.checked_mul(2).ok_or(RangeError::NotNext)?;
            let read = |index| below(&keyspace::block_node(under, index)).map_err(RangeError::Below);
            let (left, right) = (read(left)?, read(left.saturating_add(1))?);
            let hashes = left.zip(right).and_then(|(left, right)| Some((whole(&left)?, whole(&right)?)));
            if hashes.is_none_or(|(left, right)| parent(&left, &right) != hash) {
                return Err(RangeError::Hash);
            }
        }
        match self.levels.get_mut(usize::from(level)) {
            Some(known) => *known = (index.saturating_add(1), hash),
            None => self.levels.push((1, hash)),
        }
        Ok(())
    }

    /// The root, once all nodes were taken.
    ///
    /// # Errors
    /// Some are missing.
    pub fn finish<E>(&self) -> Result<Hash, RangeError<E>> {
        let count = self.levels.first().map_or(0, |(count, _)| *count);
        let mut halves = count;
        for (found, _) in &self.levels {
            if *found != halves {
                return Err(RangeError::NotWhole);
            }
            halves >>= 1_u32;
        }
        if halves != 0 {
            return Err(RangeError::NotWhole);
        }
        // On each level, the last node is a peak where it has no other beside it.
        let peaks = self.levels.iter().rev().filter(|(found, _)| found & 1 == 1);
        Ok(Peaks { count, hashes: peaks.map(|(_, hash)| *hash).collect() }.root())
    }

    /// Level and index, if this key is that of the next node on the level reached, or of the first on the one above.
    fn place(&self, key: &[u8]) -> Option<(u8, u64)> {
        let reached = self.levels.len();
        let next = self.levels.last().map(|(found, _)| (reached.saturating_sub(1), *found));
        let above = (reached < LEVELS_MAX).then_some((reached, 0));
        let is_it = |(level, index): &(u8, u64)| keyspace::block_node(*level, *index) == key;
        let narrow = |(level, index): (usize, u64)| Some((u8::try_from(level).ok()?, index));
        next.into_iter().chain(above).filter_map(narrow).find(is_it)
    }
}

fn whole(bytes: &[u8]) -> Option<Hash> {
    decode(bytes, size_of::<Hash>()).ok()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::codec::encode;
    use crate::mmr::append;
    use crate::state::{ChangeSet, Entry, MemoryState, StateRead as _, read};

    fn range(blocks: u64) -> MemoryState {
        let mut state = MemoryState::new();
        for block in 0..blocks {
            let mut changes = ChangeSet::new();
            append(&state, &mut changes, &Hash::derive("a block", &[&block.to_le_bytes()])).unwrap();
            state.apply(changes);
        }
        state
    }

    fn audit(nodes: &[Entry]) -> Result<Hash, RangeError<Infallible>> {
        let mut audit = RangeAudit::default();
        for (at, (key, value)) in nodes.iter().enumerate() {
            let below = |key: &[u8]| Ok(nodes[..at].iter().find(|node| node.0 == key).map(|node| node.1.clone()));
            audit.take(key, value, below)?;
        }
        audit.finish()
    }

    /// Every range leads to its own root, and no node of it can be left out, changed or added to.
    #[test]
    fn only_the_whole_range_leads_to_its_root() {
        for blocks in 0..=33 {
            let state = range(blocks);
            let nodes = state.scan(RANGE_PREFIX, &[], 1_000).unwrap();
            let peaks: Peaks = read(&state, keyspace::BLOCK_PEAKS).unwrap().unwrap_or_default();
            assert_eq!(audit(&nodes), Ok(peaks.root()));
            for at in 0..nodes.len() {
                let with = |change: &dyn Fn(&mut Vec<Entry>)| {
                    let mut other = nodes.clone();
                    change(&mut other);
                    assert_ne!(audit(&other), Ok(peaks.root()), "{blocks} blocks, node {at}");
                };
                with(&|nodes| drop(nodes.remove(at)));
                with(&|nodes| nodes[at].1[7] ^= 1);
                with(&|nodes| nodes[at].0[9] ^= 1);
                with(&|nodes| nodes.insert(at, nodes[at].clone()));
            }
            let mut more = nodes.clone();
            more.push((keyspace::block_node(9, 0), encode(&Hash::ZERO)));
            assert!(audit(&more).is_err());
        }
    }
}
