//! The coordinator's side of heartbeats: many batches, few entries.

use super::pending::Pending;
use super::{SignedHostBatch, VerifiedBatch};
use crate::time::MeshTimeUs;
use mesh30k_ledger::codec;
use mesh30k_ledger::types::NodeId;

/// At most four registry entries a second.
pub const ENTRY_GAP_US: i64 = 250_000;
/// Most batches of one entry.
pub const MAX_ENTRY_BATCHES: usize = 128;
/// Most bytes of the batches of one entry, so that news of it fits a gossip message of 64 KiB; a single batch always fits.
pub const MAX_ENTRY_BYTES: usize = 48 * 1024;

/// Collects batches between two entries; the newest batch of each host wins, its signature intact. What does not fit
/// waits for the next entry, the longest waiting first.
#[derive(Clone, Debug, Default)]
pub struct Coalescer {
    pending: Pending,
    next_entry: Option<MeshTimeUs>,
}

impl Coalescer {
    /// An empty coalescer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a batch; whether it is kept.
    pub fn push(&mut self, batch: VerifiedBatch) -> bool {
        self.pending.push(batch)
    }

    /// The batches of the next entry, if it is time for one and there is something to say.
    pub fn poll(&mut self, now: MeshTimeUs) -> Option<Vec<SignedHostBatch>> {
        if self.next_wakeup()? > now {
            return None;
        }
        self.next_entry = Some(now.plus_us(ENTRY_GAP_US));
        let (mut count, mut bytes) = (0_usize, 0_usize);
        let batches = self.pending.take_while(|batch| {
            bytes = bytes.saturating_add(codec::encode(batch).len());
            count = count.saturating_add(1);
            count == 1 || (count <= MAX_ENTRY_BATCHES && bytes <= MAX_ENTRY_BYTES)
        });
        Some(batches)
    }

    /// When [`Self::poll`] has the next entry; nothing while no batch waits.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<MeshTimeUs> {
        (self.pending.len() > 0).then(|| self.next_entry.unwrap_or(MeshTimeUs(i64::MIN)))
    }

    /// Batch `sequence` of `host` is committed: what waits and is not newer says nothing any more.
    pub fn on_committed(&mut self, host: NodeId, sequence: u64) {
        self.pending.settle(host, sequence);
    }

    /// Drops everything: this node is no longer the coordinator, and the hosts will tell the next one.
    pub fn clear(&mut self) {
        self.pending.clear();
    }

    /// How many batches wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.len() == 0
    }

    /// Batches dropped for want of room.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.pending.dropped
    }

    /// Batches with the sequence of another of their host and other content: proof of a lying host.
    #[must_use]
    pub const fn equivocations(&self) -> u64 {
        self.pending.equivocated
    }
}
