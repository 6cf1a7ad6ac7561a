//! Certified snapshots of the state on disk: made for others, taken from them.

use mesh30k_consensus::finality::FinalTip;
use mesh30k_consensus::finality::snapshot::{Assembler, Chunker, Manifest, Pair, SnapshotError};
use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::finality::Commitment;
use mesh30k_ledger::query;
use mesh30k_ledger::restore::{restore, travels};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::{StateError, StateRead};

use crate::store::LedgerStore;

/// Entries of state looked at a time.
const STATE_PAGE: usize = 2_048;

/// State after one final block, ready to be sent.
#[derive(Debug)]
pub struct Snapshot {
    /// What it consists of and why to believe it.
    pub manifest: Manifest,
    /// The bytes of its chunks, in the manifest's order.
    pub chunks: Vec<Vec<u8>>,
}

/// A snapshot that can't be made or taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFailed {
    /// By the rules of snapshots.
    #[error("the snapshot was refused")]
    Refused(#[from] SnapshotError),
    /// State can't be read.
    #[error("state can't be read for a snapshot")]
    State(#[from] StateError),
    /// The database can't be read or written.
    #[error("the ledger's storage failed")]
    Storage(#[from] StoreError),
}

impl LedgerStore {
    /// A snapshot of the state after the last final block; none of the genesis. Tree nodes stay here: whoever takes the snapshot
    /// makes them anew.
    ///
    /// # Errors
    /// Storage that fails, or more state than a snapshot may hold.
    pub fn snapshot(&self, context: ChainContext) -> Result<Option<Snapshot>, SnapshotFailed> {
        // Commits wait meanwhile, so that all entries are of one height.
        let _reading = self.reading();
        let tip = query::tip(self)?;
        let Some(stored) = self.block(tip.height)? else { return Ok(None) };
        let (mut chunker, mut chunks, mut from) = (Chunker::new(), Vec::new(), Vec::new());
        loop {
            let page = self.scan(&[], &from, STATE_PAGE)?;
            let Some((last, _)) = page.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in page.into_iter().filter(|(key, _)| travels(key)) {
                chunks.extend(chunker.push(key, value)?.map(|chunk| chunk.bytes));
            }
        }
        let (rest, infos) = chunker.finish()?;
        chunks.extend(rest.map(|chunk| chunk.bytes));
        // The state after the last block of an epoch names the next set, which has not certified anything yet.
        let certifiers = query::validators_of(self, stored.block.header.epoch)?.unwrap_or_default();
        let manifest = Manifest {
            chain: context.chain,
            genesis: context.genesis,
            header: stored.block.header,
            certificate: stored.certificate,
            commitment: stored.commitment,
            validators: certifiers,
            chunks: infos,
        };
        Ok(Some(Snapshot { manifest, chunks }))
    }

    /// Puts the state of a complete snapshot in the place of what is here: only what its certificate vouches for, or nothing.
    ///
    /// # Errors
    /// Another state than the certified one, or storage that fails.
    pub fn take_snapshot(&self, assembler: Assembler, pairs: Vec<Pair>) -> Result<FinalTip, SnapshotFailed> {
        let manifest = assembler.manifest().manifest();
        let (header, commitment) = (manifest.header, manifest.commitment);
        let restored = restore(pairs, &header)?;
        let roots = Commitment { state_root: restored.state_root, blocks_root: restored.blocks_root, ..commitment };
        let tip = assembler.finish(|| {
            if roots == commitment {
                Ok(restored.state_root)
            } else {
                Err("the state or the range of blocks is another one")
            }
        })?;
        self.replace_state(&restored.changes, Some(&tip))?;
        Ok(tip)
    }
}
