//! Bringing the trees up to date, once a block, with all changed leaves together: every page and every bucket on a changed path is
//! read and written once, every inner node hashed once.

use std::collections::BTreeMap;

use super::bucket::{self, BUCKET, Change, Leaf, merge, split, subtree};
use super::node::{path_of, value_hash};
use super::page::{BOTTOM, Page, Slot, TOP, left, right, storage_key};
use super::read::{corrupt, load_bucket, load_page};
use super::{DomainRoot, empty_roots, join};
use crate::codec::encode;
use crate::state::{ChangeSet, StateError, StateRead, keyspace, read};
use crate::types::Hash;

/// Adds to `changes` what the trees' pages and buckets become, and gives the state root after them. `state` is the state before.
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
    let mut roots: Vec<DomainRoot> = read(state, keyspace::DOMAIN_ROOTS)?.unwrap_or_else(empty_roots);
    for root in &mut roots {
        let Some(mut leaves) = by_domain.remove(&root.domain) else { continue };
        leaves.sort_unstable_by_key(|(path, _)| *path);
        let mut writer = Writer { state, domain: root.domain, changes };
        let before = (root.root != Hash::ZERO).then_some(root.root);
        root.root = writer.rebuild_page(Place::top(0, Hash::ZERO), before, &leaves)?.hash();
    }
    let state_root = join(&roots);
    changes.insert(keyspace::DOMAIN_ROOTS.to_vec(), Some(encode(&roots)));
    Ok(state_root)
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
    /// What the subtree under a page becomes; `before` is the hash of the page's top, if there is one. The page is written, or taken
    /// away when so few leaves are left in it that they stand in a bucket. The uppermost page stays as long as there is anything.
    fn rebuild_page(&mut self, place: Place, before: Option<Hash>, changes: &[Change]) -> Result<Slot, StateError> {
        let mut page = match before {
            Some(hash) => load_page(self.state, self.domain, place.depth, &place.at, &hash)?,
            None => Page::new(),
        };
        let top = self.rebuild(&mut page, place, changes)?;
        page.set(TOP, top);
        let kept = matches!(top, Slot::Inner(_)) || (place.depth == 0 && top != Slot::Empty);
        if kept || before.is_some() {
            let key = storage_key(self.domain, place.depth, &place.at);
            self.changes.insert(key, kept.then(|| page.encode()));
        }
        Ok(top)
    }

    fn rebuild(&mut self, page: &mut Page, place: Place, changes: &[Change]) -> Result<Slot, StateError> {
        match page.slot(place.position) {
            Slot::Empty => Ok(self.build(page, place, &merge(&[], changes))),
            bucket @ Slot::Bucket { .. } => {
                let before = load_bucket(self.state, self.domain, place.depth, &place.at, &bucket)?;
                let leaves = merge(&before, changes);
                if !(1..=BUCKET).contains(&leaves.len()) {
                    self.changes.insert(self.bucket_key(place), None);
                }
                Ok(self.build(page, place, &leaves))
            }
            Slot::Inner(hash) if place.position >= BOTTOM => {
                self.rebuild_page(Place::top(place.depth, place.at), Some(hash), changes)
            }
            Slot::Inner(_) => {
                let (to_left, to_right) = split(changes, place.depth);
                for (child, changes) in [(place.left(), to_left), (place.right(), to_right)] {
                    if !changes.is_empty() {
                        let slot = self.rebuild(page, child, changes)?;
                        page.set(child.position, slot);
                    }
                }
                self.close(page, place)
            }
        }
    }

    /// A subtree of these leaves alone.
    fn build(&mut self, page: &mut Page, place: Place, leaves: &[Leaf]) -> Slot {
        if leaves.is_empty() {
            return Slot::Empty;
        }
        if leaves.len() <= BUCKET {
            self.changes.insert(self.bucket_key(place), Some(bucket::encode(leaves)));
            let hash = subtree(leaves, place.depth);
            return Slot::Bucket { hash, leaves: u8::try_from(leaves.len()).unwrap_or(u8::MAX) };
        }
        if place.position >= BOTTOM {
            let mut below = Page::new();
            let top = self.build(&mut below, Place::top(place.depth, place.at), leaves);
            below.set(TOP, top);
            self.changes.insert(storage_key(self.domain, place.depth, &place.at), Some(below.encode()));
            return top;
        }
        let (to_left, to_right) = split(leaves, place.depth);
        for (child, leaves) in [(place.left(), to_left), (place.right(), to_right)] {
            let slot = self.build(page, child, leaves);
            page.set(child.position, slot);
        }
        Slot::Inner(page.joined(place.position))
    }

    /// What an inner node becomes by its children: two that have few leaves give way to one bucket.
    fn close(&mut self, page: &mut Page, place: Place) -> Result<Slot, StateError> {
        let children = [place.left(), place.right()];
        let below = children.map(|child| page.slot(child.position).leaves());
        let [Some(to_left), Some(to_right)] = below else { return Ok(Slot::Inner(page.joined(place.position))) };
        if to_left.saturating_add(to_right) > BUCKET {
            return Ok(Slot::Inner(page.joined(place.position)));
        }
        let mut leaves = Vec::with_capacity(BUCKET);
        for child in children {
            if let slot @ Slot::Bucket { .. } = page.slot(child.position) {
                leaves.extend(self.take_bucket(child, &slot)?);
                page.set(child.position, Slot::Empty);
            }
        }
        Ok(self.build(page, place, &leaves))
    }

    /// Takes a bucket away, whether it was there before or is of this update.
    fn take_bucket(&mut self, place: Place, slot: &Slot) -> Result<Vec<Leaf>, StateError> {
        let key = self.bucket_key(place);
        let leaves = match self.changes.get(&key) {
            Some(bytes) => bytes.as_deref().and_then(bucket::decode),
            None => Some(load_bucket(self.state, self.domain, place.depth, &place.at, slot)?),
        };
        let leaves = leaves.ok_or_else(|| corrupt(&key, "a bucket of the state tree is lost"))?;
        self.changes.insert(key, None);
        Ok(leaves)
    }

    fn bucket_key(&self, place: Place) -> Vec<u8> {
        bucket::storage_key(self.domain, place.depth, &place.at)
    }
}

/// The path with a turn to the right at this depth; below it, all turns are left.
fn with_bit(path: &Hash, depth: u16) -> Hash {
    let mut path = *path;
    if let Some(byte) = path.0.get_mut(usize::from(depth >> 3)) {
        *byte |= 0x80 >> (depth & 7);
    }
    path
}
