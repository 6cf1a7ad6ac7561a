//! A Merkle tree over a list (RFC 9162 shape): for the transactions and outcomes of a block.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::Hash;

/// The way from one leaf of a list to its root.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ListProof {
    /// The leaf's position.
    pub index: u64,
    /// How many leaves the list has.
    pub size: u64,
    /// Sibling hashes from the leaf upwards.
    pub siblings: Vec<Hash>,
}

fn leaf_hash(leaf: &Hash) -> Hash {
    Hash(*blake3::keyed_hash(b"mesh30k list tree: leaf hash v1.", &leaf.0).as_bytes())
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0; 64];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    Hash(*blake3::keyed_hash(b"mesh30k list tree: node hash v1.", &bytes).as_bytes())
}

/// The root over the leaves in order. The number of leaves is bound by it; no leaves give [`Hash::ZERO`].
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    let mut level: Vec<Hash> = leaves.iter().map(leaf_hash).collect();
    while level.len() > 1 {
        level = parents(&level);
    }
    finish(leaves.len() as u64, level.first().copied().unwrap_or(Hash::ZERO))
}

/// The proof of the leaf at `index`, if there is one.
#[must_use]
pub fn prove(leaves: &[Hash], index: usize) -> Option<ListProof> {
    leaves.get(index)?;
    let mut siblings = Vec::new();
    let mut level: Vec<Hash> = leaves.iter().map(leaf_hash).collect();
    let mut at = index;
    while level.len() > 1 {
        if let Some(sibling) = level.get(at ^ 1) {
            siblings.push(*sibling);
        }
        level = parents(&level);
        at >>= 1;
    }
    Some(ListProof { index: index as u64, size: leaves.len() as u64, siblings })
}

impl ListProof {
    /// The root this proof leads to from a leaf; nothing when its shape is impossible.
    #[must_use]
    pub fn root_from(&self, leaf: &Hash) -> Option<Hash> {
        if self.index >= self.size {
            return None;
        }
        let (mut at, mut last) = (self.index, self.size.checked_sub(1)?);
        let mut siblings = self.siblings.iter();
        let mut hash = leaf_hash(leaf);
        while last > 0 {
            // The last node of an odd level has no sibling and rises unchanged.
            if at & 1 == 1 {
                hash = node_hash(siblings.next()?, &hash);
            } else if at < last {
                hash = node_hash(&hash, siblings.next()?);
            }
            at >>= 1;
            last >>= 1;
        }
        siblings.next().is_none().then(|| finish(self.size, hash))
    }
}

fn parents(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .filter_map(|pair| match pair {
            [left, right] => Some(node_hash(left, right)),
            [single] => Some(*single),
            _ => None,
        })
        .collect()
}

fn finish(size: u64, top: Hash) -> Hash {
    if size == 0 { Hash::ZERO } else { Hash::derive("mesh30k list root v1", &[&size.to_le_bytes(), &top.0]) }
}
