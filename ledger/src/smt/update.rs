//! Bringing the trees up to date, once a block, with all changed leaves together: every page on a changed path is read and
//! written once, every inner node hashed once. What a subtree looks like is settled first; then its hashes are made level by
//! level from below, each level at once.

use std::collections::BTreeMap;

use super::node::{path_of, turns_right, value_hash};
use super::page::{BOTTOM, Page, Slot, TOP, left, right, storage_key};
use super::pairs::Pairs;
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
        let mut writer = Writer::new(state, root.domain, changes);
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

/// Changes that are settled together before hashes are made: enough for whole levels at once, few enough that their pages
/// stay in a processor's cache.
const TOGETHER: usize = 256;

/// Stands for the hash of an inner node that is not made yet.
const PENDING: Slot = Slot::Inner(Hash::ZERO);

/// A page whose hashes are not all made yet.
struct Open {
    key: Vec<u8>,
    page: Page,
    depth: u16,
    /// Positions of inner nodes without a hash.
    pending: Vec<usize>,
    /// Where its top stands in the page above, once that is open too.
    above: Option<(usize, usize)>,
}

/// What a page was found to say before it was changed.
struct Check {
    hash: Hash,
    key: Vec<u8>,
}

struct Writer<'a> {
    state: &'a dyn StateRead,
    domain: u8,
    changes: &'a mut ChangeSet,
    /// Pages from below.
    open: Vec<Open>,
    checks: Vec<Check>,
    checked: Pairs,
    /// Whether a page above waits for those that are open.
    together: bool,
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

impl<'a> Writer<'a> {
    fn new(state: &'a dyn StateRead, domain: u8, changes: &'a mut ChangeSet) -> Self {
        let (open, checks, checked) = (Vec::new(), Vec::new(), Pairs::default());
        Self { state, domain, changes, open, checks, checked, together: false }
    }

    fn rebuild_root(&mut self, root: Hash, leaves: &[Change]) -> Result<Hash, StateError> {
        let before = if root == Hash::ZERO { Slot::Empty } else { Slot::Inner(root) };
        let top = self.rebuild_page(0, Hash::ZERO, before, leaves)?;
        if let Slot::Leaf { .. } = top {
            // A lone leaf rises no further than the top of all.
            let mut page = Page::default();
            page.set(TOP, top);
            self.changes.insert(storage_key(self.domain, 0, &Hash::ZERO), Some(page.encode()));
        }
        Ok(top.hash())
    }

    /// What the subtree under a page becomes. The page is written, or taken away when no two leaves are left in it.
    fn rebuild_page(&mut self, depth: u16, at: Hash, before: Slot, changes: &[Change]) -> Result<Slot, StateError> {
        let outermost = !self.together && changes.len() <= TOGETHER;
        self.together |= outermost;
        let mut draft = Draft::default();
        if let Slot::Inner(hash) = before {
            draft.page = load(self.state, self.domain, depth, &at, &hash)?;
        }
        let top = self.rebuild(&mut draft, Place::top(depth, at), changes)?;
        self.together &= !outermost;
        self.write(draft, depth, at, top, before != Slot::Empty)
    }

    /// Puts a page among the open ones; makes its hashes at once when nothing waits for them together with others.
    fn write(&mut self, mut draft: Draft, depth: u16, at: Hash, top: Slot, existed: bool) -> Result<Slot, StateError> {
        draft.page.set(TOP, top);
        let key = storage_key(self.domain, depth, &at);
        if matches!(top, Slot::Inner(_)) {
            let index = self.open.len();
            for (position, child) in draft.children {
                if let Some(child) = self.open.get_mut(child) {
                    child.above = Some((index, position));
                }
            }
            self.open.push(Open { key, page: draft.page, depth, pending: draft.pending, above: None });
        } else if existed {
            self.changes.insert(key, None);
        }
        if self.together { Ok(top) } else { self.close_all(top) }
    }

    /// Makes the hashes of all open pages and writes them; gives what stands on top of the last one, unless `top` is no inner node.
    fn close_all(&mut self, top: Slot) -> Result<Slot, StateError> {
        for (check, hash) in self.checks.drain(..).zip(self.checked.take()) {
            if check.hash != hash {
                let reason = "a node of the state tree has another hash than its children give".into();
                return Err(StateError::Corrupt { key: hex::encode(check.key), reason });
            }
        }
        let mut levels: BTreeMap<u16, Vec<(usize, usize)>> = BTreeMap::new();
        for (index, open) in self.open.iter().enumerate() {
            for position in &open.pending {
                let depth = open.depth.saturating_add(level(*position));
                levels.entry(depth).or_default().push((index, *position));
            }
        }
        let mut pairs = Pairs::default();
        for nodes in levels.values().rev() {
            for (index, position) in nodes {
                if let Some(open) = self.open.get(*index) {
                    let (left, right) = open.page.below(*position);
                    pairs.push(&left, &right);
                }
            }
            for ((index, position), hash) in nodes.iter().zip(pairs.take()) {
                self.set_hash(*index, *position, hash);
            }
        }
        let last = self.open.last().map(|open| open.page.slot(TOP));
        for open in self.open.drain(..) {
            self.changes.insert(open.key, Some(open.page.encode()));
        }
        Ok(if matches!(top, Slot::Inner(_)) { last.unwrap_or(top) } else { top })
    }

