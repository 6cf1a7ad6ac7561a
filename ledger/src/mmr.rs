//! A mountain range over the blocks: any block of the past is proven by about twenty hashes.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::state::{ChangeSet, StateError, StateRead, keyspace, read, read_or_corrupt};
use crate::types::{BlockId, Hash, Height};

/// The mountains' peaks, highest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Peaks {
    /// Blocks so far; block `h` is leaf `h - 1`. Its set bits are the heights of the mountains.
    pub count: u64,
    /// One hash a mountain.
    pub hashes: Vec<Hash>,
}

/// The way from a block to the range's root.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct BlockProof {
    /// All peaks.
    pub peaks: Peaks,
    /// Hashes beside the way up the block's mountain, from the bottom.
    pub siblings: Vec<Hash>,
}

fn leaf(block: &BlockId) -> Hash {
    Hash::derive("mesh30k range leaf v1", &[&block.0])
}

pub(crate) fn parent(left: &Hash, right: &Hash) -> Hash {
    Hash::derive("mesh30k range node v1", &[&left.0, &right.0])
}

impl Peaks {
    /// Binds the number of blocks and every peak.
    #[must_use]
    pub fn root(&self) -> Hash {
        Hash::derive("mesh30k range root v1", &[&encode(self)])
    }

    /// The mountain a leaf lies on: its position among the peaks, its level, and its first leaf.
    fn mountain(&self, index: u64) -> Option<(usize, u32, u64)> {
        let (mut first, mut position) = (0_u64, 0_usize);
        for level in (0..u64::BITS).rev() {
            let size = 1_u64.checked_shl(level)?;
            if self.count & size == 0 {
                continue;
            }
            let next = first.checked_add(size)?;
            if index < next {
                return Some((position, level, first));
            }
            first = next;
            position = position.checked_add(1)?;
        }
        None
    }
}

/// Adds to `changes` what the range becomes with one more block; gives its root.
///
/// # Errors
/// State that cannot be read.
pub fn append(state: &dyn StateRead, changes: &mut ChangeSet, block: &BlockId) -> Result<Hash, StateError> {
    let mut peaks: Peaks = read(state, keyspace::BLOCK_PEAKS)?.unwrap_or_default();
    let (mut hash, mut index, mut level) = (leaf(block), peaks.count, 0_u8);
    changes.insert(keyspace::block_node(level, index), Some(encode(&hash)));
    while index & 1 == 1 {
        let left = peaks.hashes.pop().ok_or_else(|| StateError::Corrupt {
            key: hex::encode(keyspace::BLOCK_PEAKS),
            reason: "a peak is missing".into(),
        })?;
        hash = parent(&left, &hash);
        index >>= 1;
        level = level.saturating_add(1);
        changes.insert(keyspace::block_node(level, index), Some(encode(&hash)));
    }
    peaks.hashes.push(hash);
    peaks.count = peaks.count.saturating_add(1);
    changes.insert(keyspace::BLOCK_PEAKS.to_vec(), Some(encode(&peaks)));
    Ok(peaks.root())
}

/// The root of the range as it is.
///
/// # Errors
/// State that cannot be read.
pub fn root(state: &dyn StateRead) -> Result<Hash, StateError> {
    let peaks: Peaks = read(state, keyspace::BLOCK_PEAKS)?.unwrap_or_default();
    Ok(peaks.root())
}

/// The proof of the block at a height, if it is there.
///
/// # Errors
/// State that cannot be read.
pub fn prove(state: &dyn StateRead, height: Height) -> Result<Option<BlockProof>, StateError> {
    let peaks: Peaks = read(state, keyspace::BLOCK_PEAKS)?.unwrap_or_default();
    let Some(mut index) = keyspace::block_leaf_index(height) else { return Ok(None) };
    let Some((_, levels, _)) = peaks.mountain(index) else { return Ok(None) };
    let mut siblings = Vec::new();
    for level in 0..u8::try_from(levels).unwrap_or(0) {
        siblings.push(read_or_corrupt(state, &keyspace::block_node(level, index ^ 1))?);
        index >>= 1;
    }
    Ok(Some(BlockProof { peaks, siblings }))
}

impl BlockProof {
    /// Whether under this root the block at this height has this name.
    #[must_use]
    pub fn verify(&self, root: &Hash, height: Height, block: &BlockId) -> bool {
        let Some(mut index) = keyspace::block_leaf_index(height) else { return false };
        let Some((position, level, _)) = self.peaks.mountain(index) else { return false };
        if self.siblings.len() as u64 != u64::from(level) || self.peaks.root() != *root {
            return false;
        }
        let mut hash = leaf(block);
        for sibling in &self.siblings {
            hash = if index & 1 == 1 { parent(sibling, &hash) } else { parent(&hash, sibling) };
            index >>= 1;
        }
        self.peaks.hashes.get(position) == Some(&hash)
            && self.peaks.hashes.len() as u64 == u64::from(self.peaks.count.count_ones())
    }
}
