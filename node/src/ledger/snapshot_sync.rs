//! Taking a certified snapshot from several peers at once: the loop around `Offers` and `ChunkPlan`.

use std::time::Duration;

use bytes::Bytes;
use mesh30k_chain::{Ask, ChunkOutcome, ChunkPlan, LATE_MS, NextStep, Offer, Offers, SnapshotFailed, SuccessionError};
use mesh30k_consensus::finality::FinalTip;
use mesh30k_consensus::finality::snapshot::{Assembler, Manifest, Pair, SnapshotError};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::query;
use mesh30k_ledger::types::{Hash, Height, TimeMs};
use mesh30k_p2p::{Control, PeerId};
use tokio::task::JoinSet;

use super::handle::LedgerHandle;
use super::peers::Peers;
use super::succession;
use super::wire::{ANSWER_BYTES_MAX, SyncAnswer, SyncRequest};
use crate::clock;
use crate::lanes;

/// How long one answer may take. A chunk is asked for elsewhere long before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The loop looks around at least this often: peers come and go.
const TICK: Duration = Duration::from_millis(100);

/// A snapshot that can't be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    #[error("the peer has no snapshot")]
    None,
    #[error("the peer did not answer: {0}")]
    Peer(String),
    #[error("{missing} of its {chunks} chunks are missing, and no peer that has it is left")]
    NoSourceLeft { missing: usize, chunks: usize },
    #[error("the snapshot was refused")]
    Refused(#[from] SnapshotError),
    #[error("the peer's hand-overs of the chain were refused")]
    Succession(#[from] SuccessionError),
    #[error("the ledger's storage failed: {0}")]
    Storage(String),
}

impl TakeError {
    /// Whether the peer's word was found wrong, so that it need not be heard again. One that answered while the right to certify passed on
    /// has contradicted itself in good faith.
    const fn is_lie(&self) -> bool {
        match self {
            Self::Refused(error) => {
                !matches!(error, SnapshotError::UnknownValidators { .. } | SnapshotError::NotAbove { .. })
            }
            Self::Succession(error) => matches!(error, SuccessionError::Authority(_)),
            _ => false,
        }
    }
}

impl From<SnapshotFailed> for TakeError {
    fn from(failed: SnapshotFailed) -> Self {
        match failed {
            SnapshotFailed::Refused(error) => Self::Refused(error),
            SnapshotFailed::State(error) => Self::Storage(error.to_string()),
            SnapshotFailed::Storage(error) => Self::Storage(error.to_string()),
        }
    }
}

/// What came in.
enum Heard {
    Near(PeerId),
    Offer(PeerId, Result<Box<Offer>, TakeError>),
    Chunk { content: Hash, ask: Ask<PeerId>, answer: Result<Vec<u8>, ChunkOutcome> },
}

/// The snapshot that is being taken.
struct Download {
    content: Hash,
    height: Height,
    plan: ChunkPlan<PeerId>,
    assembler: Assembler,
    pairs: Vec<Pair>,
}

/// Finds a snapshot and takes it.
pub(super) struct SnapshotSync<'a> {
    ledger: &'a LedgerHandle,
    control: &'a Control,
    peers: &'a Peers,
    /// Whoever has not come so far is hardly ahead of this node.
    far: Height,
    offers: Offers<PeerId>,
    work: JoinSet<Heard>,
}

fn now() -> TimeMs {
    TimeMs(clock::monotonic_us().div_euclid(1_000))
}

impl<'a> SnapshotSync<'a> {
    /// `after_blocks`: from how many blocks behind others on a snapshot is taken.
    pub(super) fn new(ledger: &'a LedgerHandle, control: &'a Control, peers: &'a Peers, after_blocks: u64) -> Self {
        let far = Height(ledger.chain_status().tip.height.0.saturating_add(after_blocks));
        Self { ledger, control, peers, far, offers: Offers::new(after_blocks), work: JoinSet::new() }
    }

