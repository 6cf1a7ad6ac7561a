//! Step 6: where the ledger stands and what the nodes used.

use anyhow::Result;
use mesh30k_node::api::types::Status;

use super::Stage;
use crate::launcher::Fleet;
use crate::render::grouped;

/// The state at the end of the main job.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// Last final block that any node knew.
    pub final_height: u64,
    /// Peak resident memory of the largest node, KiB.
    pub peak_rss_kib_max: Option<u64>,
    /// Why a node's chain stands still.
    pub halted: Vec<String>,
}

impl Closing {
    /// What does not hold.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.halted.clone()
    }
}

/// Asks every node once more.
///
/// # Errors
/// When a node can't be asked.
pub fn run(stage: &Stage<'_>, fleet: &Fleet) -> Result<Closing> {
    let statuses: Vec<Status> = stage.ask_all("/v1/status")?;
    let peaks = fleet.peak_rss_kib();
    let halted = statuses.iter().zip(&stage.layout.nodes);
    let closing = Closing {
        final_height: statuses.iter().map(|status| status.final_height.0).max().unwrap_or(0),
        peak_rss_kib_max: peaks.iter().copied().flatten().max(),
        halted: halted
            .filter_map(|(status, node)| status.halted.as_ref().map(|reason| format!("{}: {reason}", node.name)))
            .collect(),
    };
    let rows = statuses.iter().zip(&stage.layout.nodes).zip(&peaks).map(|((status, node), peak)| {
        vec![
            node.name.clone(),
            status.role.clone(),
            node.region.to_string(),
            status.hosted_agents.to_string(),
            status.peers.to_string(),
            grouped(status.final_height.0),
            peak.map_or_else(|| "-".to_owned(), mebibytes),
        ]
    });
    let headings = ["node", "role", "region", "agents", "peers", "final block", "peak memory"];
    stage.console.table(&headings, &[3, 4, 5, 6], rows.collect());
    Ok(closing)
}

fn mebibytes(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1_024, kib % 1_024 * 10 / 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shown_with_one_decimal() {
        assert_eq!([mebibytes(49_152), mebibytes(17_920), mebibytes(1_023)], ["48.0 MiB", "17.5 MiB", "0.9 MiB"]);
    }

    #[test]
    fn a_chain_that_stands_still_is_a_failure() {
        let closing = Closing { halted: vec!["node-2: divergence".into()], ..Closing::default() };
        assert_eq!(closing.failures().len(), 1);
    }
}