    /// The top of a page stands in the page above too.
    fn set_hash(&mut self, index: usize, position: usize, hash: Hash) {
        let Some(open) = self.open.get_mut(index) else { return };
        open.page.set(position, Slot::Inner(hash));
        if position == TOP
            && let Some((above, position)) = open.above
            && let Some(open) = self.open.get_mut(above)
        {
            open.page.set(position, Slot::Inner(hash));
        }
    }

    fn rebuild(&mut self, draft: &mut Draft, place: Place, changes: &[Change]) -> Result<Slot, StateError> {
        match draft.page.slot(place.position) {
            Slot::Empty => self.build(draft, place, &present(changes)),
            Slot::Leaf { path, value } => {
                let mut leaves = present(changes);
                if let Err(spot) = changes.binary_search_by_key(&path, |(changed, _)| *changed) {
                    // Its place among those that are set: as many as are set before it.
                    let before = present(changes.get(..spot).unwrap_or_default()).len();
                    leaves.insert(before, (path, value));
                }
                self.build(draft, place, &leaves)
            }
            inner @ Slot::Inner(_) if place.position >= BOTTOM => {
                let slot = self.rebuild_page(place.depth, place.at, inner, changes)?;
                self.hang(draft, place, slot);
                Ok(slot)
            }
            Slot::Inner(hash) => {
                let (left, right) = draft.page.below(place.position);
                self.checked.push(&left, &right);
                self.checks.push(Check { hash, key: storage_key(self.domain, place.depth, &place.at) });
                let (to_left, to_right) = split(changes, place.depth);
                for (child, changes) in [(place.left(), to_left), (place.right(), to_right)] {
                    if !changes.is_empty() {
                        let slot = self.rebuild(draft, child, changes)?;
                        draft.page.set(child.position, slot);
                    }
                }
                Ok(draft.close(place.position))
            }
        }
    }

    /// A subtree of these leaves alone.
    fn build(&mut self, draft: &mut Draft, place: Place, leaves: &[(Hash, Hash)]) -> Result<Slot, StateError> {
        match leaves {
            [] => Ok(Slot::Empty),
            [(path, value)] => Ok(Slot::Leaf { path: *path, value: *value }),
            _ if place.position >= BOTTOM => {
                let outermost = !self.together && leaves.len() <= TOGETHER;
                self.together |= outermost;
                let mut below = Draft::default();
                let top = self.build(&mut below, Place::top(place.depth, place.at), leaves)?;
                self.together &= !outermost;
                let slot = self.write(below, place.depth, place.at, top, false)?;
                self.hang(draft, place, slot);
                Ok(slot)
            }
            _ => {
                let (to_left, to_right) = split(leaves, place.depth);
                for (child, leaves) in [(place.left(), to_left), (place.right(), to_right)] {
                    let slot = self.build(draft, child, leaves)?;
                    draft.page.set(child.position, slot);
                }
                Ok(draft.close(place.position))
            }
        }
    }

    /// Notes that the page that was opened last stands under this place, if it is still open.
    fn hang(&self, draft: &mut Draft, place: Place, slot: Slot) {
        if slot == PENDING
            && let Some(child) = self.open.len().checked_sub(1)
        {
            draft.children.push((place.position, child));
        }
    }
}

/// A page while its subtree is settled.
#[derive(Default)]
struct Draft {
    page: Page,
    /// Positions of inner nodes without a hash.
    pending: Vec<usize>,
    /// Open pages under positions of the lowest level.
    children: Vec<(usize, usize)>,
}

impl Draft {
    /// What an inner node becomes by its children: one that is left with a lone leaf gives way to it.
    fn close(&mut self, position: usize) -> Slot {
        let lone = match self.page.below(position) {
            (Slot::Empty, lone @ (Slot::Empty | Slot::Leaf { .. })) | (lone @ Slot::Leaf { .. }, Slot::Empty) => lone,
            _ => {
                self.pending.push(position);
                return PENDING;
            }
        };
        self.page.set(left(position), Slot::Empty);
        self.page.set(right(position), Slot::Empty);
        lone
    }
}

/// Levels a position stands below the top of its page.
fn level(position: usize) -> u16 {
    u16::try_from(position.checked_ilog2().unwrap_or(0)).unwrap_or(0)
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
