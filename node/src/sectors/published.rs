//! The registry as everybody reads it: one pointer, swapped by writers, followed by readers without waiting.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh30k_core::registry::{RegistryView, SectorView};

/// The newest view of all sectors known here.
#[derive(Debug, Default)]
pub struct PublishedRegistry(ArcSwap<RegistryView>);

impl PublishedRegistry {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest view, to be read as long as one likes.
    #[must_use]
    pub fn load(&self) -> Arc<RegistryView> {
        self.0.load_full()
    }

    /// Work on the newest view without counting its readers: the cheapest way for one short read.
    pub fn read<T>(&self, work: impl FnOnce(&RegistryView) -> T) -> T {
        work(&self.0.load())
    }

    /// Shows a newer view of one sector; an older one than is shown changes nothing. Writers of several sectors may
    /// publish at the same time.
    pub fn publish(&self, sector: &Arc<SectorView>) {
        self.0.rcu(|shown| shown.with_sector(Arc::clone(sector)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::thread;

    use mesh30k_core::beat::{AgentReport, BatchKind, HostBatch, SignedHostBatch, VerifiedBatch};
    use mesh30k_core::lead::Fencing;
    use mesh30k_core::registry::{
        AgentSeat, AgentState, Capabilities, EnergySource, Impedance, Order, Query, Registry,
    };
    use mesh30k_core::time::TimeUs;
    use mesh30k_core::wire::Hlc;
    use mesh30k_ledger::keys::Signature;
    use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, Hash, NodeId, Region, SectorId};

    use super::*;

    const SECTORS: u32 = 2;
    const AGENTS: u64 = 40;
    const ROUNDS: u64 = 2_000;
    const NOW: TimeUs = TimeUs(1_000);

    fn registry(sector: u32) -> Registry {
        let mut registry = Registry::new(SectorId(sector));
        registry.set_seats((0..AGENTS).map(|agent| AgentSeat {
            agent: AgentId(u64::from(sector) * AGENTS + agent),
            class: AgentClass::C,
            host: NodeId(u64::from(sector)),
            cluster: ClusterId { sector: SectorId(sector), index: 0 },
            capabilities: Capabilities::COMPUTE,
            region: Region::new(*b"KE").unwrap(),
        }));
        registry
    }

    /// A batch in which every figure of every agent says the number of the batch.
    fn batch(sector: u32, sequence: u64) -> VerifiedBatch {
        let report = |agent| AgentReport {
            agent: AgentId(u64::from(sector) * AGENTS + agent),
            impedance: Impedance { one_way_p50_us: sequence, one_way_p95_us: sequence, ..Impedance::default() },
            reliability_ppm: sequence as u32,
            drift_ppm: sequence as u32,
            calibration_ppm: sequence as u32,
            state: AgentState::Active,
            context: Hash([0; 32]),
            energy: EnergySource::Grid,
            price_uftns: sequence,
        };
        let sent = Hlc { wall: NOW, logical: 0 };
        let kind = if sequence == 1 { BatchKind::Full } else { BatchKind::Delta { base: sequence - 1 } };
        let reports = (0..AGENTS).map(report).collect();
        let batch = HostBatch { host: NodeId(u64::from(sector)), sequence, sent, kind, reports };
        VerifiedBatch::trusted(SignedHostBatch { batch, signature: Signature([0; 64]) }).unwrap()
    }

    /// Checks one view and gives the batch each sector shows.
    fn check(view: &RegistryView, by_price: &Query) -> BTreeMap<SectorId, u64> {
        let mut shown = BTreeMap::new();
        for sector in view.sectors() {
            let sequence = sector.version().index;
            for record in sector.iter() {
                let said = [
                    record.z_us,
                    record.price_uftns,
                    record.version,
                    u64::from(record.reliability_ppm),
                    u64::from(record.drift_ppm),
                    u64::from(record.calibration_ppm),
                ];
                assert!(said.iter().all(|value| *value == sequence), "a torn record: {said:?} in view {sequence}");
            }
            assert!(sequence == 0 || sector.iter().count() as u64 == AGENTS, "a batch is shown whole or not at all");
            shown.insert(sector.sector(), sequence);
        }
        let found = view.find(by_price, NOW);
        let known = shown.values().filter(|sequence| **sequence > 0).count() as u64;
        assert_eq!(found.len() as u64, known * AGENTS, "the index goes with its records");
        assert!(found.is_sorted_by_key(|record| record.price_uftns));
        shown
    }

    #[test]
    fn readers_see_whole_batches_and_never_an_older_one_while_writers_write() {
        let published = PublishedRegistry::new();
        let (is_over, seen) = (AtomicBool::new(false), AtomicU64::new(0));
        let by_price = Query { n: usize::MAX, order: Order::Price, ..Query::default() };
        thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut newest: BTreeMap<SectorId, u64> = BTreeMap::new();
                        while !is_over.load(Ordering::Acquire) {
                            for (sector, sequence) in check(&published.load(), &by_price) {
                                let before = newest.insert(sector, sequence).unwrap_or(0);
                                assert!(sequence >= before, "{sector} went back from {before} to {sequence}");
                                seen.fetch_add(u64::from(sequence > before), Ordering::Relaxed);
                            }
                        }
                    })
                })
                .collect();
            let writers: Vec<_> = (0..SECTORS)
                .map(|sector| {
                    let published = &published;
                    scope.spawn(move || {
                        let mut registry = registry(sector);
                        for sequence in 1..=ROUNDS {
                            assert!(registry.apply(Fencing::new(1, sequence), [batch(sector, sequence)]).is_empty());
                            published.publish(registry.view());
                        }
                    })
                })
                .collect();
            let written = writers.into_iter().map(thread::ScopedJoinHandle::join).all(|outcome| outcome.is_ok());
            is_over.store(true, Ordering::Release);
            assert!(written && readers.into_iter().all(|reader| reader.join().is_ok()));
        });
        let shown = check(&published.load(), &by_price);
        assert!(shown.len() == SECTORS as usize && shown.values().all(|sequence| *sequence == ROUNDS), "{shown:?}");
        assert!(seen.into_inner() > 0, "the readers saw it change");
        let stale = registry(0);
        published.publish(stale.view());
        assert_eq!(check(&published.load(), &by_price)[&SectorId(0)], ROUNDS, "an old view is not shown again");
    }
}
