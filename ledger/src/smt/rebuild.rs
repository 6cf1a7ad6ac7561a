//! The pages above the buckets of a state, made anew in one pass over these.

use super::bucket::{self, subtree};
use super::page::{BOTTOM, Page, Slot, TOP, left, right, storage_key};
use super::read::{corrupt, way};
use super::{DomainRoot, empty_roots};
use crate::state::{StateError, StateRead, keyspace, read};
use crate::types::Hash;

/// Buckets read at once.
const AT_ONCE: usize = 4_096;

/// Hands out every page of the trees, key and bytes, by what the buckets of this state say; [`super::is_page`] tells them apart. The
/// whole tree is checked on the way: its root must be the one that the state names.
///
/// # Errors
/// State that cannot be read, or buckets that lead to another root.
pub fn rebuild_pages(state: &dyn StateRead, mut each: impl FnMut(Vec<u8>, Vec<u8>)) -> Result<(), StateError> {
    let roots: Vec<DomainRoot> = read(state, keyspace::DOMAIN_ROOTS)?.unwrap_or_else(empty_roots);
    for DomainRoot { domain, root } in roots {
        let mut open = OpenPages { domain, pages: Vec::new(), each: &mut each };
        let (prefix, mut from) = ([keyspace::LEAVES, domain], Vec::new());
        loop {
            let entries = state.scan(&prefix, &from, AT_ONCE)?;
            let Some((last, _)) = entries.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in &entries {
                open.add(key, value).ok_or_else(|| corrupt(key, "it is no bucket of the state tree"))?;
            }
        }
        if open.finish() != root {
            let reason = "the leaves of the state tree do not lead to its root: the data directory is damaged or of an earlier \
                          version, start with an empty one";
            return Err(corrupt(&prefix, reason));
        }
    }
    Ok(())
}

/// The pages on the way to the last bucket, each below the one before it.
struct OpenPages<'a, F> {
    domain: u8,
    pages: Vec<(Hash, Page)>,
    each: &'a mut F,
}

impl<F: FnMut(Vec<u8>, Vec<u8>)> OpenPages<'_, F> {
    /// Buckets come in order of path.
    fn add(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (_, depth, path) = bucket::place_of(key)?;
        let leaves = bucket::decode(value)?;
        let page = usize::from(depth.saturating_sub(1) >> 2);
        while let Some(lowest) = self.pages.len().checked_sub(1) {
            let beside = self.pages.last().is_some_and(|(at, _)| *at != way(&path, depth_of(lowest)));
            if lowest <= page && !beside {
                break;
            }
            self.close();
        }
        while self.pages.len() <= page {
            self.pages.push((way(&path, depth_of(self.pages.len())), Page::new()));
        }
        let slot = Slot::Bucket { hash: subtree(&leaves, depth), leaves: u8::try_from(leaves.len()).ok()? };
        self.pages.last_mut()?.1.set(position(&path, depth_of(page), depth), slot);
        Some(())
    }

    /// Hands out the lowest page, and puts its hash into the one above; that hash.
    fn close(&mut self) -> Hash {
        let Some((at, mut page)) = self.pages.pop() else { return Hash::ZERO };
        let depth = depth_of(self.pages.len());
        for position in (TOP..BOTTOM).rev() {
            let below = [page.slot(left(position)), page.slot(right(position))];
            if page.slot(position) == Slot::Empty && below != [Slot::Empty; 2] {
                page.set(position, Slot::Inner(page.joined(position)));
            }
        }
        (self.each)(storage_key(self.domain, depth, &at), page.encode());
        if let Some((_, above)) = self.pages.last_mut() {
            above.set(position(&at, depth.saturating_sub(4), depth), page.slot(TOP));
        }
        page.slot(TOP).hash()
    }

    fn finish(mut self) -> Hash {
        let mut root = Hash::ZERO;
        while !self.pages.is_empty() {
            root = self.close();
        }
        root
    }
}

/// The depth of the top of the page with so many above it.
fn depth_of(above: usize) -> u16 {
    u16::try_from(above << 2).unwrap_or(u16::MAX)
}

/// The position at this depth of a path in the page whose top stands at `top`.
fn position(path: &Hash, top: u16, depth: u16) -> usize {
    (top..depth).fold(TOP, |at, depth| if super::node::turns_right(path, depth) { right(at) } else { left(at) })
}
