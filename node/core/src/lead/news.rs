//! What a sector's voters tell everybody else.

use super::{Fencing, Lease, SectorState};
use crate::beat::CommittedBatch;
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec::{self, CodecError};
use mesh30k_ledger::types::SectorId;

/// Most bytes of news; news from the beginning of a full sector fit.
pub const MAX_SECTOR_NEWS_BYTES: usize = 64 << 20;

/// Everything that changed in a sector between two positions: by gossip from the last to the next, by stream from
/// nothing ([`Fencing::NONE`]) or from wherever the reader is. The batches bear their hosts' signatures.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SectorNews {
    /// The sector.
    pub sector: SectorId,
    /// What the reader must know already.
    pub from: Fencing,
    /// What it knows then.
    pub to: Fencing,
    /// Batches committed after `from` that still say something, in the order of their positions.
    pub batches: Vec<CommittedBatch>,
    /// Leases granted after `from` and not replaced since.
    pub leases: Vec<Lease>,
}

impl SectorNews {
    /// What changed in `state` after `from`.
    #[must_use]
    pub fn of(state: &SectorState, from: Fencing) -> Self {
        Self {
            sector: state.sector(),
            from,
            to: state.applied(),
            batches: state.batches().since(from).iter().map(|batch| (**batch).clone()).collect(),
            leases: state.leases().iter().filter(|lease| lease.fencing > from).copied().collect(),
        }
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.leases.is_empty()
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads news.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are not canonical or too many.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_SECTOR_NEWS_BYTES)
    }
}
