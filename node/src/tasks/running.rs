//! Parts that run on this host now, so that the same work does not run twice and a freeze can stop it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh30k_ledger::types::{AgentId, ClusterId};

use super::wire::WorkId;
use crate::execution::Cancel;

#[derive(Debug)]
struct Entry {
    agent: AgentId,
    cluster: ClusterId,
    cancel: Cancel,
}

/// Parts that run now. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct RunningParts(Arc<Mutex<BTreeMap<WorkId, Entry>>>);

/// A part that runs until this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    work: WorkId,
    parts: RunningParts,
    cancel: Cancel,
}

impl RunningParts {
    /// Enters a part; nothing when the same work runs already.
    pub(super) fn enter(&self, work: WorkId, agent: AgentId, cluster: ClusterId) -> Option<Running> {
        let cancel = Cancel::default();
        let mut entries = self.entries();
        if entries.contains_key(&work) {
            return None;
        }
        entries.insert(work, Entry { agent, cluster, cancel: cancel.clone() });
        Some(Running { work, parts: self.clone(), cancel })
    }

    /// Stops the parts of every agent that `is_frozen`; says how many.
    pub(super) fn stop(&self, is_frozen: impl Fn(AgentId, ClusterId) -> bool) -> usize {
        let entries = self.entries();
        let frozen = entries.values().filter(|entry| is_frozen(entry.agent, entry.cluster));
        frozen.map(|entry| entry.cancel.cancel()).count()
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<WorkId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// The switch that stops it.
    pub(super) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.parts.entries().remove(&self.work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::types::{Hash, SectorId};

    fn work(part: u32) -> WorkId {
        WorkId { escrow: Hash([9; 32]), part, input: Hash([3; 32]) }
    }

    fn cluster(sector: u32) -> ClusterId {
        ClusterId { sector: SectorId(sector), index: 0 }
    }

    #[test]
    fn the_same_work_runs_once_at_a_time() {
        let parts = RunningParts::default();
        let first = parts.enter(work(1), AgentId(1), cluster(0));
        assert!(first.is_some() && parts.enter(work(1), AgentId(2), cluster(0)).is_none());
        drop(first);
        assert!(parts.enter(work(1), AgentId(2), cluster(0)).is_some());
    }

    #[test]
    fn a_freeze_stops_what_it_covers_and_nothing_else() {
        let parts = RunningParts::default();
        let inside = parts.enter(work(1), AgentId(1), cluster(1)).unwrap();
        let outside = parts.enter(work(2), AgentId(2), cluster(2)).unwrap();
        assert_eq!(parts.stop(|_, cluster| cluster.sector == SectorId(1)), 1);
        assert!(inside.cancel().is_cancelled() && !outside.cancel().is_cancelled());
    }
}
