//! Who coordinates which sector, as far as this node has heard. Pure.

use std::collections::BTreeMap;

use mesh30k_core::registry::SectorSummary;
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::SectorId;

use super::wire::Coordinator;

/// Sectors remembered, at most: the mesh has a tenth of them.
const SECTORS_MAX: usize = 4_096;

/// What this node knows of one sector's leadership.
#[derive(Clone, Debug)]
pub struct Leading {
    /// The newest coordinator heard of.
    pub coordinator: Coordinator,
    /// When it was last heard of.
    pub heard: TimeUs,
    /// The newest summary, once one came.
    pub summary: Option<SectorSummary>,
}

/// The cache. A word of an older term than the newest known one is stale and changes nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaders {
    sectors: BTreeMap<SectorId, Leading>,
}

impl Leaders {
    /// Takes in that `coordinator` leads `sector`; false when that is stale or there is no room.
    pub(super) fn on_word(&mut self, sector: SectorId, coordinator: Coordinator, now: TimeUs) -> bool {
        let is_full = self.sectors.len() >= SECTORS_MAX;
        match self.sectors.get_mut(&sector) {
            Some(known) if coordinator.term < known.coordinator.term => false,
            // One term has one leader: whoever claims a known term for another node is wrong.
            Some(known) if coordinator.term == known.coordinator.term => {
                let same = known.coordinator.node == coordinator.node;
                if same {
                    known.heard = known.heard.max(now);
                }
                same
            }
            Some(known) => {
                known.coordinator = coordinator;
                known.heard = now;
                true
            }
            None if is_full => false,
            None => {
                self.sectors.insert(sector, Leading { coordinator, heard: now, summary: None });
                true
            }
        }
    }

    /// Takes in a coordinator's summary; false when it is stale.
    pub(super) fn on_summary(&mut self, coordinator: Coordinator, summary: SectorSummary, now: TimeUs) -> bool {
        if !self.on_word(summary.sector, coordinator, now) {
            return false;
        }
        let Some(known) = self.sectors.get_mut(&summary.sector) else { return false };
        let is_newer = known.summary.as_ref().is_none_or(|old| summary.is_newer_than(old));
        if is_newer {
            known.summary = Some(summary);
        }
        is_newer
    }

    /// What is known of a sector.
    #[must_use]
    pub(super) fn get(&self, sector: SectorId) -> Option<&Leading> {
        self.sectors.get(&sector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_core::lead::Fencing;
    use mesh30k_core::wire::Hlc;
    use mesh30k_ledger::types::NodeId;

    const SECTOR: SectorId = SectorId(3);

    fn leads(term: u64, node: u64) -> Coordinator {
        Coordinator { term, node: NodeId(node) }
    }

    #[test]
    fn a_newer_term_replaces_and_an_older_one_is_refused() {
        let mut leaders = Leaders::default();
        assert!(leaders.on_word(SECTOR, leads(2, 7), TimeUs(1)));
        assert!(!leaders.on_word(SECTOR, leads(1, 8), TimeUs(2)));
        assert!(!leaders.on_word(SECTOR, leads(2, 8), TimeUs(2)), "a term has one leader");
        assert_eq!(leaders.get(SECTOR).unwrap().coordinator, leads(2, 7));
        assert!(leaders.on_word(SECTOR, leads(2, 7), TimeUs(9)));
        assert_eq!(leaders.get(SECTOR).unwrap().heard, TimeUs(9));
        assert!(leaders.on_word(SECTOR, leads(3, 8), TimeUs(10)));
        assert_eq!(leaders.get(SECTOR).unwrap().coordinator, leads(3, 8));
    }

    #[test]
    fn the_newest_summary_stays() {
        let mut leaders = Leaders::default();
        let summary = |index| SectorSummary {
            sector: SECTOR,
            version: Fencing::new(1, index),
            at: Hlc::default(),
            ..SectorSummary::default()
        };
        assert!(leaders.on_summary(leads(1, 7), summary(5), TimeUs(1)));
        assert!(!leaders.on_summary(leads(1, 7), summary(4), TimeUs(2)));
        assert!(leaders.on_summary(leads(1, 7), summary(6), TimeUs(3)));
        assert_eq!(leaders.get(SECTOR).unwrap().summary.as_ref().unwrap().version, Fencing::new(1, 6));
    }
}
