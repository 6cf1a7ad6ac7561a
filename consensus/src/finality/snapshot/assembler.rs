//! Putting a snapshot together from chunks in any order, from any peers.

use std::collections::BTreeMap;

use mesh30k_ledger::types::Hash;

use super::chunk::{self, Pair};
use super::{SnapshotError, VerifiedManifest};
use crate::finality::tip::FinalTip;

/// Checks each chunk before its pairs are handed out, and the whole at the end.
#[derive(Debug)]
pub struct Assembler {
    manifest: VerifiedManifest,
    /// First and last key of each chunk that came.
    spans: BTreeMap<usize, (Vec<u8>, Vec<u8>)>,
}

impl Assembler {
    /// Begins with nothing.
    pub fn new(manifest: VerifiedManifest) -> Self {
        Self { manifest, spans: BTreeMap::new() }
    }

    /// The manifest it works on.
    pub fn manifest(&self) -> &VerifiedManifest {
        &self.manifest
    }

    /// Checks a chunk; its pairs are for the caller to write. A refused chunk stays missing.
    pub fn on_chunk(&mut self, index: usize, bytes: &[u8]) -> Result<Vec<Pair>, SnapshotError> {
        let chunks = self.manifest.manifest().chunks.len();
        let info = self.manifest.manifest().chunks.get(index).filter(|_| !self.spans.contains_key(&index));
        let info = info.ok_or(SnapshotError::NotWanted { index, chunks })?;
        let pairs = chunk::open(index, info, bytes)?;
        if let (Some(first), Some(last)) = (pairs.first(), pairs.last()) {
            let before = self.spans.range(..index).next_back();
            let after = self.spans.range(index..).next();
            let follows = before.is_none_or(|(_, span)| span.1 < first.0);
            let precedes = after.is_none_or(|(_, span)| last.0 < span.0);
            if !(follows && precedes) {
                return Err(SnapshotError::ChunkContent { index, what: "its keys overlap those of another chunk" });
            }
            self.spans.insert(index, (first.0.clone(), last.0.clone()));
        }
        Ok(pairs)
    }

    /// The lowest chunks that are missing, at most `limit`.
    pub fn missing(&self, limit: usize) -> Vec<usize> {
        let all = 0..self.manifest.manifest().chunks.len();
        all.filter(|index| !self.spans.contains_key(index)).take(limit).collect()
    }

    /// Whether every chunk came.
    pub fn is_complete(&self) -> bool {
        self.spans.len() == self.manifest.manifest().chunks.len()
    }

    /// Ends the assembly: `recompute` computes the state root of everything written, from the leaves
    /// (the ledger crate knows how). Only after `Ok` may the state be put in use.
    pub fn finish<E: std::fmt::Display>(
        self,
        recompute: impl FnOnce() -> Result<Hash, E>,
    ) -> Result<FinalTip, SnapshotError> {
        if !self.is_complete() {
            let chunks = self.manifest.manifest().chunks.len();
            return Err(SnapshotError::Incomplete { missing: chunks - self.spans.len(), chunks });
        }
        let found = recompute().map_err(|error| SnapshotError::Recompute { reason: error.to_string() })?;
        let certified = self.manifest.manifest().commitment.state_root;
        if found != certified {
            return Err(SnapshotError::RootMismatch { found, certified });
        }
        Ok(self.manifest.tip())
    }
}
