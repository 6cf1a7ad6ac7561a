//! Hashes of the trees.

use crate::types::Hash;

const PATH: &[u8; 32] = b"mesh30k state tree: path of key1";
const VALUE: &[u8; 32] = b"mesh30k state tree: value hash 1";
const LEAF: &[u8; 32] = b"mesh30k state tree: leaf hash v1";
const INNER: &[u8; 32] = b"mesh30k state tree: node hash v1";

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
