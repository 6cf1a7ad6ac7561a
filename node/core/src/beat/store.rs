//! Committed batches that still say something: the replicated content of the registry.
//!
//! A batch is kept while it is the newest of its host, the newest full one, or the newest word on some agent. So the
//! store can tell anybody, with the hosts' own signatures, everything that changed after any position.

use super::{AgentReport, BatchKind, SignedHostBatch, VerifiedBatch};
use crate::lead::Fencing;
use crate::wire::Hlc;
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::{AgentId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most hosts of a sector.
pub const MAX_HOSTS: usize = 1_024;
/// Most batches kept of one host; a delta beyond it is refused until the host sends everything.
pub const MAX_LIVE_BATCHES: usize = 32;

/// A batch and where the sector group put it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CommittedBatch {
    /// Position of its entry.
    pub position: Fencing,
    /// The batch with its host's signature.
    pub signed: SignedHostBatch,
}

/// Why a committed batch changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A newer one is there.
    #[error("batch {sequence} of host {host} is stale, the newest is {newest}")]
    Stale {
        /// The host.
        host: NodeId,
        /// The batch refused.
        sequence: u64,
        /// The newest one kept.
        newest: u64,
    },
    /// It stands on a batch that is not there: the host must send everything.
    #[error("batch {sequence} of host {host} stands on {base}, the newest is {newest}")]
    Gap {
        /// The host.
        host: NodeId,
        /// The batch refused.
        sequence: u64,
        /// What it stands on.
        base: u64,
        /// The newest one kept; 0 when there is none.
        newest: u64,
    },
    /// Too many deltas since everything was sent: the host must send everything.
    #[error("host {host} has {count} batches, limit is {limit}")]
    TooManyBatches {
        /// The host.
        host: NodeId,
        /// How many it would have.
        count: usize,
        /// The bound, [`MAX_LIVE_BATCHES`].
        limit: usize,
    },
    /// Too many hosts.
    #[error("host {host} finds no room, limit is {limit} hosts")]
    TooManyHosts {
        /// The host.
        host: NodeId,
        /// The bound, [`MAX_HOSTS`].
        limit: usize,
    },
}

impl StoreError {
    /// Whether the host must send a full batch to be heard again.
    #[must_use]
    pub const fn needs_full(&self) -> bool {
        matches!(self, Self::Gap { .. } | Self::TooManyBatches { .. })
    }
}

/// What the store holds of one host.
#[derive(Clone, Debug, Default)]
struct HostBatches {
    /// By sequence.
    live: BTreeMap<u64, Arc<CommittedBatch>>,
    /// For each agent the sequence of the batch with the newest word on it.
    newest: BTreeMap<AgentId, u64>,
    full: u64,
}

/// Committed batches that still say something, by host.
#[derive(Clone, Debug, Default)]
pub struct BatchStore {
    hosts: BTreeMap<NodeId, HostBatches>,
}

impl HostBatches {
    fn newest_sequence(&self) -> u64 {
        self.live.last_key_value().map_or(0, |(sequence, _)| *sequence)
    }

    fn put(&mut self, committed: Arc<CommittedBatch>) {
        let batch = &committed.signed.batch;
        if batch.kind == BatchKind::Full {
            self.live.clear();
            self.newest.clear();
            self.full = batch.sequence;
        }
        self.newest.extend(batch.reports.iter().map(|report| (report.agent, batch.sequence)));
        self.live.insert(batch.sequence, committed);
        self.drop_superseded();
    }

    fn drop_superseded(&mut self) {
        let (last, full) = (self.newest_sequence(), self.full);
        let speaking: BTreeSet<u64> = self.newest.values().copied().collect();
        self.live.retain(|sequence, _| *sequence == last || *sequence == full || speaking.contains(sequence));
    }
}

impl BatchStore {
    /// An empty store.
    #[must_use]
    pub const fn new() -> Self {
        Self { hosts: BTreeMap::new() }
    }

