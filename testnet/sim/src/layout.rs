//! Who is where: agents dealt in sequence, classes by the shares of the overview.

use std::collections::BTreeMap;

use mesh30k_core::event::{AgentLink, CLASSES, ClassSet, Enrolment, class_index};
use mesh30k_core::hosted::HostedAgent;
use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, NodeId, Scope, SectorId};

use crate::config::SimConfig;

/// Shares of 30,000 agents by class, in thousands of the overview.
const SHARES: [u32; 6] = [10, 8, 5, 2, 3, 2];

/// The mesh's shape.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) clusters: BTreeMap<ClusterId, Vec<AgentLink>>,
}

impl Layout {
    pub(crate) fn new(config: &SimConfig) -> Self {
        let mut clusters: BTreeMap<ClusterId, Vec<AgentLink>> = BTreeMap::new();
        for index in 0..config.agents {
            let in_sector = index % config.sector_capacity;
            let cluster =
                ClusterId { sector: SectorId(index / config.sector_capacity), index: in_sector / config.cluster_size };
            // Consecutive agents sit on one host, as one host's batch is registered at once.
            let per_host = config.agents.div_ceil(config.hosts);
            let link = AgentLink {
                agent: AgentId(u64::from(index) + 1),
                host: NodeId(u64::from(index / per_host) + 1),
                class: class_of(index),
                capabilities: 0,
            };
            clusters.entry(cluster).or_default().push(link);
        }
        Self { clusters }
    }

    pub(crate) fn hosted(&self) -> impl Iterator<Item = (NodeId, HostedAgent)> + '_ {
        self.clusters.iter().flat_map(|(cluster, links)| {
            links.iter().map(|l| {
                let spec =
                    HostedAgent { agent: l.agent, class: l.class, capabilities: l.capabilities, cluster: *cluster };
                (l.host, spec)
            })
        })
    }

    pub(crate) fn sectors(&self) -> Vec<SectorId> {
        let mut sectors: Vec<SectorId> = self.clusters.keys().map(|c| c.sector).collect();
        sectors.dedup();
        sectors
    }

    /// The denominators: per sector for the orchestrator, per cluster for a coordinator.
    pub(crate) fn enrolments(&self, classes: ClassSet, sector: Option<SectorId>) -> Vec<Enrolment> {
        let mut counts: BTreeMap<Scope, [u32; 6]> = BTreeMap::new();
        for (cluster, links) in self.clusters.iter().filter(|(c, _)| sector.is_none_or(|s| s == c.sector)) {
            let child = if sector.is_some() { Scope::Cluster(*cluster) } else { Scope::Sector(cluster.sector) };
            for link in links.iter().filter(|l| classes.contains(l.class)) {
                if let Some(count) = counts.entry(child).or_default().get_mut(class_index(link.class)) {
                    *count += 1;
                }
            }
        }
        counts.into_iter().map(|(child, agents)| Enrolment { child, agents }).collect()
    }
}

/// Classes interleaved so that every stretch of 30 has the shares of the whole.
fn class_of(index: u32) -> AgentClass {
    let position = (index * 7) % 30;
    let mut upper = 0;
    for (class, share) in CLASSES.into_iter().zip(SHARES) {
        upper += share;
        if position < upper {
            return class;
        }
    }
    AgentClass::A
}
