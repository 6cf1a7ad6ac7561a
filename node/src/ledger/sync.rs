//! Serving blocks and certified snapshots to others, and fetching a snapshot to begin with.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh30k_chain::{Snapshot, SnapshotFailed, SuccessionError};
use mesh30k_consensus::finality::FinalTip;
use mesh30k_consensus::finality::snapshot::{Assembler, Manifest, SnapshotError};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::finality::ValidatorSet;
use mesh30k_ledger::query;
use mesh30k_ledger::types::{Epoch, Height, Round};
use mesh30k_p2p::{Control, Inbound, Inbox, PeerId};

use super::driver::votes_answer;
use super::handle::LedgerHandle;
use super::succession;
use super::wire::{ANSWER_BYTES_MAX, BLOCKS_PER_ANSWER, SyncAnswer, SyncRequest};
use crate::lanes;

/// Bytes of a request, at most.
const REQUEST_BYTES_MAX: usize = 1_024;
/// How long one part of a snapshot may take.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(10);
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
    served: Mutex<Option<Arc<Served>>>,
}

/// A snapshot that can't be made or taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    #[error("the peer has no snapshot")]
    None,
    #[error("the peer did not answer: {0}")]
    Peer(String),
    #[error("the snapshot was refused")]
    Refused(#[from] SnapshotError),
    #[error("the peer's hand-overs of the chain were refused")]
    Succession(#[from] SuccessionError),
    #[error("the ledger's storage failed: {0}")]
    Storage(String),
}

impl From<SnapshotFailed> for SyncError {
    fn from(failed: SnapshotFailed) -> Self {
        match failed {
            SnapshotFailed::Refused(error) => Self::Refused(error),
            SnapshotFailed::State(error) => Self::Storage(error.to_string()),
            SnapshotFailed::Storage(error) => Self::Storage(error.to_string()),
        }
    }
}

impl SyncServer {
    pub(crate) fn new(ledger: LedgerHandle, snapshot_after_blocks: u64) -> Arc<Self> {
        let age_max = snapshot_after_blocks.div_euclid(SNAPSHOT_AGE_DIVISOR);
        Arc::new(Self { ledger, age_max, served: Mutex::new(None) })
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
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner).clone();
        served
            .filter(|served| served.height == height)
            .and_then(|served| served.chunks.get(index as usize).cloned())
            .map_or(SyncAnswer::Nothing, SyncAnswer::Chunk)
    }

    /// The snapshot that is served now, made anew when it has grown old.
    fn snapshot(&self) -> Result<Option<Arc<Served>>, SyncError> {
        let tip = self.ledger.chain_status().tip;
        let place =
            self.stored(tip.height)?.map(|stored| stored.block.header).map(|header| (header.epoch, header.round));
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        // One of validators before these would be refused: who takes it is shown who certifies now.
        let is_good = |current: &&Arc<Served>| {
            current.height.0 + self.age_max > tip.height.0 && place.is_none_or(|place| place == current.place)
        };
        if let Some(current) = served.as_ref().filter(is_good) {
            return Ok(Some(Arc::clone(current)));
        }
        let made = self.make()?.map(Arc::new);
        served.clone_from(&made);
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

async fn ask(control: &Control, peer: PeerId, request: &SyncRequest) -> Result<SyncAnswer, SyncError> {
    let body = Bytes::from(encode(request));
    let answer = control
        .request(peer, lanes::SYNC, body, CHUNK_TIMEOUT)
        .await
        .map_err(|error| SyncError::Peer(error.to_string()))?;
    decode(&answer, ANSWER_BYTES_MAX).map_err(|error| SyncError::Peer(error.to_string()))
}

/// How far `peer` is.
pub(crate) async fn tip_of(control: &Control, peer: PeerId) -> Result<Height, SyncError> {
    match ask(control, peer, &SyncRequest::Tip).await? {
        SyncAnswer::Tip { height, .. } => Ok(height),
        _ => Err(SyncError::Peer("it answered with something else than its tip".to_owned())),
    }
}

/// The validators to believe: those that `peer` proves to have been handed the chain from the genesis on, or the ones known here.
async fn trusted(ledger: &LedgerHandle, control: &Control, peer: PeerId) -> Result<ValidatorSet, SyncError> {
    let storage = |error: String| SyncError::Storage(error);
    let shown = succession::ask(control, peer).await.filter(|shown| !shown.handovers.is_empty());
    match shown.map(|shown| shown.verify(ledger.genesis()).map(|validators| (validators, shown.handovers))) {
        Some(Ok((validators, handovers))) => {
            // Kept before the state they lead to: from then on, proofs made here need them.
            ledger.store().keep_handovers(&handovers).map_err(|error| storage(error.to_string()))?;
            Ok(validators)
        }
        Some(Err(error)) => Err(SyncError::Succession(error)),
        None => ledger.read(|state| query::validator_set(state)).map_err(|error| storage(error.to_string())),
    }
}

/// Takes a certified snapshot from `peer` and writes it: only what its certificate vouches for, or nothing.
pub(crate) async fn take_snapshot(
    ledger: &LedgerHandle,
    control: &Control,
    peer: PeerId,
) -> Result<FinalTip, SyncError> {
    let SyncAnswer::Manifest(bytes) = ask(control, peer, &SyncRequest::Manifest).await? else {
        return Err(SyncError::None);
    };
    let trusted = trusted(ledger, control, peer).await?;
    let own = ledger.chain_status().tip.height;
    let manifest = Manifest::decode(&bytes)?.verify(&ledger.context(), &trusted, own)?;
    let height = manifest.manifest().height();
    let mut assembler = Assembler::new(manifest);
    let mut pairs = Vec::new();
    while let Some(index) = assembler.missing(1).first().copied() {
        let wanted = u32::try_from(index).unwrap_or(u32::MAX);
        let SyncAnswer::Chunk(bytes) = ask(control, peer, &SyncRequest::Chunk { height, index: wanted }).await? else {
            return Err(SyncError::None);
        };
        pairs.extend(assembler.on_chunk(index, &bytes)?);
    }
    Ok(ledger.store().take_snapshot(assembler, pairs)?)
}
