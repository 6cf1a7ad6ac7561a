//! Four levels of a tree, above its buckets, in one entry: a read or write for each, where single nodes would take up to thirty-one.

use super::node::inner_hash;
use crate::state::keyspace::TREE;
use crate::types::Hash;

/// Position of the uppermost node.
pub(super) const TOP: usize = 1;
/// From here on, positions belong to the lowest level: an inner node there is the top of another page.
pub(super) const BOTTOM: usize = 16;
const SLOTS: usize = 32;

/// What stands at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing below.
    Empty,
    /// So few leaves that they stand in one bucket; the hash of them all.
    Bucket { hash: Hash, leaves: u8 },
    /// More leaves below; the hash of them all.
    Inner(Hash),
}

impl Slot {
    pub(super) const fn hash(&self) -> Hash {
        match self {
            Self::Empty => Hash::ZERO,
            Self::Bucket { hash, .. } | Self::Inner(hash) => *hash,
        }
    }

    /// How many leaves stand below, if they are few.
    pub(super) fn leaves(&self) -> Option<usize> {
        match self {
            Self::Empty => Some(0),
            Self::Bucket { leaves, .. } => Some(usize::from(*leaves)),
            Self::Inner(_) => None,
        }
    }
}

/// Positions in the order of a heap: 1 on top, below `i` stand `2i` and `2i + 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page([Slot; SLOTS]);

impl Page {
    pub(super) const fn new() -> Self {
        Self([Slot::Empty; SLOTS])
    }

    pub(super) fn slot(&self, position: usize) -> Slot {
        self.0.get(position).copied().unwrap_or(Slot::Empty)
    }

    pub(super) fn set(&mut self, position: usize, slot: Slot) {
        if let Some(place) = self.0.get_mut(position) {
            *place = slot;
        }
    }

    /// The hash an inner node must have by what stands below it.
    pub(super) fn joined(&self, position: usize) -> Hash {
        inner_hash(&self.slot(left(position)).hash(), &self.slot(right(position)).hash())
    }

    /// Two maps of positions (inner nodes, buckets; little endian), then what stands there in order.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (mut inner, mut buckets, mut bytes) = (0_u32, 0_u32, 8_usize);
        let mut bit = 1_u32;
        for slot in &self.0 {
            match slot {
                Slot::Empty => {}
                Slot::Inner(_) => (inner, bytes) = (inner | bit, bytes.saturating_add(32)),
                Slot::Bucket { .. } => (buckets, bytes) = (buckets | bit, bytes.saturating_add(33)),
            }
            bit = bit.wrapping_shl(1);
        }
        let mut out = Vec::with_capacity(bytes);
        out.extend_from_slice(&inner.to_le_bytes());
        out.extend_from_slice(&buckets.to_le_bytes());
        for slot in &self.0 {
            match slot {
                Slot::Empty => {}
                Slot::Inner(hash) => out.extend_from_slice(&hash.0),
                Slot::Bucket { hash, leaves } => {
                    out.extend_from_slice(&hash.0);
                    out.push(*leaves);
                }
            }
        }
        out
    }

    /// Reads exactly what [`Page::encode`] writes; nothing for anything else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (inner, rest) = bytes.split_first_chunk::<4>()?;
        let (buckets, mut rest) = rest.split_first_chunk::<4>()?;
        let (inner, buckets) = (u32::from_le_bytes(*inner), u32::from_le_bytes(*buckets));
        if inner & buckets != 0 {
            return None;
        }
        let mut page = Self::new();
        let mut bit = 1_u32;
        for slot in &mut page.0 {
            if inner & bit != 0 {
                *slot = Slot::Inner(take(&mut rest)?);
            } else if buckets & bit != 0 {
                let hash = take(&mut rest)?;
                let (leaves, after) = rest.split_first()?;
                (*slot, rest) = (Slot::Bucket { hash, leaves: *leaves }, after);
            }
            bit = bit.wrapping_shl(1);
        }
        rest.is_empty().then_some(page)
    }
}

fn take(rest: &mut &[u8]) -> Option<Hash> {
    let (hash, after) = rest.split_first_chunk::<32>()?;
    *rest = after;
    Some(Hash(*hash))
}

pub(super) const fn left(position: usize) -> usize {
    position.wrapping_shl(1)
}

pub(super) const fn right(position: usize) -> usize {
    position.wrapping_shl(1) | 1
}

/// The key of the page whose top stands at this depth (a multiple of 4) of this path: a byte for each half byte of the
/// way, so that a page stands right before those below it.
pub(super) fn storage_key(domain: u8, depth: u16, path: &Hash) -> Vec<u8> {
    let halves = usize::from(depth >> 2);
    let mut key = Vec::with_capacity(halves.saturating_add(2));
    key.extend_from_slice(&[TREE, domain]);
    key.extend(path.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(halves));
    key
}

/// Whether an entry of a state is a page: it follows from the buckets and need not be stored, see [`super::rebuild_pages`].
#[must_use]
pub fn is_page(key: &[u8]) -> bool {
    key.first() == Some(&TREE)
}
