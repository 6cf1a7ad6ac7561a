//! The state machine of a sector group.

use super::{
    Fencing, Lease, LeaseGrant, LeaseTable, RegistrySeal, RegistrySeals, SealError, SectorEffect, SectorEntry,
};
use crate::beat::{BatchError, BatchStore, CommittedBatch, SignedHostBatch, StoreError, VerifiedBatch};
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec::{self, CodecError};
use mesh30k_ledger::types::SectorId;

/// Most bytes of a snapshot.
pub const MAX_SECTOR_SNAPSHOT_BYTES: usize = 64 << 20;

/// What a sector group has agreed on: the newest batches of its hosts, the leases of its leads, and what the registry was
/// at the end of the last periods.
///
/// Pure in the entries and their positions: it knows neither the ledger nor the time, which differ from voter to voter.
#[derive(Clone, Debug)]
pub struct SectorState {
    sector: SectorId,
    applied: Fencing,
    batches: BatchStore,
    leases: LeaseTable,
    seals: RegistrySeals,
}

/// Why a snapshot was refused.
#[derive(Debug, thiserror::Error)]
pub enum SectorStateError {
    /// Not the canonical bytes of a snapshot.
    #[error("sector snapshot is not canonical")]
    Codec(#[from] CodecError),
    /// It is of another sector.
    #[error("snapshot is of sector {found}, this group is sector {expected}")]
    WrongSector {
        /// Which.
        found: SectorId,
        /// This group's.
        expected: SectorId,
    },
    /// It holds a batch that no group commits.
    #[error("sector snapshot holds a bad batch")]
    Batch(#[from] BatchError),
    /// It holds batches that no group keeps together.
    #[error("sector snapshot holds batches that do not fit together")]
    Store(#[from] StoreError),
    /// It holds two leases of one cluster, or too many.
    #[error("sector snapshot holds bad leases")]
    Lease(#[from] super::LeaseError),
    /// It holds seals that no log makes.
    #[error("sector snapshot holds bad seals")]
    Seals(#[from] SealError),
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Snapshot {
    sector: SectorId,
    applied: Fencing,
    batches: Vec<CommittedBatch>,
    leases: Vec<Lease>,
    seals: RegistrySeals,
}

impl SectorState {
    /// The state before the first entry.
    #[must_use]
    pub const fn new(sector: SectorId) -> Self {
        Self {
            sector,
            applied: Fencing::NONE,
            batches: BatchStore::new(),
            leases: LeaseTable::new(),
            seals: RegistrySeals::new(),
        }
    }

    /// Applies the entry at `position`. One at or before the last applied position changes nothing, so that a replay
    /// after a crash is harmless.
    pub fn apply(&mut self, position: Fencing, entry: &[u8]) -> Vec<SectorEffect> {
        if position <= self.applied {
            return Vec::new();
        }
        self.applied = position;
        match SectorEntry::decode(entry) {
            Ok(SectorEntry::HostBatches(batches)) => {
                batches.into_iter().map(|signed| self.apply_batch(position, signed)).collect()
            }
            Ok(SectorEntry::Leases(grants)) => {
                self.seals.on_grants(&grants, &self.batches);
                grants.into_iter().map(|grant| self.apply_grant(position, grant)).collect()
            }
            Err(_) => vec![SectorEffect::Unreadable],
        }
    }

    /// Passes a position that holds no entry of ours (Raft's own).
    pub fn skip(&mut self, position: Fencing) {
        self.applied = self.applied.max(position);
    }

    fn apply_grant(&mut self, position: Fencing, grant: LeaseGrant) -> SectorEffect {
        match self.leases.grant(position, grant) {
            Ok(lease) => SectorEffect::Lease(lease),
            Err(error) => SectorEffect::LeaseRefused(error),
        }
    }

    fn apply_batch(&mut self, position: Fencing, signed: SignedHostBatch) -> SectorEffect {
        let (host, sequence) = (signed.batch.host, signed.batch.sequence);
        // The signature was checked by who proposed it and is by who reads it: keys are on the ledger, and each voter may
        // be at another height of it.
        let Ok(batch) = VerifiedBatch::trusted(signed) else {
            let newest = self.batches.newest_sequence(host);
            return SectorEffect::BatchRefused { host, sequence, needs_full: false, newest };
        };
        match self.batches.put(position, batch) {
            Ok(committed) => SectorEffect::Batch(committed),
            Err(error) => SectorEffect::refused_batch(&error, host, sequence, self.batches.newest_sequence(host)),
        }
    }

    /// The sector.
    #[must_use]
    pub const fn sector(&self) -> SectorId {
        self.sector
    }

    /// Position of the last applied entry.
    #[must_use]
    pub const fn applied(&self) -> Fencing {
        self.applied
    }

    /// The batches that still say something.
    #[must_use]
    pub const fn batches(&self) -> &BatchStore {
        &self.batches
    }

    /// The newest leases.
    #[must_use]
    pub const fn leases(&self) -> &LeaseTable {
        &self.leases
    }

    /// What the registry was at the end of a period; nothing while it runs, or when that was too long ago.
    #[must_use]
    pub fn seal(&self, period: u64) -> Option<RegistrySeal> {
        self.seals.of(period)
    }

    /// The state as bytes: equal states have equal bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        codec::encode(&Snapshot {
            sector: self.sector,
            applied: self.applied,
            batches: self.batches.since(Fencing::NONE).iter().map(|batch| (**batch).clone()).collect(),
            leases: self.leases.iter().copied().collect(),
            seals: self.seals.clone(),
        })
    }

    /// The state that [`Self::snapshot`] made, if it is of `sector`.
    ///
    /// # Errors
    /// [`SectorStateError`].
    pub fn restore(sector: SectorId, bytes: &[u8]) -> Result<Self, SectorStateError> {
        let snapshot: Snapshot = codec::decode(bytes, MAX_SECTOR_SNAPSHOT_BYTES)?;
        if snapshot.sector != sector {
            return Err(SectorStateError::WrongSector { found: snapshot.sector, expected: sector });
        }
        snapshot.seals.check()?;
        let mut state = Self { applied: snapshot.applied, seals: snapshot.seals, ..Self::new(sector) };
        for CommittedBatch { position, signed } in snapshot.batches {
            state.batches.put_told(position, VerifiedBatch::trusted(signed)?)?;
        }
        for lease in snapshot.leases {
            state.leases.follow(lease)?;
        }
        Ok(state)
    }
}
