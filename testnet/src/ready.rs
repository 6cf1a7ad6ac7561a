//! Waiting until the mesh has formed, and saying what is still missing.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use mesh30k_node::api::types::{MeshTree, Status};
use mesh30k_node::clock::monotonic_us;

use crate::client::ApiClient;
use crate::launcher::Fleet;
use crate::layout::Layout;
use crate::render::Console;
use crate::stop::StopFlag;

/// Least pace at which nodes that are not ready are asked, and so much longer for each node: asking costs them time.
const POLL: Duration = Duration::from_millis(150);
const POLL_PER_NODE: Duration = Duration::from_millis(10);
/// How long one of them may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long forming may take, and so much longer for each node.
const DEADLINE_US: u64 = 90_000_000;
const DEADLINE_PER_NODE_US: u64 = 5_000_000;
/// Least time between two lines of progress where there is no bar.
const LINE_PACE_US: u64 = 1_000_000;

/// A mesh that has formed.
#[derive(Debug)]
pub struct Ready {
    /// From the start of the first process to the last node's readiness, milliseconds.
    pub ready_ms: u64,
    /// The tree as the first node sees it.
    pub tree: MeshTree,
    /// Every node's status when it became ready.
    pub statuses: Vec<Status>,
}

/// Waits until every node is ready and the tree is whole. `started_us` is [`monotonic_us`] of the first process's start.
///
/// # Errors
/// When a node dies, somebody asks to stop, or it takes too long: then with everything that is missing.
pub fn wait(fleet: &mut Fleet, layout: &Layout, console: &Console, stop: &StopFlag, started_us: u64) -> Result<Ready> {
    let clients: Vec<ApiClient> =
        layout.nodes.iter().map(|node| ApiClient::with_timeout(&node.api_url(), ANSWER_TIMEOUT)).collect();
    let deadline_us = DEADLINE_US + DEADLINE_PER_NODE_US * u64::from(layout.size.nodes);
    let mut statuses: Vec<Option<Status>> = vec![None; clients.len()];
    let mut progress = Progress::new(console, u64::from(layout.size.nodes));
    let pace = POLL.max(POLL_PER_NODE.saturating_mul(layout.size.nodes));
    loop {
        stop.check()?;
        fleet.check()?;
        // Those that were not started yet can't answer.
        let started = fleet.processes().len();
        ask(clients.get(..started).unwrap_or(&clients), &mut statuses);
        fleet.start_waiting(statuses.iter().flatten().filter(|status| has_joined(status)).count())?;
        let is_each_ready = statuses.iter().all(is_ready);
        // Asked once, not of everybody: the first node asks the voters of each sector it does not keep.
        let tree =
            clients.first().filter(|_| is_each_ready).and_then(|first| first.get::<MeshTree>("/v1/mesh/tree").ok());
        let missing = missing(&statuses, tree.as_ref(), layout.size.agents);
        let elapsed_us = monotonic_us().saturating_sub(started_us);
        if let Some(tree) = tree.filter(|_| missing.is_empty()) {
            progress.finish();
            return Ok(Ready {
                ready_ms: elapsed_us / 1_000,
                tree,
                statuses: statuses.into_iter().flatten().collect(),
            });
        }
        if elapsed_us > deadline_us {
            progress.finish();
            return Err(anyhow!("the mesh did not form within {} s: {}", deadline_us / 1_000_000, missing.join("; ")));
        }
        progress.show(elapsed_us, statuses.iter().filter(|status| is_ready(status)).count() as u64, &missing);
        stop.pause(pace)?;
    }
}

/// On the ledger, and all its parts run.
fn has_joined(status: &Status) -> bool {
    status.node.is_some() && status.hosted_agents > 0
}

fn is_ready(status: &Option<Status>) -> bool {
    status.as_ref().is_some_and(|status| status.not_ready.is_empty())
}

/// Asks those that were not ready when last asked, all at once.
fn ask(clients: &[ApiClient], statuses: &mut [Option<Status>]) {
    thread::scope(|scope| {
        for (client, status) in clients.iter().zip(statuses).filter(|(_, status)| !is_ready(status)) {
            // What a node said last still tells more than that it is too busy to answer now.
            scope.spawn(|| *status = client.get("/v1/status").ok().or_else(|| status.take()));
        }
    });
}

