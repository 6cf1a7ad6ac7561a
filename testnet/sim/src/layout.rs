//! Who is where: agents dealt in sequence over sectors, clusters and hosts.

use mesh30k_core::event::{AgentLink, CLASSES};
use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, NodeId, SectorId};

/// Shares of the mixed scenario in fiftieths: 30 % edge, 30 % serverless, 20 % container, 8 % GPU, 12 % Pi.
const SHARES: [u32; 5] = [15, 15, 10, 4, 6];
const CLUSTER_SIZE: u32 = 30;
const CLUSTERS_OF_SECTOR: u32 = 10;
const MAX_SECTORS: u32 = 100;
/// Hosts over which a cluster is spread, so that a standby in another failure domain exists.
const HOSTS_OF_CLUSTER: u32 = 3;

/// The mesh's shape: sectors of equal size, the last ones perhaps smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    agents: u32,
    pub(crate) sectors: u32,
    pub(crate) clusters_of_sector: u32,
    cluster_size: u32,
}

impl Layout {
    /// Two sectors at least, a hundred at most; clusters of 30, of more only where a hundred sectors are full.
    pub(crate) fn new(agents: u32) -> Self {
        let wanted = agents.div_ceil(CLUSTER_SIZE);
        let sectors = wanted.div_ceil(CLUSTERS_OF_SECTOR).clamp(2.min(wanted), MAX_SECTORS);
        let clusters_of_sector = wanted.div_ceil(sectors).min(MAX_SECTORS);
        let cluster_size = agents.div_ceil(sectors * clusters_of_sector);
        Self { agents, sectors, clusters_of_sector, cluster_size }
    }

    pub(crate) const fn leads(&self) -> u32 {
        self.sectors * self.clusters_of_sector
    }

    /// Hosts of all sectors: as many as clusters, three at least in each sector.
    pub(crate) fn hosts(&self) -> u32 {
        self.sectors * self.hosts_of_sector()
    }

    fn hosts_of_sector(&self) -> u32 {
        self.clusters_of_sector.max(HOSTS_OF_CLUSTER)
    }

    pub(crate) const fn lead_of(&self, agent: u32) -> u32 {
        agent / self.cluster_size
    }

    pub(crate) const fn sector_of(&self, lead: u32) -> u32 {
        lead / self.clusters_of_sector
    }

    pub(crate) const fn cluster(&self, lead: u32) -> ClusterId {
        ClusterId { sector: SectorId(self.sector_of(lead)), index: lead % self.clusters_of_sector }
    }

    /// Position of a cluster's lead; none for a cluster that is not of this mesh.
    pub(crate) fn lead_at(&self, cluster: ClusterId) -> Option<u32> {
        let known = cluster.sector.0 < self.sectors && cluster.index < self.clusters_of_sector;
        known.then(|| cluster.sector.0 * self.clusters_of_sector + cluster.index)
    }

    pub(crate) fn host_of(&self, agent: u32) -> u32 {
        let lead = self.lead_of(agent);
        let in_sector = (lead % self.clusters_of_sector + agent % HOSTS_OF_CLUSTER) % self.hosts_of_sector();
        self.sector_of(lead) * self.hosts_of_sector() + in_sector
    }

    /// The agent as the ledger names it; ids count from one.
    pub(crate) fn link(&self, agent: u32) -> AgentLink {
        AgentLink {
            agent: AgentId(u64::from(agent) + 1),
            host: NodeId(u64::from(self.host_of(agent)) + 1),
            class: class_of(agent),
            capabilities: 0,
        }
    }

    /// Agents of a cluster.
    pub(crate) fn agents_of(&self, lead: u32) -> std::ops::Range<u32> {
        let first = (lead * self.cluster_size).min(self.agents);
        first..(first + self.cluster_size).min(self.agents)
    }
}

/// Position of an agent by its id.
pub(crate) fn position(agent: AgentId) -> u32 {
    u32::try_from(agent.0).unwrap_or(u32::MAX).saturating_sub(1)
}

/// Classes interleaved so that every stretch of 50 has the shares of the whole.
pub(crate) fn class_of(agent: u32) -> AgentClass {
    let position = (agent % 50 * 7) % 50;
    let mut upper = 0;
    for (class, share) in CLASSES.into_iter().zip(SHARES) {
        upper += share;
        if position < upper {
            return class;
        }
    }
    AgentClass::A
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_the_shape_of_the_overview_and_holds_everybody_once() {
        let shape = |agents| {
            let layout = Layout::new(agents);
            (layout.sectors, layout.leads(), layout.cluster_size)
        };
        assert_eq!(shape(30_000), (100, 1_000, 30));
        assert_eq!(shape(1_000_000), (100, 10_000, 100));
        assert_eq!(shape(120), (2, 4, 30));
        assert_eq!(shape(1), (1, 1, 1));
        for agents in [1, 29, 31, 120, 1_001, 30_000] {
            let layout = Layout::new(agents);
            let dealt: Vec<u32> = (0..layout.leads()).flat_map(|lead| layout.agents_of(lead)).collect();
            assert_eq!(dealt, (0..agents).collect::<Vec<_>>());
            for agent in 0..agents {
                let lead = layout.lead_of(agent);
                assert!(layout.agents_of(lead).contains(&agent));
                assert_eq!(layout.lead_at(layout.cluster(lead)), Some(lead));
                assert!(layout.host_of(agent) < layout.hosts());
            }
        }
    }

    #[test]
    fn classes_have_their_shares() {
        let count = |class| (0..50).filter(|a| class_of(*a) == class).count();
        assert_eq!(CLASSES.map(count), [15, 15, 10, 4, 6, 0]);
    }
}
