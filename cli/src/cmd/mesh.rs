//! `mesh30k mesh`: look at the mesh.

use anyhow::Result;
use clap::Subcommand;
use mesh30k_ledger::types::{AgentClass, SectorId};
use mesh30k_node::api::types::{AgentRow, MeshTree, Status};

use crate::output::{json, line, or_dash, table};
use crate::session::Session;

/// Look at the mesh.
#[derive(Subcommand)]
pub(crate) enum Mesh {
    /// One screen: this node, the chain, the sectors.
    #[command(after_help = "Example: mesh30k mesh status")]
    Status,
    /// Sectors, their coordinators, clusters and leads.
    #[command(after_help = "Example: mesh30k mesh tree")]
    Tree,
    /// Agents with their impedance.
    #[command(after_help = "Example: mesh30k mesh agents --sector 0 --class E --limit 10")]
    Agents {
        /// Only this sector.
        #[arg(long)]
        sector: Option<SectorId>,
        /// Only this class, A to F.
        #[arg(long)]
        class: Option<AgentClass>,
        /// Only this state: active, degraded, offline, quarantined or frozen.
        #[arg(long)]
        state: Option<String>,
        /// Rows at most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}

impl Mesh {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Status => status(session),
            Self::Tree => tree(session),
            Self::Agents { sector, class, state, limit } => {
                let mut query = format!("/v1/mesh/agents?limit={limit}");
                if let Some(sector) = sector {
                    query.push_str(&format!("&sector={}", sector.0));
                }
                if let Some(class) = class {
                    query.push_str(&format!("&class={class}"));
                }
                if let Some(state) = state {
                    query.push_str(&format!(
                        "&state={}",
                        state.replace(|letter: char| !letter.is_ascii_alphabetic(), "")
                    ));
                }
                agents(session, &query)
            }
        }
    }
}

fn status(session: &Session) -> Result<()> {
    let client = session.client()?;
    let status: Status = client.get("/v1/status")?;
    if session.wants_json() {
        return json(&status);
    }
    let tree: MeshTree = client.get("/v1/mesh/tree")?;
    let node = or_dash(status.node);
    line(format!("node {node} ({}) on chain {}, {} peers", status.role, status.chain, status.peers));
    line(format!(
        "ledger: block {} final, {} ordered, leader node {}, {} transactions waiting",
        status.final_height,
        status.ordered_height,
        or_dash(status.leader),
        status.pool
    ));
    if let Some(reason) = &status.halted {
        line(format!("HALTED: {reason}"));
    }
    let agents: usize = tree.sectors.iter().map(|sector| sector.agents).sum();
    let active: usize = tree.sectors.iter().map(|sector| sector.active).sum();
    line(format!(
        "mesh: {} sectors, {agents} agents, {active} active; {} hosted here",
        tree.sectors.len(),
        status.hosted_agents
    ));
    if !status.replay.is_empty() {
        line(format!("note: {}", status.replay));
    }
    for missing in &status.not_ready {
        line(format!("not ready: {missing}"));
    }
    Ok(())
}

fn tree(session: &Session) -> Result<()> {
    let tree: MeshTree = session.client()?.get("/v1/mesh/tree")?;
    if session.wants_json() {
        return json(&tree);
    }
    for sector in &tree.sectors {
        let voters: Vec<String> = sector.voters.iter().map(ToString::to_string).collect();
        line(format!(
            "sector {}  coordinator node {} (term {}), voters {}, {} of {} agents active",
            sector.sector,
            or_dash(sector.coordinator),
            sector.term,
            voters.join(" "),
            sector.active,
            sector.agents
        ));
        for (index, cluster) in sector.clusters.iter().enumerate() {
            let branch = if index + 1 == sector.clusters.len() { "└" } else { "├" };
            line(format!(
                "  {branch} cluster {:<6} lead node {:<4} deputy {:<4} {:>3} agents",
                cluster.cluster.to_string(),
                or_dash(cluster.lead),
                or_dash(cluster.deputy),
                cluster.agents
            ));
        }
    }
    Ok(())
}

fn agents(session: &Session, query: &str) -> Result<()> {
    let rows: Vec<AgentRow> = session.client()?.get(query)?;
    if session.wants_json() {
        return json(&rows);
    }
    let milliseconds =
        |us: Option<u64>| us.map_or_else(|| "-".to_owned(), |us| format!("{}.{}", us / 1_000, us % 1_000 / 100));
    let rows = rows
        .iter()
        .map(|row| {
            vec![
                row.agent.to_string(),
                row.class.to_string(),
                row.cluster.to_string(),
                row.host.to_string(),
                if row.frozen { "frozen".to_owned() } else { row.state.clone() },
                or_dash(row.score),
                milliseconds(row.one_way_us_p50),
                milliseconds(row.processing_us_p50),
            ]
        })
        .collect();
    line(table(&["agent", "class", "cluster", "node", "state", "score", "one-way ms", "work ms"], &[0, 5, 6, 7], rows));
    Ok(())
}
