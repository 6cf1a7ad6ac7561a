//! Pages and buckets out of a state.

use super::bucket::{self, Leaf, subtree};
use super::page::{self, Page, Slot, TOP};
use crate::state::{StateError, StateRead};
use crate::types::Hash;

/// Reads the page whose top has this hash.
///
/// # Errors
/// A page that is missing, is none, or has another hash.
pub(super) fn load_page(
    state: &dyn StateRead,
    domain: u8,
    depth: u16,
    at: &Hash,
    hash: &Hash,
) -> Result<Page, StateError> {
    let key = page::storage_key(domain, depth, at);
    let mut page = None;
    state.view(&key, &mut |bytes| page = Some(Page::decode(bytes)))?;
    let page = page.ok_or_else(|| corrupt(&key, "a page of the state tree is missing"))?;
    let page = page.ok_or_else(|| corrupt(&key, "it is no page of the state tree"))?;
    if page.slot(TOP).hash() == *hash {
        Ok(page)
    } else {
        Err(corrupt(&key, "a page of the state tree has another hash"))
    }
}

/// Reads the bucket that a slot stands for, at this depth of this path.
///
/// # Errors
/// A bucket that is missing, is none, or has another hash.
pub(super) fn load_bucket(
    state: &dyn StateRead,
    domain: u8,
    depth: u16,
    path: &Hash,
    slot: &Slot,
) -> Result<Vec<Leaf>, StateError> {
    let key = bucket::storage_key(domain, depth, &way(path, depth));
    let mut leaves = None;
    state.view(&key, &mut |bytes| leaves = Some(bucket::decode(bytes)))?;
    let leaves = leaves.ok_or_else(|| corrupt(&key, "a bucket of the state tree is missing"))?;
    let leaves = leaves.ok_or_else(|| corrupt(&key, "it is no bucket of the state tree"))?;
    if slot.leaves() == Some(leaves.len()) && slot.hash() == subtree(&leaves, depth) {
        Ok(leaves)
    } else {
        Err(corrupt(&key, "a bucket of the state tree has another hash"))
    }
}

pub(super) fn corrupt(key: &[u8], reason: &str) -> StateError {
    StateError::Corrupt { key: hex::encode(key), reason: reason.into() }
}

/// A path down to a depth; below it, all turns are left.
pub(super) fn way(path: &Hash, depth: u16) -> Hash {
    let mut way = Hash::ZERO;
    let mut left = depth;
    for (to, from) in way.0.iter_mut().zip(path.0) {
        *to = match left {
            0 => break,
            1..8 => from & !(0xFF_u8 >> left),
            _ => from,
        };
        left = left.saturating_sub(8);
    }
    way
}
