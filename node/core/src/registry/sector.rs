//! The registry of one sector at one node: joins seats and batches, publishes views.

use super::find::Candidate;
use super::view::{HostBeat, SectorView};
use super::{AgentSeat, Capabilities, Record};
use crate::beat::{BatchKind, BatchStore, CommittedBatch, StoreError, VerifiedBatch};
use crate::lead::Fencing;
use mesh30k_ledger::types::{AgentId, NodeId, SectorId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why a change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The batch is stale, or stands on one that is missing.
    #[error("batch refused")]
    Store(#[from] StoreError),
    /// News of another sector.
    #[error("news is of sector {found}, this registry is of sector {expected}")]
    WrongSector {
        /// Which.
        found: SectorId,
        /// This one's.
        expected: SectorId,
    },
    /// News that tells only what came after a position not reached here: ask for news from `have`.
    #[error("news begins at {from}, this registry is at {have}")]
    Gap {
        /// Where it begins.
        from: Fencing,
        /// Where this registry is.
        have: Fencing,
    },
}

/// The registry of one sector. Every node that reads the same committed batches and the same ledger has the same one.
#[derive(Clone, Debug)]
pub struct Registry {
    seats: BTreeMap<AgentId, AgentSeat>,
    seats_of: BTreeMap<NodeId, BTreeSet<AgentId>>,
    batches: BatchStore,
    view: Arc<SectorView>,
}

impl Registry {
    /// A registry that knows nothing.
    #[must_use]
    pub fn new(sector: SectorId) -> Self {
        Self {
            seats: BTreeMap::new(),
            seats_of: BTreeMap::new(),
            batches: BatchStore::new(),
            view: Arc::new(SectorView::empty(sector)),
        }
    }

    /// The newest view: clone the `Arc` and read as long as you like.
    #[must_use]
    pub const fn view(&self) -> &Arc<SectorView> {
        &self.view
    }

    /// Position up to which everything is known.
    #[must_use]
    pub fn version(&self) -> Fencing {
        self.view.version
    }

    /// The batches this registry stands on.
    #[must_use]
    pub const fn batches(&self) -> &BatchStore {
        &self.batches
    }

    /// Sets the agents that the ledger has in this sector; those of others are passed over.
    pub fn set_seats(&mut self, seats: impl IntoIterator<Item = AgentSeat>) {
        let sector = self.view.sector;
        let here = seats.into_iter().filter(|seat| seat.cluster.sector == sector);
        self.seats = here.map(|seat| (seat.agent, seat)).collect();
        self.seats_of.clear();
        for seat in self.seats.values() {
            self.seats_of.entry(seat.host).or_default().insert(seat.agent);
        }
        let mut view = SectorView::empty(sector);
        view.version = self.view.version;
        for host in self.batches.hosts() {
            self.join_host(&mut view, host);
        }
        self.publish(view);
    }

    /// Takes in the batches of one committed entry and publishes one view. What is stale changes nothing and is
    /// returned.
    pub fn apply(&mut self, position: Fencing, batches: impl IntoIterator<Item = VerifiedBatch>) -> Vec<StoreError> {
        let (mut touched, mut refused) = (BTreeSet::new(), Vec::new());
        for batch in batches {
            let host = batch.batch().host;
            match self.batches.put(position, batch) {
                Ok(_) => {
                    touched.insert(host);
                }
                Err(error) => refused.push(error),
            }
        }
        self.refresh(position, &touched);
        refused
    }

    /// Takes in what a voter tells: everything after `from` up to `to`, see `SectorNews`. What is known already changes
    /// nothing, so news may come twice and overlap.
    ///
    /// # Errors
    /// [`RegistryError::WrongSector`], [`RegistryError::Gap`], [`RegistryError::Store`] when a batch finds no room; what
    /// came before it is kept, and the version is not raised.
    pub fn follow(
        &mut self,
        sector: SectorId,
        (from, to): (Fencing, Fencing),
        told: impl IntoIterator<Item = (Fencing, VerifiedBatch)>,
    ) -> Result<(), RegistryError> {
        if sector != self.view.sector {
            return Err(RegistryError::WrongSector { found: sector, expected: self.view.sector });
        }
        let have = self.view.version;
        if from > have {
            return Err(RegistryError::Gap { from, have });
        }
        let mut touched = BTreeSet::new();
        let mut result = Ok(());
        for (position, batch) in told {
            let host = batch.batch().host;
            match self.batches.put_told(position, batch) {
                Ok(_) => {
                    touched.insert(host);
                }
                Err(StoreError::Stale { .. }) => {}
                Err(error) => result = Err(error.into()),
            }
        }
        self.refresh(if result.is_ok() { to } else { have }, &touched);
        result
    }

    /// Batches after `from` that still say something, to tell others.
    #[must_use]
    pub fn since(&self, from: Fencing) -> Vec<Arc<CommittedBatch>> {
        self.batches.since(from)
    }

    fn refresh(&mut self, position: Fencing, hosts: &BTreeSet<NodeId>) {
        let version = self.view.version.max(position);
        if hosts.is_empty() && version == self.view.version {
            return;
        }
        let mut view = SectorView::clone(&self.view);
        view.version = version;
        for host in hosts {
            self.join_host(&mut view, *host);
        }
        self.publish(view);
    }

    fn join_host(&self, view: &mut SectorView, host: NodeId) {
        let Some(seats) = self.seats_of.get(&host) else { return };
        let Some(newest) = self.batches.newest(host) else { return };
        let left = newest.batch.kind == BatchKind::Farewell;
        let beat = HostBeat { sequence: newest.batch.sequence, last_beat: newest.batch.sent, left };
        view.hosts.insert(host, beat);
        for agent in seats {
            let Some(seat) = self.seats.get(agent) else { continue };
            match self.batches.report(host, *agent) {
                Some((_, _, sequence)) if view.records.get(agent).is_some_and(|r| r.version == sequence) => {}
                Some((report, sent, sequence)) => {
                    view.records.insert(*agent, Arc::new(Record::new(seat, report, sent, sequence)));
                }
                None => {
                    view.records.remove(agent);
                }
            }
        }
    }

    fn publish(&mut self, mut view: SectorView) {
        view.unreported.clear();
        for seat in self.seats.values().filter(|seat| !view.records.contains_key(&seat.agent)) {
            let count = view.unreported.entry(seat.cluster.index).or_insert(0);
            *count = count.saturating_add(1);
        }
        view.order = view.records.values().map(Candidate::new).collect();
        view.order.sort_unstable_by_key(|candidate| (candidate.score, candidate.record.agent));
        view.capabilities =
            view.order.iter().fold(Capabilities(0), |union, candidate| union.union(candidate.capabilities));
        self.view = Arc::new(view);
    }
}