    /// The final block that a snapshot brought; nothing when this node is not far behind, or nobody has one for it.
    pub(super) async fn run(mut self) -> Option<FinalTip> {
        loop {
            self.ask_for_offers();
            match self.offers.next_step(now()) {
                NextStep::Near => return None,
                NextStep::Nobody => {
                    tracing::warn!("no peer has a snapshot for this node: it follows block by block");
                    return None;
                }
                NextStep::Wait => {
                    if let Some(heard) = self.next(TICK).await {
                        self.on_heard(heard);
                    }
                }
                NextStep::Take(content) => match self.take(content).await {
                    Ok(tip) => return Some(tip),
                    Err(error) => {
                        tracing::warn!(%error, %content, "this snapshot was not taken");
                        self.offers.refuse(content);
                    }
                },
            }
        }
    }

    /// Takes the snapshot with this content and writes it: only what its certificate vouches for, or nothing.
    async fn take(&mut self, content: Hash) -> Result<FinalTip, TakeError> {
        let Offer { manifest, handovers } = self.offers.offer(content).cloned().ok_or(TakeError::None)?;
        let (height, chunks) = (manifest.manifest().height(), manifest.manifest().chunks.len());
        let sources = self.offers.sources(content).len();
        tracing::info!(%height, chunks, sources, "taking a certified snapshot");
        let (plan, assembler) = (ChunkPlan::new(chunks), Assembler::new(manifest));
        let mut download = Download { content, height, plan, assembler, pairs: Vec::new() };
        while !download.plan.is_complete() {
            self.ask_for_offers();
            self.ask_for_chunks(&mut download);
            if download.plan.is_stuck() && !self.offers.may_hear_more() {
                return Err(TakeError::NoSourceLeft { missing: download.plan.missing(), chunks });
            }
            let until = download.plan.next_wakeup().map_or(LATE_MS, |at| at.since_ms(now()));
            match self.next(TICK.min(Duration::from_millis(until.max(1)))).await {
                Some(Heard::Chunk { content, ask, answer }) if content == download.content => {
                    self.on_chunk(&mut download, ask, answer)?;
                }
                Some(heard) => self.on_heard(heard),
                None => {}
            }
        }
        let store = self.ledger.store().clone();
        let Download { assembler, pairs, .. } = download;
        // Rebuilds the whole state: seconds, where it is large.
        let written = tokio::task::spawn_blocking(move || {
            // Kept before the state they lead to: from then on, proofs made here need them.
            store.keep_handovers(&handovers)?;
            store.take_snapshot(assembler, pairs)
        });
        Ok(written.await.map_err(|error| TakeError::Storage(error.to_string()))??)
    }

    fn ask_for_offers(&mut self) {
        let connected = self.peers.for_snapshots(|peer| self.offers.is_spent(peer));
        for peer in self.offers.to_ask(now(), connected) {
            let (ledger, control, far) = (self.ledger.clone(), self.control.clone(), self.far);
            self.work.spawn(async move {
                match offer_of(&ledger, &control, peer, far).await {
                    Ok(Some(offer)) => Heard::Offer(peer, Ok(Box::new(offer))),
                    Ok(None) => Heard::Near(peer),
                    Err(error) => Heard::Offer(peer, Err(error)),
                }
            });
        }
    }

    fn ask_for_chunks(&mut self, download: &mut Download) {
        for peer in self.offers.sources(download.content) {
            download.plan.add_source(peer);
        }
        let due = download.plan.due(now());
        self.ledger.metrics().count_late_chunks(due.late);
        for ask in due.asks {
            let (control, content, height) = (self.control.clone(), download.content, download.height);
            self.work.spawn(async move {
                let answer = chunk_of(&control, ask, height).await;
                Heard::Chunk { content, ask, answer }
            });
        }
    }

    /// What came in first, if anything came in time.
    async fn next(&mut self, at_most: Duration) -> Option<Heard> {
        if self.work.is_empty() {
            tokio::time::sleep(at_most).await;
            return None;
        }
        // One that panicked is a defect that has been logged; what it was to bring is asked for again when it is late.
        tokio::time::timeout(at_most, self.work.join_next()).await.ok().flatten()?.ok()
    }

