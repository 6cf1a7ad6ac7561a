//! What a sector group orders, and what comes of it.

use super::{Fencing, Lease, LeaseError, LeaseGrant};
use crate::beat::{CommittedBatch, SignedHostBatch, StoreError};
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec::{self, CodecError};
use mesh30k_ledger::types::NodeId;
use std::sync::Arc;

/// Most bytes of an entry.
pub const MAX_SECTOR_ENTRY_BYTES: usize = 1 << 20;

/// An entry of a sector group. Kinds are only ever appended.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SectorEntry {
    /// The newest batch of some hosts.
    HostBatches(Vec<SignedHostBatch>),
    /// Leases of cluster leads.
    Leases(Vec<LeaseGrant>),
}

/// What applying an entry changed, or why a part of it changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectorEffect {
    /// A batch is part of the registry now.
    Batch(Arc<CommittedBatch>),
    /// A batch changed nothing; `needs_full` says that its host must send everything.
    BatchRefused {
        /// Its host.
        host: NodeId,
        /// Its sequence.
        sequence: u64,
        /// Whether the host must send a full batch.
        needs_full: bool,
        /// The newest sequence of that host.
        newest: u64,
    },
    /// A lease is in force.
    Lease(Lease),
    /// A grant changed nothing.
    LeaseRefused(LeaseError),
    /// The entry is none that this build reads; on every voter alike it changes nothing.
    Unreadable,
}

/// The answer to whoever proposed an entry: how much of it took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SectorOutcome {
    /// Where the entry is.
    pub position: Fencing,
    /// Parts that took effect.
    pub applied: u32,
    /// Parts that changed nothing.
    pub refused: u32,
}

impl SectorEntry {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are not canonical or too many.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_SECTOR_ENTRY_BYTES)
    }
}

impl SectorEffect {
    pub(super) const fn refused_batch(error: &StoreError, host: NodeId, sequence: u64, newest: u64) -> Self {
        Self::BatchRefused { host, sequence, needs_full: error.needs_full(), newest }
    }

    /// Whether something changed.
    #[must_use]
    pub const fn took_effect(&self) -> bool {
        matches!(self, Self::Batch(_) | Self::Lease(_))
    }
}

impl SectorOutcome {
    /// Counts effects.
    #[must_use]
    pub fn of(position: Fencing, effects: &[SectorEffect]) -> Self {
        let applied = effects.iter().filter(|effect| effect.took_effect()).count();
        let refused = effects.len().saturating_sub(applied);
        Self {
            position,
            applied: u32::try_from(applied).unwrap_or(u32::MAX),
            refused: u32::try_from(refused).unwrap_or(u32::MAX),
        }
    }
}
