//! A voter's seat: the sector's agreed state and the coordinator's duties, driven by the group's log.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh30k_consensus::app::{AppSnapshot, Application, LogPosition, RestoreRefused};
use mesh30k_core::lead::{CoordinatorDuties, Fencing, SectorOutcome, SectorState};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::types::SectorId;
use tokio::sync::Notify;

/// What a voter holds of its sector.
pub(crate) struct Seat {
    pub(crate) state: SectorState,
    pub(crate) duties: CoordinatorDuties,
}

/// A seat, shared by the group's task (which applies) and the voter's loop (which acts).
#[derive(Clone)]
pub(crate) struct SharedSeat(Arc<Inner>);

struct Inner {
    seat: Mutex<Seat>,
    changed: Notify,
}

impl SharedSeat {
    pub(crate) fn new(sector: SectorId) -> Self {
        let seat = Seat { state: SectorState::new(sector), duties: CoordinatorDuties::new(sector) };
        Self(Arc::new(Inner { seat: Mutex::new(seat), changed: Notify::new() }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Seat> {
        self.0.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the voter's loop.
    pub(crate) fn wake(&self) {
        self.0.changed.notify_one();
    }

    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

/// The application of a sector group. It stores nothing itself: the group keeps its snapshots.
pub(crate) struct SectorApp {
    seat: SharedSeat,
    sector: SectorId,
}

impl SectorApp {
    pub(crate) const fn new(sector: SectorId, seat: SharedSeat) -> Self {
        Self { seat, sector }
    }
}

const fn fencing(position: LogPosition) -> Fencing {
    Fencing::new(position.term, position.index)
}

impl Application for SectorApp {
    fn apply(&mut self, position: LogPosition, entry: &[u8]) -> Vec<u8> {
        let at = fencing(position);
        let mut seat = self.seat.lock();
        let effects = seat.state.apply(at, entry);
        seat.duties.on_applied(&effects);
        drop(seat);
        self.seat.wake();
        encode(&SectorOutcome::of(at, &effects))
    }

    fn skip(&mut self, position: LogPosition) {
        self.seat.lock().state.skip(fencing(position));
        self.seat.wake();
    }

    fn durable_position(&self) -> Option<LogPosition> {
        None
    }

    fn snapshot(&mut self) -> io::Result<AppSnapshot> {
        let seat = self.seat.lock();
        let applied = seat.state.applied();
        let position = (applied > Fencing::NONE).then_some(LogPosition { term: applied.term, index: applied.index });
        Ok(AppSnapshot { position, bytes: seat.state.snapshot() })
    }

    fn admits(&self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        let read = SectorState::restore(self.sector, bytes);
        read.map(drop).map_err(|error| RestoreRefused { position, reason: error.to_string() })
    }

    fn restore(&mut self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        let state = SectorState::restore(self.sector, bytes)
            .map_err(|error| RestoreRefused { position, reason: error.to_string() })?;
        self.seat.lock().state = state;
        self.seat.wake();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_core::lead::{LEASE_US, LeaseGrant, SectorEntry};
    use mesh30k_core::time::TimeUs;
    use mesh30k_ledger::types::{ClusterId, NodeId};

    #[test]
    fn a_snapshot_restores_what_was_applied_and_a_foreign_one_is_refused() {
        let (sector, at) = (SectorId(4), LogPosition { term: 2, index: 9 });
        let cluster = ClusterId { sector, index: 0 };
        let grant = LeaseGrant {
            cluster,
            lead: NodeId(1),
            deputy: None,
            from: TimeUs(0),
            until: TimeUs(LEASE_US),
            after: Fencing::NONE,
        };
        let mut one = SectorApp::new(sector, SharedSeat::new(sector));
        one.apply(at, &SectorEntry::Leases(vec![grant]).encode());
        let snapshot = one.snapshot().unwrap();
        assert_eq!(snapshot.position, Some(at));
        let seat = SharedSeat::new(sector);
        let mut two = SectorApp::new(sector, seat.clone());
        two.restore(at, &snapshot.bytes).unwrap();
        assert!(seat.lock().state.leases().get(cluster).is_some());
        let mut other = SectorApp::new(SectorId(5), SharedSeat::new(SectorId(5)));
        assert!(other.admits(at, &snapshot.bytes).is_err() && other.restore(at, &snapshot.bytes).is_err());
    }

    /// A grant that a coordinator decides on so long after day 9 began.
    fn entry(sector: SectorId, after_us: i64) -> Vec<u8> {
        let until = TimeUs(9 * 86_400_000_000 + after_us + LEASE_US);
        let (cluster, from) = (ClusterId { sector, index: 0 }, until.plus_us(-LEASE_US));
        let grant = LeaseGrant { cluster, lead: NodeId(1), deputy: None, from, until, after: Fencing::NONE };
        SectorEntry::Leases(vec![grant]).encode()
    }

    #[test]
    fn voters_hold_the_same_seal_of_a_day_whenever_they_came() {
        let sector = SectorId(4);
        let log = [entry(sector, 1), b"noise".to_vec(), entry(sector, 86_400_000_000), entry(sector, 86_400_000_001)];
        let voter = || {
            let seat = SharedSeat::new(sector);
            (SectorApp::new(sector, seat.clone()), seat)
        };
        let at = |index: usize| LogPosition { term: 2, index: index as u64 + 1 };
        let apply = |app: &mut SectorApp, range: std::ops::Range<usize>| {
            for index in range {
                app.apply(at(index), &log[index]);
            }
        };
        let ((mut steady, first), (mut restarted, second), (mut newcomer, third)) = (voter(), voter(), voter());
        apply(&mut steady, 0..2);
        let before = steady.snapshot().unwrap();
        apply(&mut steady, 2..4);
        // From a snapshot of before the day ended, with entries again that it holds; and from one of after.
        restarted.restore(at(1), &before.bytes).unwrap();
        apply(&mut restarted, 0..4);
        newcomer.restore(at(3), &steady.snapshot().unwrap().bytes).unwrap();
        let seals = [first, second, third].map(|seat| seat.lock().state.seal(9));
        assert!(seals[0].is_some() && seals[0] == seals[1] && seals[1] == seals[2], "{seals:?}");
    }
}