    fn on_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Near(peer) => self.offers.on_near(now(), peer),
            Heard::Offer(peer, Ok(offer)) => self.offers.on_offer(now(), peer, *offer),
            Heard::Offer(peer, Err(error)) => {
                let node = self.peers.node_of(&peer);
                tracing::warn!(%error, ?node, %peer, "this peer offers no snapshot");
                if error.is_lie() {
                    self.offers.exclude(peer);
                } else {
                    self.offers.on_failed(now(), peer);
                }
            }
            // Of a snapshot that is not taken any more.
            Heard::Chunk { .. } => {}
        }
    }

    /// # Errors
    /// A chunk that is the manifest's, but no chunk of any state: whoever offers this manifest made it up.
    fn on_chunk(
        &mut self,
        download: &mut Download,
        ask: Ask<PeerId>,
        answer: Result<Vec<u8>, ChunkOutcome>,
    ) -> Result<(), TakeError> {
        let Ask { source, chunk } = ask;
        let outcome = match answer {
            Ok(_) if !download.plan.is_missing(chunk) => ChunkOutcome::Repeated,
            Ok(bytes) => match download.assembler.on_chunk(chunk, &bytes) {
                Ok(pairs) => {
                    download.pairs.extend(pairs);
                    ChunkOutcome::Kept
                }
                Err(SnapshotError::NotWanted { .. }) => ChunkOutcome::Repeated,
                Err(error @ SnapshotError::ChunkContent { .. }) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, node = ?self.peers.node_of(&source), peer = %source, "a wrong chunk");
                    ChunkOutcome::Wrong
                }
            },
            Err(outcome) => outcome,
        };
        self.ledger.metrics().count_chunk(outcome);
        let was_source = download.plan.is_source(&source);
        download.plan.on_outcome(source, chunk, outcome);
        if outcome == ChunkOutcome::Wrong {
            self.offers.exclude(source);
        } else if was_source && !download.plan.is_source(&source) {
            self.offers.on_failed(now(), source);
        }
        Ok(())
    }
}

async fn ask(control: &Control, peer: PeerId, request: &SyncRequest) -> Result<SyncAnswer, TakeError> {
    let body = Bytes::from(encode(request));
    let answer = control
        .request(peer, lanes::SYNC, body, ANSWER_TIMEOUT)
        .await
        .map_err(|error| TakeError::Peer(error.to_string()))?;
    decode(&answer, ANSWER_BYTES_MAX).map_err(|error| TakeError::Peer(error.to_string()))
}

/// The snapshot that `peer` offers, checked; nothing when it has not come `far`.
async fn offer_of(
    ledger: &LedgerHandle,
    control: &Control,
    peer: PeerId,
    far: Height,
) -> Result<Option<Offer>, TakeError> {
    match ask(control, peer, &SyncRequest::Tip).await? {
        SyncAnswer::Tip { height, .. } if height < far => return Ok(None),
        SyncAnswer::Tip { .. } => {}
        _ => return Err(TakeError::Peer("it answered with something else than its tip".to_owned())),
    }
    let SyncAnswer::Manifest(bytes) = ask(control, peer, &SyncRequest::Manifest).await? else {
        return Err(TakeError::None);
    };
    // The validators to believe: those that it proves to have been handed the chain from the genesis on, or the ones known here.
    let shown = succession::ask(control, peer).await.filter(|shown| !shown.handovers.is_empty());
    let (trusted, handovers) = match shown {
        Some(shown) => (shown.verify(ledger.genesis())?, shown.handovers),
        None => {
            let known = ledger.read(|state| query::validator_set(state));
            (known.map_err(|error| TakeError::Storage(error.to_string()))?, Vec::new())
        }
    };
    let own = ledger.chain_status().tip.height;
    let manifest = Manifest::decode(&bytes)?.verify(&ledger.context(), &trusted, own)?;
    Ok(Some(Offer { manifest, handovers }))
}

/// The bytes of a chunk, not checked; else what came of asking.
async fn chunk_of(control: &Control, ask: Ask<PeerId>, height: Height) -> Result<Vec<u8>, ChunkOutcome> {
    let index = u32::try_from(ask.chunk).unwrap_or(u32::MAX);
    let body = Bytes::from(encode(&SyncRequest::Chunk { height, index }));
    let answer = control.request(ask.source, lanes::SYNC, body, ANSWER_TIMEOUT).await;
    match decode(&answer.map_err(|_| ChunkOutcome::Failed)?, ANSWER_BYTES_MAX) {
        Ok(SyncAnswer::Chunk(bytes)) => Ok(bytes),
        Ok(SyncAnswer::Nothing) => Err(ChunkOutcome::Absent),
        Ok(_) | Err(_) => Err(ChunkOutcome::Wrong),
    }
}
