//! Nodes of the trees and where they are kept.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::state::keyspace::TREE;
use crate::types::Hash;

const PATH: &[u8; 32] = b"mesh30k state tree: path of key1";
const VALUE: &[u8; 32] = b"mesh30k state tree: value hash 1";
const LEAF: &[u8; 32] = b"mesh30k state tree: leaf hash v1";
const INNER: &[u8; 32] = b"mesh30k state tree: node hash v1";

/// What is stored at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Node {
    /// The only leaf below this position.
    Leaf { path: Hash, value: Hash },
    /// Two subtrees, each perhaps empty.
    Inner { left: Hash, right: Hash },
}

impl Node {
    pub(crate) fn hash(&self) -> Hash {
        match self {
            Self::Leaf { path, value } => leaf_hash(path, value),
            Self::Inner { left, right } => inner_hash(left, right),
        }
    }
}

fn pair(key: &[u8; 32], left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0; 64];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    Hash(*blake3::keyed_hash(key, &bytes).as_bytes())
}

pub(crate) fn inner_hash(left: &Hash, right: &Hash) -> Hash {
    pair(INNER, left, right)
}

pub(crate) fn leaf_hash(path: &Hash, value: &Hash) -> Hash {
    pair(LEAF, path, value)
}

pub(crate) fn path_of(key: &[u8]) -> Hash {
    Hash(*blake3::keyed_hash(PATH, key).as_bytes())
}

pub(crate) fn value_hash(value: &[u8]) -> Hash {
    Hash(*blake3::keyed_hash(VALUE, value).as_bytes())
}

/// Whether a path turns right at a depth.
pub(crate) fn turns_right(path: &Hash, depth: u16) -> bool {
    let byte = path.0.get(usize::from(depth >> 3)).copied().unwrap_or(0);
    byte & (0x80 >> (depth & 7)) != 0
}

/// The key under which the node at this depth of this path is stored.
pub(crate) fn storage_key(domain: u8, depth: u16, path: &Hash) -> Vec<u8> {
    let whole = usize::from(depth >> 3);
    let mut key = Vec::with_capacity(whole.saturating_add(5));
    key.extend_from_slice(&[TREE, domain]);
    key.extend_from_slice(&depth.to_be_bytes());
    key.extend_from_slice(path.0.get(..whole).unwrap_or_default());
    let bits = depth & 7;
    if let Some(byte) = path.0.get(whole).filter(|_| bits > 0) {
        key.push(byte & !(0xff_u8 >> bits));
    }
    key
}
