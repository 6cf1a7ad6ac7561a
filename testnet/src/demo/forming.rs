//! Step 1: who was elected.

use anyhow::Result;
use mesh30k_ledger::types::NodeId;
use mesh30k_node::api::types::{ClusterRow, SectorRow};
use serde::Serialize;

use super::Stage;
use crate::ready::Ready;
use crate::render::grouped;

/// Offices of the formed mesh.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Forming {
    /// Leads the validators' Raft group.
    pub leader: Option<NodeId>,
    /// Sectors with a coordinator.
    pub coordinators: usize,
    /// Sectors.
    pub sectors: usize,
    /// Clusters with a lead.
    pub leads: usize,
    /// Clusters.
    pub clusters: usize,
    /// In words: how the delays of the agents come about.
    pub replay: String,
}

/// Said when a node does not say it itself.
const REPLAY: &str = "The agents' delays are replayed from measurements of the real internet (Seattle, PlanetLab, \
                      WonderNetwork cities), on top of the real sockets between the nodes.";

impl Forming {
    /// What does not hold.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.leader.is_none() {
            failures.push("no validator leads".to_owned());
        }
        if self.sectors == 0 || self.coordinators < self.sectors {
            failures.push(format!("{} of {} sectors have a coordinator", self.coordinators, self.sectors));
        }
        if self.leads < self.clusters {
            failures.push(format!("{} of {} clusters have a lead", self.leads, self.clusters));
        }
        failures
    }
}

/// Shows the tree.
///
/// # Errors
/// None so far; steps share the signature.
pub fn run(stage: &Stage<'_>, ready: &Ready) -> Result<Forming> {
    let clusters = || ready.tree.sectors.iter().flat_map(|sector| &sector.clusters);
    let said = ready.statuses.iter().map(|status| status.replay.as_str()).find(|text| !text.is_empty());
    let forming = Forming {
        leader: ready.statuses.iter().find_map(|status| status.leader),
        coordinators: ready.tree.sectors.iter().filter(|sector| sector.coordinator.is_some()).count(),
        sectors: ready.tree.sectors.len(),
        leads: clusters().filter(|cluster| cluster.lead.is_some()).count(),
        clusters: clusters().count(),
        replay: said.unwrap_or(REPLAY).to_owned(),
    };
    let console = stage.console;
    let leader = forming.leader.map_or_else(|| "none".to_owned(), |node| format!("node {node}"));
    console.text(&format!(
        "{} validators order and certify blocks; {leader} was elected to propose. {} clusters, each led under a lease.",
        stage.layout.size.validators,
        grouped(forming.clusters as u64)
    ));
    let rows = ready.tree.sectors.iter().map(row).collect();
    console.table(&["sector", "coordinator", "term", "voters", "agents", "clusters", "led by"], &[0, 2, 4, 5], rows);
    console.note(&forming.replay);
    Ok(forming)
}

fn row(sector: &SectorRow) -> Vec<String> {
    let voters: Vec<String> = sector.voters.iter().map(ToString::to_string).collect();
    vec![
        sector.sector.to_string(),
        sector.coordinator.map_or_else(|| "-".to_owned(), |node| format!("node {node}")),
        sector.term.to_string(),
        voters.join(" "),
        grouped(sector.agents as u64),
        sector.clusters.len().to_string(),
        led_by(&sector.clusters),
    ]
}

/// Which nodes lead how many clusters: `nodes 1 (3), 2 (2)`.
fn led_by(clusters: &[ClusterRow]) -> String {
    let mut counts = std::collections::BTreeMap::<NodeId, usize>::new();
    for lead in clusters.iter().filter_map(|cluster| cluster.lead) {
        *counts.entry(lead).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(node, count)| format!("{node} ({count})")).collect();
    if parts.is_empty() { "-".to_owned() } else { format!("nodes {}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vacant_office_is_a_failure() {
        let whole = Forming {
            leader: Some(NodeId(1)),
            coordinators: 2,
            sectors: 2,
            leads: 20,
            clusters: 20,
            ..Forming::default()
        };
        assert!(whole.failures().is_empty());
        let vacant = Forming { coordinators: 1, leads: 19, leader: None, ..whole };
        assert_eq!(vacant.failures().len(), 3);
    }
}
