//! In which sector an agent is: one look instead of one per sector.

use super::SectorView;
use mesh30k_ledger::types::{AgentId, SectorId};

/// Agents with their sectors, in rising order.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Vec<(AgentId, SectorId)>);

impl Places {
    /// With the agents of one sector replaced by those of `view`.
    pub(super) fn with_sector(&self, view: &SectorView) -> Self {
        let others = self.0.iter().filter(|(_, sector)| *sector != view.sector()).copied();
        let own = view.membership.agents().iter().map(|agent| (*agent, view.sector()));
        let mut places: Vec<_> = others.chain(own).collect();
        // Two rising runs: the sort merges them.
        places.sort();
        Self(places)
    }

    /// The sectors that have `agent`: two while one of them has not yet heard that it moved.
    pub(super) fn of(&self, agent: AgentId) -> impl Iterator<Item = SectorId> {
        let start = self.0.partition_point(|(other, _)| *other < agent);
        let from_here = self.0.get(start..).unwrap_or_default();
        from_here.iter().take_while(move |(other, _)| *other == agent).map(|(_, sector)| *sector)
    }
}
