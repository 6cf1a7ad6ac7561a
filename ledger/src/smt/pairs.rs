//! Many pairs hashed at once: a processor works on eight of them side by side, where one after another takes four times as long.

use blake3::IncrementCounter;
use blake3::platform::{Platform, words_from_le_bytes_32};

use super::node::{INNER, LEAF};
use super::page::Slot;
use crate::types::Hash;

const PAIR: usize = 64;
// A keyed hash of one full block (section 2.2 of the BLAKE3 paper).
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
const KEYED_HASH: u8 = 1 << 4;

/// What [`super::node::pair`] gives for each, in order.
fn hash_all(key: &[u8; 32], pairs: &[[u8; PAIR]]) -> Vec<Hash> {
    let inputs: Vec<&[u8; PAIR]> = pairs.iter().collect();
    let mut out = vec![0; pairs.len().saturating_mul(32)];
    Platform::detect().hash_many(
        &inputs,
        &words_from_le_bytes_32(key),
        0,
        IncrementCounter::No,
        KEYED_HASH,
        CHUNK_START,
        CHUNK_END | ROOT,
        &mut out,
    );
    out.as_chunks().0.iter().map(|bytes| Hash(*bytes)).collect()
}

fn joined(left: &Hash, right: &Hash) -> [u8; PAIR] {
    let mut bytes = [0; PAIR];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    bytes
}

/// Inner nodes that wait for their hashes, by the two slots below each.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    inner: Vec<[u8; PAIR]>,
    leaves: Vec<[u8; PAIR]>,
    /// Which half of which inner node a leaf's hash belongs to.
    leaf_of: Vec<(usize, bool)>,
}

impl Pairs {
    pub(super) fn push(&mut self, left: &Slot, right: &Slot) {
        let node = self.inner.len();
        let mut hash = |slot: &Slot, is_right| match slot {
            Slot::Empty => Hash::ZERO,
            Slot::Inner(hash) => *hash,
            Slot::Leaf { path, value } => {
                self.leaves.push(joined(path, value));
                self.leaf_of.push((node, is_right));
                Hash::ZERO
            }
        };
        let pair = joined(&hash(left, false), &hash(right, true));
        self.inner.push(pair);
    }

    /// Their hashes, in the order they were pushed in; none waits afterwards.
    pub(super) fn take(&mut self) -> Vec<Hash> {
        for ((node, is_right), hash) in self.leaf_of.drain(..).zip(hash_all(LEAF, &self.leaves)) {
            let Some(pair) = self.inner.get_mut(node) else { continue };
            let (left, right) = pair.split_at_mut(32);
            if is_right { right.copy_from_slice(&hash.0) } else { left.copy_from_slice(&hash.0) }
        }
        let hashes = hash_all(INNER, &self.inner);
        self.leaves.clear();
        self.inner.clear();
        hashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smt::node::inner_hash;

    #[test]
    fn hashes_side_by_side_are_those_of_each_alone() {
        for count in 0..40_u8 {
            let slot = |n: u8| match n % 3 {
                0 => Slot::Empty,
                1 => Slot::Inner(Hash::of(&[n])),
                _ => Slot::Leaf { path: Hash::of(&[n, 1]), value: Hash::of(&[n, 2]) },
            };
            let mut pairs = Pairs::default();
            let mut alone = Vec::new();
            for n in 0..count {
                let (left, right) = (slot(n), slot(n.wrapping_mul(7)));
                pairs.push(&left, &right);
                alone.push(inner_hash(&left.hash(), &right.hash()));
            }
            assert_eq!(pairs.take(), alone);
            assert!(pairs.take().is_empty());
        }
    }
}
