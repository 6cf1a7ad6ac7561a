//! The last few compiled modules.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use wasmi::{Engine, Module};

/// Compiled modules kept; a host runs few kinds of tasks at a time.
const MAX_MODULES: usize = 8;
/// Bytes of binary the kept modules may add up to (compiled code is several times that).
const MAX_SOURCE_BYTES: usize = 2 << 20;

/// A validated, compiled module with an engine of its own: an engine never frees code, so one for all would only grow.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) engine: Engine,
    pub(super) module: Module,
    pub(super) source_bytes: usize,
}

/// Least recently used goes first.
#[derive(Debug, Default)]
pub(super) struct ModuleCache {
    /// Newest last.
    entries: Mutex<VecDeque<([u8; 32], Arc<Compiled>)>>,
}

impl ModuleCache {
    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<Arc<Compiled>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let position = entries.iter().position(|(key, _)| key == hash)?;
        let entry = entries.remove(position)?;
        let compiled = Arc::clone(&entry.1);
        entries.push_back(entry);
        Some(compiled)
    }

    pub(super) fn insert(&self, hash: [u8; 32], compiled: Arc<Compiled>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(key, _)| *key != hash);
        entries.push_back((hash, compiled));
        let mut bytes: usize = entries.iter().map(|(_, compiled)| compiled.source_bytes).sum();
        while entries.len() > MAX_MODULES || (bytes > MAX_SOURCE_BYTES && entries.len() > 1) {
            let Some((_, oldest)) = entries.pop_front() else { break };
            bytes = bytes.saturating_sub(oldest.source_bytes);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.lock().unwrap().len()
    }
}
