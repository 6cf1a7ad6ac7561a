//! Bringing the trees up to date, once a block, with all changed leaves together.

use std::collections::BTreeMap;

use super::node::{Node, path_of, storage_key, turns_right, value_hash};
use super::{DomainRoot, join};
use crate::codec::encode;
use crate::state::{ChangeSet, StateError, StateRead, keyspace, read};
use crate::types::Hash;

/// Something at a path.
type ByPath<T> = (Hash, T);
/// A leaf to set (its value's hash) or to take away.
type Change = (Hash, Option<Hash>);

/// Adds to `changes` what the trees' nodes become, and gives the state root after them. `state` is the state before.
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
        root.root = writer.rebuild_root(&leaves)?;
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

/// What a subtree has become. A leaf is not stored yet: it may rise further.
#[derive(Clone, Copy)]
enum Sub {
    Empty,
    Leaf { path: Hash, value: Hash },
    Stored(Hash),
}

impl Writer<'_> {
    fn rebuild_root(&mut self, leaves: &[Change]) -> Result<Hash, StateError> {
        let existing = self.load(0, &Hash::ZERO)?;
        let sub = self.rebuild(0, &Hash::ZERO, existing, leaves)?;
        Ok(self.settle(0, &Hash::ZERO, sub))
    }

    fn load(&self, depth: u16, path: &Hash) -> Result<Option<Node>, StateError> {
        read(self.state, &storage_key(self.domain, depth, path))
    }

    fn put(&mut self, depth: u16, path: &Hash, node: Option<&Node>) {
        self.changes.insert(storage_key(self.domain, depth, path), node.map(encode));
    }

    /// Stores a leaf where it has come to rest; gives the subtree's hash.
    fn settle(&mut self, depth: u16, path: &Hash, sub: Sub) -> Hash {
        match sub {
            Sub::Empty => Hash::ZERO,
            Sub::Stored(hash) => hash,
            Sub::Leaf { path: leaf, value } => {
                let node = Node::Leaf { path: leaf, value };
                self.put(depth, path, Some(&node));
                node.hash()
            }
        }
    }

    fn rebuild(
        &mut self,
        depth: u16,
        at: &Hash,
        existing: Option<Node>,
        changes: &[Change],
    ) -> Result<Sub, StateError> {
        let (left, right) = match existing {
            None => return Ok(self.build(depth, at, &present(changes))),
            Some(Node::Leaf { path, value }) => {
                let mut leaves = present(changes);
                if let Err(place) = changes.binary_search_by_key(&path, |(changed, _)| *changed) {
                    // Its place among those that are set: as many as are set before it.
                    let before = present(changes.get(..place).unwrap_or_default()).len();
                    leaves.insert(before, (path, value));
                }
                let sub = self.build(depth, at, &leaves);
                if !matches!(sub, Sub::Stored(_)) {
                    self.put(depth, at, None);
                }
                return Ok(sub);
            }
            Some(Node::Inner { left, right }) => (left, right),
        };
        let (to_left, to_right) = split(changes, depth);
        let below = depth.saturating_add(1);
        let (left_at, right_at) = (*at, with_bit(at, depth));
        let left = self.child(below, &left_at, left, to_left)?;
        let right = self.child(below, &right_at, right, to_right)?;
        let (left, right) = match (left, right) {
            (Sub::Empty, other) | (other, Sub::Empty) => {
                let side = if matches!(right, Sub::Empty) { left_at } else { right_at };
                let other = self.unstore_leaf(below, &side, other)?;
                if !matches!(other, Sub::Stored(_)) {
                    self.put(depth, at, None);
                    return Ok(other);
                }
                (left, right)
            }
            both => both,
        };
        Ok(self.join(depth, at, left, right))
    }

    /// A child with its changes carried out; untouched it stays the hash it was.
    fn child(&mut self, depth: u16, at: &Hash, hash: Hash, changes: &[Change]) -> Result<Sub, StateError> {
        if changes.is_empty() {
            return Ok(if hash == Hash::ZERO { Sub::Empty } else { Sub::Stored(hash) });
        }
        let existing = if hash == Hash::ZERO { None } else { Some(self.must_load(depth, at, hash)?) };
        self.rebuild(depth, at, existing, changes)
    }

    /// A lone child that is a leaf rises: it is taken from where it is stored.
    fn unstore_leaf(&mut self, depth: u16, at: &Hash, sub: Sub) -> Result<Sub, StateError> {
        let Sub::Stored(hash) = sub else { return Ok(sub) };
        let key = storage_key(self.domain, depth, at);
        if self.changes.contains_key(&key) {
            // Written in this update, hence an inner node: leaves are not stored before they settle.
            return Ok(sub);
        }
        match self.must_load(depth, at, hash)? {
            Node::Leaf { path, value } => {
                self.put(depth, at, None);
                Ok(Sub::Leaf { path, value })
            }
            Node::Inner { .. } => Ok(sub),
        }
    }

    fn must_load(&self, depth: u16, at: &Hash, hash: Hash) -> Result<Node, StateError> {
        let corrupt = |reason: &str| StateError::Corrupt {
            key: hex::encode(storage_key(self.domain, depth, at)),
            reason: reason.into(),
        };
        let node = self.load(depth, at)?.ok_or_else(|| corrupt("a node of the state tree is missing"))?;
        if node.hash() == hash { Ok(node) } else { Err(corrupt("a node of the state tree has another hash")) }
    }

    /// A subtree of these leaves alone, where nothing was.
    fn build(&mut self, depth: u16, at: &Hash, leaves: &[(Hash, Hash)]) -> Sub {
        match leaves {
            [] => Sub::Empty,
            [(path, value)] => Sub::Leaf { path: *path, value: *value },
            _ => {
                let (to_left, to_right) = split(leaves, depth);
                let below = depth.saturating_add(1);
                let left = self.build(below, at, to_left);
                let right = self.build(below, &with_bit(at, depth), to_right);
                self.join(depth, at, left, right)
            }
        }
    }

    fn join(&mut self, depth: u16, at: &Hash, left: Sub, right: Sub) -> Sub {
        let below = depth.saturating_add(1);
        let left = self.settle(below, at, left);
        let right = self.settle(below, &with_bit(at, depth), right);
        let node = Node::Inner { left, right };
        self.put(depth, at, Some(&node));
        Sub::Stored(node.hash())
    }
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