/// Everything that is not there yet, in words; empty when the mesh has formed.
fn missing(statuses: &[Option<Status>], tree: Option<&MeshTree>, agents: u32) -> Vec<String> {
    let mut missing = Vec::new();
    for (number, status) in (1..).zip(statuses) {
        match status {
            None => missing.push(format!("node-{number}: does not answer yet")),
            Some(status) if status.not_ready.is_empty() => {}
            Some(status) => missing.push(format!("node-{number}: {}", status.not_ready.join(", "))),
        }
    }
    let Some(tree) = tree else {
        if missing.is_empty() {
            missing.push("node-1: does not show the mesh".to_owned());
        }
        return missing;
    };
    let placed: usize = tree.sectors.iter().map(|sector| sector.agents).sum();
    if placed != agents as usize {
        missing.push(format!("{placed} of {agents} agents registered"));
    }
    for sector in tree.sectors.iter().filter(|sector| sector.coordinator.is_none()) {
        missing.push(format!("sector {}: no coordinator yet", sector.sector));
    }
    let clusters = tree.sectors.iter().flat_map(|sector| &sector.clusters);
    let leaderless: BTreeSet<String> =
        clusters.filter(|cluster| cluster.lead.is_none()).map(|cluster| cluster.cluster.to_string()).collect();
    if let Some(first) = leaderless.first() {
        missing.push(format!("{} clusters without a lead, the first is {first}", leaderless.len()));
    }
    missing
}

/// A bar on a terminal, a line a second elsewhere.
struct Progress<'a> {
    console: &'a Console,
    bar: indicatif::ProgressBar,
    nodes: u64,
    last_line_us: u64,
    last_line: String,
}

impl<'a> Progress<'a> {
    fn new(console: &'a Console, nodes: u64) -> Self {
        Self { console, bar: console.progress(nodes), nodes, last_line_us: 0, last_line: String::new() }
    }

    fn show(&mut self, elapsed_us: u64, ready: u64, missing: &[String]) {
        let first = missing.first().map_or("", String::as_str);
        self.bar.set_position(ready);
        self.bar.set_message(first.to_owned());
        let line = format!("{ready} of {} nodes ready; {first}", self.nodes);
        let is_due = elapsed_us.saturating_sub(self.last_line_us) >= LINE_PACE_US;
        if self.console.is_terminal() || !is_due || line == self.last_line {
            return;
        }
        let seconds = elapsed_us / 100_000;
        self.console.text(&format!("{}.{} s  {line}", seconds / 10, seconds % 10));
        self.last_line_us = elapsed_us;
        self.last_line = line;
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::types::{ClusterId, Hash, Height, NodeId, SectorId, TimeMs};
    use mesh30k_node::api::types::{ClusterRow, DiskRow, SectorRow};

    fn status(not_ready: &[&str]) -> Option<Status> {
        Some(Status {
            version: String::new(),
            chain: String::new(),
            genesis: Hash::ZERO,
            node: None,
            peer_id: String::new(),
            role: "observer".into(),
            peers: 0,
            final_height: Height(0),
            final_time: TimeMs(0),
            ordered_height: Height(0),
            leader: None,
            halted: None,
            disk: DiskRow::default(),
            pool: 0,
            hosted_agents: 0,
            duties: Vec::new(),
            replay: String::new(),
            not_ready: not_ready.iter().map(|&reason| reason.to_owned()).collect(),
            peak_rss_kib: 0,
        })
    }

    fn tree(coordinator: Option<NodeId>, lead: Option<NodeId>) -> MeshTree {
        let cluster =
            ClusterRow { cluster: ClusterId { sector: SectorId(0), index: 0 }, lead, deputy: None, agents: 30 };
        let sector = SectorRow {
            sector: SectorId(0),
            voters: Vec::new(),
            coordinator,
            term: 1,
            agents: 30,
            active: 30,
            clusters: vec![cluster],
        };
        MeshTree { sectors: vec![sector] }
    }

    #[test]
    fn a_whole_mesh_misses_nothing() {
        let whole = tree(Some(NodeId(1)), Some(NodeId(2)));
        assert!(missing(&[status(&[])], Some(&whole), 30).is_empty());
    }

    #[test]
    fn each_gap_is_named() {
        let statuses = [None, status(&["not registered", "no coordinator"])];
        let named = missing(&statuses, None, 30);
        assert_eq!(named, ["node-1: does not answer yet", "node-2: not registered, no coordinator"]);
        let named = missing(&[status(&[])], Some(&tree(None, None)), 31);
        let expected = [
            "30 of 31 agents registered",
            "sector 0: no coordinator yet",
            "1 clusters without a lead, the first is 0-0",
        ];
        assert_eq!(named, expected);
    }
}
