//! The registry of one sector at one node: joins seats and batches, publishes views.

use super::membership::Membership;
use super::rankings::Rankings;
use super::row::Row;
use super::view::{HostBeat, SectorView};
use super::{AgentSeat, Record};
use crate::beat::{BatchKind, BatchStore, CommittedBatch, HostBatch, StoreError, VerifiedBatch};
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
        self.view = Arc::new(self.rebuilt(self.view.version));
    }

    /// Takes in the batches of one committed entry and publishes one view. What is stale changes nothing and is
    /// returned.
    pub fn apply(&mut self, position: Fencing, batches: impl IntoIterator<Item = VerifiedBatch>) -> Vec<StoreError> {
        let (mut touched, mut refused) = (Touched::new(), Vec::new());
        for batch in batches {
            match self.batches.put(position, batch) {
                Ok(committed) => touch(&mut touched, &committed.signed.batch),
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
        let mut touched = Touched::new();
        let mut result = Ok(());
        for (position, batch) in told {
            match self.batches.put_told(position, batch) {
                Ok(committed) => touch(&mut touched, &committed.signed.batch),
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

    fn refresh(&mut self, position: Fencing, touched: &Touched) {
        let version = self.view.version.max(position);
        if touched.is_empty() && version == self.view.version {
            return;
        }
        // Who is there changes rarely; then everything is made anew. Else only what was reported.
        let view = self.updated(version, touched).unwrap_or_else(|| self.rebuilt(version));
        self.view = Arc::new(view);
    }

    /// The view with the touched agents' records replaced; nothing if an agent or a host came or went.
    fn updated(&self, version: Fencing, touched: &Touched) -> Option<SectorView> {
        let mut view = SectorView { version, ..SectorView::clone(&self.view) };
        let mut changed: Vec<usize> = Vec::new();
        for (host, touch) in touched {
            let Some(seats) = self.seats_of.get(host) else { continue };
            let place = view.host_place(*host)?;
            if let Some((beat, (_, known))) = self.beat_of(*host).zip(view.hosts.get_mut(place)) {
                *known = beat;
            }
            let agents: Box<dyn Iterator<Item = &AgentId>> = match touch {
                Touch::All => Box::new(seats.iter()),
                Touch::Agents(agents) => Box::new(agents.iter().filter(|agent| seats.contains(agent))),
            };
            for agent in agents {
                let slot = view.membership.slot(*agent);
                let (slot, record) = match (slot, self.record_of(*agent)) {
                    (Some(slot), Some(record)) => (slot, record),
                    (None, None) => continue,
                    _ => return None,
                };
                if view.records.get(slot).is_some_and(|old| old.version != record.version) {
                    view.set(slot, record, place);
                    changed.push(slot);
                }
            }
        }
        view.rankings.update(&view.records, &changed);
        Some(view)
    }

    fn rebuilt(&self, version: Fencing) -> SectorView {
        let mut view = SectorView { version, ..SectorView::empty(self.view.sector) };
        let heard = self.seats_of.keys().filter_map(|host| Some((*host, self.beat_of(*host)?)));
        view.hosts = heard.collect();
        let mut unreported: BTreeMap<u32, u32> = BTreeMap::new();
        for seat in self.seats.values() {
            if let Some(record) = self.record_of(seat.agent) {
                // What did not change stays shared with the view before.
                let old = self.view.get(seat.agent).filter(|old| ***old == record);
                view.records.push(old.map_or_else(|| Arc::new(record), Arc::clone));
            } else {
                let count = unreported.entry(seat.cluster.index).or_insert(0);
                *count = count.saturating_add(1);
            }
        }
        view.unreported = Arc::new(unreported);
        view.index_again();
        view
    }

    fn beat_of(&self, host: NodeId) -> Option<HostBeat> {
        let newest = &self.batches.newest(host)?.batch;
        let left = newest.kind == BatchKind::Farewell;
        Some(HostBeat { sequence: newest.sequence, last_beat: newest.sent, left })
    }

    fn record_of(&self, agent: AgentId) -> Option<Record> {
        let seat = self.seats.get(&agent)?;
        let (report, sent, sequence) = self.batches.report(seat.host, agent)?;
        Some(Record::new(seat, report, sent, sequence))
    }
}

/// Hosts whose batches came, and of which of their agents these tell.
type Touched = BTreeMap<NodeId, Touch>;

enum Touch {
    All,
    Agents(BTreeSet<AgentId>),
}

fn touch(touched: &mut Touched, batch: &HostBatch) {
    if batch.kind == BatchKind::Full {
        touched.insert(batch.host, Touch::All);
        return;
    }
    let told = batch.reports.iter().map(|report| report.agent);
    if let Touch::Agents(agents) = touched.entry(batch.host).or_insert_with(|| Touch::Agents(BTreeSet::new())) {
        agents.extend(told);
    }
}

impl SectorView {
    /// Replaces a record by a newer one of the same agent.
    fn set(&mut self, slot: usize, record: Record, host_place: usize) {
        if let Some((old, row)) = self.records.get_mut(slot).zip(self.rows.get_mut(slot)) {
            *row = Row::new(&record, u32::try_from(host_place).unwrap_or(u32::MAX));
            *old = Arc::new(record);
        }
    }

    /// Makes everything that follows from records and hosts.
    fn index_again(&mut self) {
        self.membership = Arc::new(Membership::of(&self.records));
        let place = |host| u32::try_from(self.host_place(host).unwrap_or(usize::MAX)).unwrap_or(u32::MAX);
        self.rows = self.records.iter().map(|record| Row::new(record, place(record.host))).collect();
        self.rankings = Rankings::of(&self.records);
    }
}
