//! Bringing the trees up to date, once a block, with all changed leaves together: every page on a changed path is read and
//! written once, every inner node hashed once.

use std::collections::BTreeMap;

use super::node::{path_of, turns_right, value_hash};
use super::page::{BOTTOM, Page, Slot, TOP, left, right, storage_key};
use super::{DomainRoot, join};
use crate::codec::encode;
use crate::state::{ChangeSet, StateError, StateRead, keyspace, read};
use crate::types::Hash;

/// Something at a path.
type ByPath<T> = (Hash, T);
/// A leaf to set (its value's hash) or to take away.
type Change = (Hash, Option<Hash>);

/// Adds to `changes` what the trees' pages become, and gives the state root after them. `state` is the state before.
///
/// # Errors
/// State that cannot be read, or a tree that does not hang together.
pub fn update(state: &dyn StateRead, changes: &mut ChangeSet) -> Result<Hash, StateError> {
    let mut by_domain: BTreeMap<u8, Vec<Change>> = BTreeMap::new();
    for (key, value) in changes.iter() {
        let Some(domain) = key.first().filter(|domain| keyspace::COMMITTED.contains(domain)) else {
            continue;
        };
        by_domain.entry(*domain).or_default().push((path_of(key), value.as_deref().map(value_hash)));
    }
    let empty = || keyspace::COMMITTED.map(|domain| DomainRoot { domain, root: Hash::ZERO }).to_vec();
    let mut roots: Vec<DomainRoot> = read(state, keyspace::DOMAIN_ROOTS)?.unwrap_or_else(empty);
    for root in &mut roots {
        let Some(mut leaves) = by_domain.remove(&root.domain) else { continue };
        leaves.sort_unstable_by_key(|(path, _)| *path);
        let mut writer = Writer { state, domain: root.domain, changes };
        root.root = writer.rebuild_root(root.root, &leaves)?;
    }
    let state_root = join(&roots);
    changes.insert(keyspace::DOMAIN_ROOTS.to_vec(), Some(encode(&roots)));
    Ok(state_root)
}

/// Reads the page whose top has this hash.
///
/// # Errors
/// A page that is missing, is none, or has another hash.
pub(super) fn load(state: &dyn StateRead, domain: u8, depth: u16, at: &Hash, hash: &Hash) -> Result<Page, StateError> {
    let key = storage_key(domain, depth, at);
    let corrupt = |reason: &str| StateError::Corrupt { key: hex::encode(&key), reason: reason.into() };
    let bytes = state.get(&key)?.ok_or_else(|| corrupt("a page of the state tree is missing"))?;
    let page = Page::decode(&bytes).ok_or_else(|| corrupt("it is no page of the state tree"))?;
    if page.slot(TOP).hash() == *hash { Ok(page) } else { Err(corrupt("a page of the state tree has another hash")) }
}

struct Writer<'a> {
    state: &'a dyn StateRead,
    domain: u8,
    changes: &'a mut ChangeSet,
}

/// Where in which page.
#[derive(Clone, Copy)]
struct Place {
    position: usize,
    depth: u16,
    at: Hash,
}

impl Place {
    const fn top(depth: u16, at: Hash) -> Self {
        Self { position: TOP, depth, at }
    }

    fn left(self) -> Self {
        Self { position: left(self.position), depth: self.depth.saturating_add(1), at: self.at }
    }

    fn right(self) -> Self {
        let at = with_bit(&self.at, self.depth);
        Self { position: right(self.position), depth: self.depth.saturating_add(1), at }
    }
}