    /// Takes in a batch that the group committed at `position`.
    ///
    /// # Errors
    /// [`StoreError`]; the store is then unchanged. Refusals depend only on the batches given before.
    pub fn put(&mut self, position: Fencing, batch: VerifiedBatch) -> Result<Arc<CommittedBatch>, StoreError> {
        let (host, sequence, newest) = self.check_newer(&batch)?;
        if let BatchKind::Delta { base } = batch.batch().kind
            && base > newest
        {
            return Err(StoreError::Gap { host, sequence, base, newest });
        }
        self.check_room(&batch, MAX_LIVE_BATCHES)?;
        Ok(self.insert(position, batch))
    }

    /// Takes in a batch told by [`Self::since`] of another store: like [`Self::put`], but a delta may stand on a batch
    /// that was superseded and is therefore not told any more.
    ///
    /// # Errors
    /// [`StoreError`] but the gap.
    pub fn put_told(&mut self, position: Fencing, batch: VerifiedBatch) -> Result<Arc<CommittedBatch>, StoreError> {
        self.check_newer(&batch)?;
        // What was kept here and what is told may overlap until the last told batch is in.
        self.check_room(&batch, MAX_LIVE_BATCHES.saturating_mul(2))?;
        Ok(self.insert(position, batch))
    }

    fn check_newer(&self, batch: &VerifiedBatch) -> Result<(NodeId, u64, u64), StoreError> {
        let (host, sequence) = (batch.batch().host, batch.batch().sequence);
        let newest = self.newest_sequence(host);
        if sequence <= newest {
            return Err(StoreError::Stale { host, sequence, newest });
        }
        Ok((host, sequence, newest))
    }

    fn check_room(&self, batch: &VerifiedBatch, limit: usize) -> Result<(), StoreError> {
        let host = batch.batch().host;
        let Some(known) = self.hosts.get(&host) else {
            return if self.hosts.len() < MAX_HOSTS {
                Ok(())
            } else {
                Err(StoreError::TooManyHosts { host, limit: MAX_HOSTS })
            };
        };
        let count = known.live.len().saturating_add(1);
        if count > limit && batch.batch().kind != BatchKind::Full {
            return Err(StoreError::TooManyBatches { host, count, limit });
        }
        Ok(())
    }

    fn insert(&mut self, position: Fencing, batch: VerifiedBatch) -> Arc<CommittedBatch> {
        let host = batch.batch().host;
        let committed = Arc::new(CommittedBatch { position, signed: batch.into_signed() });
        self.hosts.entry(host).or_default().put(Arc::clone(&committed));
        committed
    }

    /// The batches committed after `position` that still say something, in the order of their positions.
    #[must_use]
    pub fn since(&self, position: Fencing) -> Vec<Arc<CommittedBatch>> {
        let all = self.hosts.values().flat_map(|host| host.live.values());
        let mut batches: Vec<_> = all.filter(|batch| batch.position > position).cloned().collect();
        batches.sort_by_key(|b| (b.position, b.signed.batch.host, b.signed.batch.sequence));
        batches
    }

    /// Sequence of the newest batch of `host`; 0 when there is none.
    #[must_use]
    pub fn newest_sequence(&self, host: NodeId) -> u64 {
        self.hosts.get(&host).map_or(0, HostBatches::newest_sequence)
    }

    /// The newest batch of `host`.
    #[must_use]
    pub fn newest(&self, host: NodeId) -> Option<&SignedHostBatch> {
        self.hosts.get(&host)?.live.last_key_value().map(|(_, committed)| &committed.signed)
    }

    /// The hosts, in rising order.
    pub fn hosts(&self) -> impl Iterator<Item = NodeId> {
        self.hosts.keys().copied()
    }

    /// The newest word of `host` on `agent`, with the stamp and sequence of the batch it is from.
    #[must_use]
    pub fn report(&self, host: NodeId, agent: AgentId) -> Option<(&AgentReport, Hlc, u64)> {
        let host = self.hosts.get(&host)?;
        let sequence = host.newest.get(&agent)?;
        let batch = &host.live.get(sequence)?.signed.batch;
        let at = batch.reports.binary_search_by_key(&agent, |report| report.agent).ok()?;
        batch.reports.get(at).map(|report| (report, batch.sent, *sequence))
    }

    /// How many batches are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.values().fold(0, |sum, host| sum.saturating_add(host.live.len()))
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }
}
