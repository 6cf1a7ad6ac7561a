//! Blocks that are not final yet, on top of final state.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::{ChangeSet, Entry, StateError, StateRead};

/// A stack of change sets over a base; the base is never written.
#[derive(Debug, Clone)]
pub struct Overlay<S> {
    base: S,
    layers: VecDeque<Arc<ChangeSet>>,
}

impl<S: StateRead> Overlay<S> {
    /// No layers yet.
    #[must_use]
    pub const fn new(base: S) -> Self {
        Self { base, layers: VecDeque::new() }
    }

    /// Puts a block's changes on top.
    pub fn push(&mut self, changes: Arc<ChangeSet>) {
        self.layers.push_back(changes);
    }

    /// Takes the lowest layer off, once it is final and written to the base.
    pub fn pop_lowest(&mut self) -> Option<Arc<ChangeSet>> {
        self.layers.pop_front()
    }

    /// Takes the uppermost layer off.
    pub fn pop(&mut self) -> Option<Arc<ChangeSet>> {
        self.layers.pop_back()
    }

    /// Layers there are.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// What lies below.
    pub const fn base(&self) -> &S {
        &self.base
    }
}

impl<S: StateRead> StateRead for Overlay<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        for layer in self.layers.iter().rev() {
            if let Some(value) = layer.get(key) {
                return Ok(value.clone());
            }
        }
        self.base.get(key)
    }

    fn view(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<(), StateError> {
        for layer in self.layers.iter().rev() {
            if let Some(value) = layer.get(key) {
                if let Some(value) = value {
                    see(value);
                }
                return Ok(());
            }
        }
        self.base.view(key, see)
    }

    fn view_many(&self, keys: &[&[u8]], see: &mut dyn FnMut(usize, &[u8])) -> Result<(), StateError> {
        let (mut places, mut below) = (Vec::new(), Vec::new());
        for (place, key) in keys.iter().enumerate() {
            match self.layers.iter().rev().find_map(|layer| layer.get(*key)) {
                Some(Some(value)) => see(place, value),
                Some(None) => {}
                None => {
                    places.push(place);
                    below.push(*key);
                }
            }
        }
        self.base.view_many(&below, &mut |at, value| {
            if let Some(place) = places.get(at) {
                see(*place, value);
            }
        })
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        let layers: Vec<&ChangeSet> = self.layers.iter().map(AsRef::as_ref).collect();
        merged_scan(&self.base, &layers, prefix, from, limit)
    }
}

/// Scans a base under change sets, the last of which is uppermost.
pub(crate) fn merged_scan(
    base: &dyn StateRead,
    layers: &[&ChangeSet],
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Result<Vec<Entry>, StateError> {
    let start = prefix.max(from);
    let mut changed: BTreeMap<&[u8], Option<&Vec<u8>>> = BTreeMap::new();
    for layer in layers {
        let range = layer.range::<[u8], _>((Bound::Included(start), Bound::Unbounded));
        changed.extend(
            range.take_while(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.as_slice(), value.as_ref())),
        );
    }
    // At most every change hides one entry of the base.
    let wanted = limit.saturating_add(changed.len());
    let below = base.scan(prefix, from, wanted)?;
    let mut merged: BTreeMap<Vec<u8>, Vec<u8>> =
        below.into_iter().filter(|(key, _)| !changed.contains_key(key.as_slice())).collect();
    merged.extend(changed.into_iter().filter_map(|(key, value)| Some((key.to_vec(), value?.clone()))));
    Ok(merged.into_iter().take(limit).collect())
}