impl Writer<'_> {
    fn rebuild_root(&mut self, root: Hash, leaves: &[Change]) -> Result<Hash, StateError> {
        let before = if root == Hash::ZERO { Slot::Empty } else { Slot::Inner(root) };
        let top = self.rebuild_page(0, Hash::ZERO, before, leaves)?;
        if let Slot::Leaf { .. } = top {
            // A lone leaf rises no further than the top of all.
            let mut page = Page::new();
            page.set(TOP, top);
            self.changes.insert(storage_key(self.domain, 0, &Hash::ZERO), Some(page.encode()));
        }
        Ok(top.hash())
    }

    /// What the subtree under a page becomes. The page is written, or taken away when no two leaves are left in it.
    fn rebuild_page(&mut self, depth: u16, at: Hash, before: Slot, changes: &[Change]) -> Result<Slot, StateError> {
        let existed = before != Slot::Empty;
        let mut page = match before {
            Slot::Inner(hash) => load(self.state, self.domain, depth, &at, &hash)?,
            _ => Page::new(),
        };
        let top = self.rebuild(&mut page, Place::top(depth, at), changes)?;
        page.set(TOP, top);
        let kept = matches!(top, Slot::Inner(_));
        if kept || existed {
            self.changes.insert(storage_key(self.domain, depth, &at), kept.then(|| page.encode()));
        }
        Ok(top)
    }

    fn rebuild(&mut self, page: &mut Page, place: Place, changes: &[Change]) -> Result<Slot, StateError> {
        match page.slot(place.position) {
            Slot::Empty => self.build(page, place, &present(changes)),
            Slot::Leaf { path, value } => {
                let mut leaves = present(changes);
                if let Err(spot) = changes.binary_search_by_key(&path, |(changed, _)| *changed) {
                    // Its place among those that are set: as many as are set before it.
                    let before = present(changes.get(..spot).unwrap_or_default()).len();
                    leaves.insert(before, (path, value));
                }
                self.build(page, place, &leaves)
            }
            inner @ Slot::Inner(_) if place.position >= BOTTOM => {
                self.rebuild_page(place.depth, place.at, inner, changes)
            }
            Slot::Inner(hash) => {
                if page.joined(place.position) != hash {
                    let key = hex::encode(storage_key(self.domain, place.depth, &place.at));
                    let reason = "a node of the state tree has another hash than its children give".into();
                    return Err(StateError::Corrupt { key, reason });
                }
                let (to_left, to_right) = split(changes, place.depth);
                for (child, changes) in [(place.left(), to_left), (place.right(), to_right)] {
                    if !changes.is_empty() {
                        let slot = self.rebuild(page, child, changes)?;
                        page.set(child.position, slot);
                    }
                }
                Ok(close(page, place.position))
            }
        }
    }

    /// A subtree of these leaves alone.
    fn build(&mut self, page: &mut Page, place: Place, leaves: &[(Hash, Hash)]) -> Result<Slot, StateError> {
        match leaves {
            [] => Ok(Slot::Empty),
            [(path, value)] => Ok(Slot::Leaf { path: *path, value: *value }),
            _ if place.position >= BOTTOM => {
                let mut below = Page::new();
                let top = self.build(&mut below, Place::top(place.depth, place.at), leaves)?;
                below.set(TOP, top);
                self.changes.insert(storage_key(self.domain, place.depth, &place.at), Some(below.encode()));
                Ok(top)
            }
            _ => {
                let (to_left, to_right) = split(leaves, place.depth);
                for (child, leaves) in [(place.left(), to_left), (place.right(), to_right)] {
                    let slot = self.build(page, child, leaves)?;
                    page.set(child.position, slot);
                }
                Ok(close(page, place.position))
            }
        }
    }
}

/// What an inner node becomes by its children: one that is left with a lone leaf gives way to it.
fn close(page: &mut Page, position: usize) -> Slot {
    let (below_left, below_right) = (page.slot(left(position)), page.slot(right(position)));
    let lone = match (below_left, below_right) {
        (Slot::Empty, lone @ (Slot::Empty | Slot::Leaf { .. })) | (lone @ Slot::Leaf { .. }, Slot::Empty) => lone,
        _ => return Slot::Inner(page.joined(position)),
    };
    page.set(left(position), Slot::Empty);
    page.set(right(position), Slot::Empty);
    lone
}

fn present(changes: &[Change]) -> Vec<(Hash, Hash)> {
    changes.iter().filter_map(|(path, value)| Some((*path, (*value)?))).collect()
}

/// Those that turn left at this depth, and those that turn right; they are in order of path.
fn split<T>(sorted: &[ByPath<T>], depth: u16) -> (&[ByPath<T>], &[ByPath<T>]) {
    sorted.split_at(sorted.partition_point(|(path, _)| !turns_right(path, depth)))
}

/// The path with a turn to the right at this depth; below it, all turns are left.
fn with_bit(path: &Hash, depth: u16) -> Hash {
    let mut path = *path;
    if let Some(byte) = path.0.get_mut(usize::from(depth >> 3)) {
        *byte |= 0x80 >> (depth & 7);
    }
    path
}
