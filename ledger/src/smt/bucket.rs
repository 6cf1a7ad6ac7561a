//! The lowest part of a tree: a subtree of a few leaves in one record, from which everything above it follows.

use super::node::{inner_hash, leaf_hash, turns_right};
use crate::state::keyspace::LEAVES;
use crate::types::Hash;

/// Leaves of one bucket, at most. More of them make fewer pages above to keep in memory, and more to read and write for a change.
pub(super) const BUCKET: usize = 4;

/// Something at a path.
pub(super) type ByPath<T> = (Hash, T);
/// A leaf: its path and its value's hash.
pub(super) type Leaf = ByPath<Hash>;
/// A leaf to set (its value's hash) or to take away.
pub(super) type Change = ByPath<Option<Hash>>;

/// Path and value's hash of each leaf, in order of path.
pub(super) fn encode(leaves: &[Leaf]) -> Vec<u8> {
    leaves.iter().flat_map(|(path, value)| [path.0, value.0]).flatten().collect()
}

/// Reads exactly what [`encode`] writes for a bucket that is there; nothing for anything else.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Leaf>> {
    let (leaves, []) = bytes.as_chunks::<64>() else { return None };
    let leaves: Vec<Leaf> = leaves.iter().filter_map(leaf).collect();
    let ascending = leaves.iter().zip(leaves.iter().skip(1)).all(|((a, _), (b, _))| a < b);
    (ascending && (1..=BUCKET).contains(&leaves.len())).then_some(leaves)
}

fn leaf(bytes: &[u8; 64]) -> Option<Leaf> {
    let (path, value) = bytes.split_first_chunk::<32>()?;
    Some((Hash(*path), Hash(*value.first_chunk()?)))
}

/// The hash of the subtree of these leaves whose top stands at this depth.
pub(super) fn subtree(leaves: &[Leaf], depth: u16) -> Hash {
    match leaves {
        [] => Hash::ZERO,
        [(path, value)] => leaf_hash(path, value),
        _ => {
            let (left, right) = split(leaves, depth);
            let below = depth.saturating_add(1);
            inner_hash(&subtree(left, below), &subtree(right, below))
        }
    }
}

/// Those that turn left at this depth, and those that turn right; they are in order of path.
pub(super) fn split<T>(sorted: &[ByPath<T>], depth: u16) -> (&[ByPath<T>], &[ByPath<T>]) {
    sorted.split_at(sorted.partition_point(|(path, _)| !turns_right(path, depth)))
}

/// The leaves there are after the changes; both are in order of path, and so is what comes of them.
pub(super) fn merge(leaves: &[Leaf], changes: &[Change]) -> Vec<Leaf> {
    let mut merged = Vec::with_capacity(leaves.len().saturating_add(changes.len()));
    let mut kept = leaves.iter().peekable();
    for (path, value) in changes {
        while let Some(leaf) = kept.next_if(|(before, _)| before < path) {
            merged.push(*leaf);
        }
        kept.next_if(|(same, _)| same == path);
        merged.extend(value.map(|value| (*path, value)));
    }
    merged.extend(kept.copied());
    merged
}

/// The key of the bucket whose top stands at this depth of this path, which turns left from there on: the whole bytes of the way, then
/// the depth. Buckets cover no common path, so that the order of their keys is that of the paths.
pub(super) fn storage_key(domain: u8, depth: u16, path: &Hash) -> Vec<u8> {
    let bytes = usize::from(depth.div_ceil(8));
    let mut key = Vec::with_capacity(bytes.saturating_add(3));
    key.extend_from_slice(&[LEAVES, domain]);
    key.extend(path.0.iter().take(bytes));
    // Two paths differ at depth 255 at the latest: no bucket's top stands lower.
    key.push(u8::try_from(depth).unwrap_or(u8::MAX));
    key
}

/// Domain, depth and path of a bucket's key.
pub(super) fn place_of(key: &[u8]) -> Option<(u8, u16, Hash)> {
    let (&[prefix, domain], rest) = key.split_first_chunk::<2>()?;
    let (depth, way) = rest.split_last()?;
    let depth = u16::from(*depth);
    let mut path = Hash::ZERO;
    path.0.get_mut(..way.len())?.copy_from_slice(way);
    (prefix == LEAVES && way.len() == usize::from(depth.div_ceil(8))).then_some((domain, depth, path))
}
