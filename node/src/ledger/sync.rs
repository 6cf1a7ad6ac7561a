//! Serving blocks and certified snapshots to others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mesh30k_chain::{Snapshot, SnapshotFailed};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::types::{Epoch, Height, Round};
use mesh30k_p2p::{Inbound, Inbox};

use super::driver::votes_answer;
use super::handle::LedgerHandle;
use super::wire::{ANSWER_BYTES_MAX, BLOCKS_PER_ANSWER, SyncAnswer, SyncRequest};

/// Bytes of a request, at most.
const REQUEST_BYTES_MAX: usize = 1_024;
/// A snapshot is served until it is this part as old as one that is behind enough to ask for it.
const SNAPSHOT_AGE_DIVISOR: u64 = 4;

struct Served {
    height: Height,
    /// Whose validators certified it.
    place: (Epoch, Round),
    manifest: Vec<u8>,
    chunks: Vec<Vec<u8>>,
}

/// Answers the sync lane.
pub(crate) struct SyncServer {
    ledger: LedgerHandle,
    /// Age in blocks at which a snapshot is made anew.
    age_max: u64,
    shelf: Mutex<Shelf>,
}

/// Something asked for that can't be read here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    #[error("a snapshot could not be made")]
    Snapshot(#[from] SnapshotFailed),
    #[error("the ledger's storage failed: {0}")]
    Storage(String),
}

/// Snapshots to be had here: the last one, and the one before, for those who are still at it.
#[derive(Default)]
struct Shelf {
    last: Option<Arc<Served>>,
    before: Option<Arc<Served>>,
}

impl Shelf {
    fn put(&mut self, made: Arc<Served>) {
        self.before = self.last.replace(made);
    }

    fn at(&self, height: Height) -> Option<&Arc<Served>> {
        [&self.last, &self.before].into_iter().flatten().find(|served| served.height == height)
    }
}

impl SyncServer {
    pub(crate) fn new(ledger: LedgerHandle, snapshot_after_blocks: u64) -> Arc<Self> {
        let age_max = snapshot_after_blocks.div_euclid(SNAPSHOT_AGE_DIVISOR);
        Arc::new(Self { ledger, age_max, shelf: Mutex::default() })
    }

    /// Answers until the network closes.
    pub(crate) async fn run(self: Arc<Self>, mut inbox: Inbox) {
        while let Some(inbound) = inbox.recv().await {
            let server = Arc::clone(&self);
            // Reading from disk is quick but not instant: keep it off the tasks that carry votes.
            tokio::task::spawn_blocking(move || server.answer(inbound));
        }
    }

    fn answer(&self, inbound: Inbound) {
        let Some(reply) = inbound.reply else { return };
        let Ok(request) = decode::<SyncRequest>(&inbound.body, REQUEST_BYTES_MAX) else {
            reply.refuse("this is no sync request");
            return;
        };
        match self.answer_to(&request) {
            Ok(answer) => reply.send(Bytes::from(encode(&answer))),
            Err(error) => {
                tracing::warn!(%error, ?request, "a sync request could not be answered");
                reply.refuse("storage failed here");
            }
        }
    }

    fn answer_to(&self, request: &SyncRequest) -> Result<SyncAnswer, SyncError> {
        Ok(match request {
            SyncRequest::Tip => {
                let tip = self.ledger.chain_status().tip;
                SyncAnswer::Tip { height: tip.height, block: tip.block }
            }
            SyncRequest::Blocks { from, to } => SyncAnswer::Blocks(self.blocks(*from, *to)?),
            SyncRequest::Votes { height } => {
                let known = self.ledger.validator().and_then(|side| votes_answer(&side.shared, *height));
                match known {
                    Some(answer) => answer,
                    None => self
                        .stored(*height)?
                        .map_or(SyncAnswer::Nothing, |stored| SyncAnswer::Certificate(stored.certificate)),
                }
            }
            SyncRequest::Manifest => {
                self.snapshot()?.map_or(SyncAnswer::Nothing, |served| SyncAnswer::Manifest(served.manifest.clone()))
            }
            SyncRequest::Chunk { height, index } => self.chunk(*height, *index),
            SyncRequest::Succession => {
                let known = self.ledger.succession().map_err(|error| SyncError::Storage(error.to_string()))?;
                known.map_or(SyncAnswer::Nothing, |succession| SyncAnswer::Succession(Box::new(succession)))
            }
        })
    }

    fn stored(&self, height: Height) -> Result<Option<mesh30k_chain::StoredBlock>, SyncError> {
        self.ledger.store().block(height).map_err(|error| SyncError::Storage(error.to_string()))
    }

    fn blocks(
        &self,
        from: Height,
        to: Height,
    ) -> Result<Vec<(mesh30k_ledger::block::Block, mesh30k_ledger::finality::Certificate)>, SyncError> {
        let last = to.0.min(from.0.saturating_add(BLOCKS_PER_ANSWER - 1));
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        for height in from.0..=last {
            let Some(stored) = self.stored(Height(height))? else { break };
            bytes += encode(&stored.block).len();
            if bytes > ANSWER_BYTES_MAX / 2 && !blocks.is_empty() {
                break;
            }
            blocks.push((stored.block, stored.certificate));
        }
        Ok(blocks)
    }

    fn chunk(&self, height: Height, index: u32) -> SyncAnswer {
        let served = self.shelf().at(height).cloned();
        let Some(bytes) = served.and_then(|served| served.chunks.get(index as usize).cloned()) else {
            return SyncAnswer::Nothing;
        };
        self.ledger.metrics().sync_chunks_served.inc();
        SyncAnswer::Chunk(bytes)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshot that is served now, made anew when it has grown old.
    fn snapshot(&self) -> Result<Option<Arc<Served>>, SyncError> {
        let tip = self.ledger.chain_status().tip;
        let place =
            self.stored(tip.height)?.map(|stored| stored.block.header).map(|header| (header.epoch, header.round));
        let mut shelf = self.shelf();
        // One of validators before these would be refused: who takes it is shown who certifies now.
        let is_good = |current: &&Arc<Served>| {
            current.height.0 + self.age_max > tip.height.0 && place.is_none_or(|place| place == current.place)
        };
        if let Some(current) = shelf.last.as_ref().filter(is_good) {
            return Ok(Some(Arc::clone(current)));
        }
        let made = self.make()?.map(Arc::new);
        if let Some(made) = &made {
            shelf.put(Arc::clone(made));
        }
        Ok(made)
    }

    fn make(&self) -> Result<Option<Served>, SyncError> {
        let snapshot = self.ledger.store().snapshot(self.ledger.context())?;
        Ok(snapshot.map(|Snapshot { manifest, chunks }| Served {
            height: manifest.height(),
            place: (manifest.header.epoch, manifest.header.round),
            manifest: manifest.encode(),
            chunks,
        }))
    }
}
