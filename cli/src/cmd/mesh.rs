//! `mesh30k mesh`: look at the mesh.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use mesh30k_core::registry::Extreme;
use mesh30k_ledger::types::{AgentClass, AgentId, Region, SectorId};
use mesh30k_node::api::types::{AgentRow, DiskRow, DutyRow, DutyState, HistoryAnswer, MeshTree, StatisticsRow, Status};
use mesh30k_node::clock::wall_ms;
use mesh30k_testnet::carbon::utc;
use mesh30k_testnet::operations::{self, FindOrder};

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
    /// The best agents for something, by the registry.
    #[command(after_help = "Examples: mesh30k mesh find --capability compute -n 50 --max-score 500\n          \
                            mesh30k mesh find --class D --order reliability --state any")]
    Find {
        #[command(flatten)]
        wanted: Wanted,
        /// Agents at most.
        #[arg(short, default_value_t = 10)]
        n: usize,
        /// Only this state: active, degraded, offline, quarantined, frozen, or any.
        #[arg(long, default_value = "active")]
        state: String,
    },
    /// Counts, scores and delays of the mesh, each sector or each cluster.
    #[command(after_help = "Example: mesh30k mesh statistics --by sector")]
    Statistics {
        /// mesh, sector or cluster.
        #[arg(long, value_enum, default_value_t = By::Mesh)]
        by: By,
    },
    /// How an agent's or a sector's impedance was over the last hour, day or week.
    #[command(after_help = "Examples: mesh30k mesh history --agent 17\n          \
                            mesh30k mesh history --sector 0 --over week")]
    History {
        /// Which agent; ask a voter of its sector.
        #[arg(long, required_unless_present = "sector")]
        agent: Option<AgentId>,
        /// Which sector: its median, and its 95th percentile as the worst.
        #[arg(long, conflicts_with = "agent")]
        sector: Option<SectorId>,
        /// By minutes, half hours or three hours.
        #[arg(long, value_enum, default_value_t = Span::Hour)]
        over: Span,
    },
}

/// How far back a history goes.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Span {
    Hour,
    Day,
    Week,
}

/// What statistics are of.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum By {
    Mesh,
    Sector,
    Cluster,
}

/// What an agent must be like.
#[derive(Args)]
pub(crate) struct Wanted {
    /// Only agents with this capability; several are all needed.
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// Only this class, A to F.
    #[arg(long)]
    class: Option<AgentClass>,
    /// Only up to this score, 0 (instant) to 1000.
    #[arg(long)]
    max_score: Option<u16>,
    /// Only hosts in this region, such as KE.
    #[arg(long)]
    region: Option<Region>,
    /// Only this sector.
    #[arg(long)]
    sector: Option<SectorId>,
    /// Only agents fed by something other than the grid.
    #[arg(long)]
    green: bool,
    /// What makes the best: score, impedance, price, reliability or drift.
    #[arg(long, default_value = "score")]
    order: String,
}

impl Wanted {
    /// As the node is asked.
    pub(crate) fn order(&self) -> FindOrder {
        FindOrder {
            capabilities: self.capability.clone(),
            max_score: self.max_score,
            class: self.class,
            region: self.region,
            sector: self.sector,
            green: self.green,
            order: Some(self.order.clone()),
            ..FindOrder::default()
        }
    }
}

impl Mesh {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Status => status(session),
            Self::Tree => tree(session),
            Self::Find { wanted, n, state } => {
                find(session, &FindOrder { n: Some(n), state: Some(state), ..wanted.order() })
            }
            Self::Statistics { by } => statistics(session, by),
            Self::History { agent, sector, over } => history(session, agent, sector, over),
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

fn find(session: &Session, order: &FindOrder) -> Result<()> {
    let rows = operations::find(&session.client()?, order)?;
    if session.wants_json() {
        return json(&rows);
    }
    let rows = rows.iter().map(|row| {
        vec![
            row.agent.to_string(),
            row.class.to_string(),
            row.cluster.to_string(),
            row.host.to_string(),
            row.score.to_string(),
            milliseconds(Some(row.z_us)),
            (row.reliability_ppm / 1_000).to_string(),
            row.price_uftns.to_string(),
            row.region.to_string(),
            row.capabilities.join(","),
        ]
    });
    let headings = ["agent", "class", "cluster", "node", "score", "Z ms", "reliable ‰", "price uFTNS", "region", "can"];
    line(table(&headings, &[0, 3, 4, 5, 6, 7], rows.collect()));
    Ok(())
}

fn statistics(session: &Session, by: By) -> Result<()> {
    let by = match by {
        By::Mesh => "mesh",
        By::Sector => "sector",
        By::Cluster => "cluster",
    };
    let rows: Vec<StatisticsRow> = session.client()?.get(&format!("/v1/mesh/statistics?by={by}"))?;
    if session.wants_json() {
        return json(&rows);
    }
    let who = |extreme: Option<Extreme>| or_dash(extreme.map(|extreme| extreme.agent));
    let rows = rows.iter().map(|row| {
        vec![
            row.scope.to_string(),
            row.agents.to_string(),
            row.active.to_string(),
            row.degraded.to_string(),
            row.offline.to_string(),
            row.frozen.to_string(),
            or_dash(row.mean_score),
            milliseconds(row.z_p50_us),
            milliseconds(row.z_p95_us),
            who(row.fastest),
            who(row.slowest),
            who(row.healthiest),
            who(row.sickest),
        ]
    });
    let headings = [
        "of",
        "agents",
        "active",
        "degraded",
        "offline",
        "frozen",
        "score",
        "Z p50 ms",
        "Z p95 ms",
        "fastest",
        "slowest",
        "healthiest",
        "sickest",
    ];
    line(table(&headings, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], rows.collect()));
    Ok(())
}

fn history(session: &Session, agent: Option<AgentId>, sector: Option<SectorId>, over: Span) -> Result<()> {
    let of = match (agent, sector) {
        (Some(agent), _) => format!("agent={}", agent.0),
        (None, sector) => format!("sector={}", or_dash(sector.map(|sector| sector.0))),
    };
    let resolution = match over {
        Span::Hour => "hour",
        Span::Day => "day",
        Span::Week => "week",
    };
    let path = format!("/v1/mesh/history?{of}&resolution={resolution}");
    let history: HistoryAnswer = session.client()?.get(&path)?;
    if session.wants_json() {
        return json(&history);
    }
    line(format!(
        "impedance in ms: now {}, last hour {}, last day {}, last week {}; now against the day {}",
        milliseconds(history.now_us),
        milliseconds(history.hour_us),
        milliseconds(history.day_us),
        milliseconds(history.week_us),
        or_dash(history.change_ppm.map(|ppm| format!("{:+} %", ppm / 10_000)))
    ));
    let now_ms = wall_ms();
    let rows = history.periods.iter().map(|period| {
        let ago_min = now_ms.saturating_sub(period.at_ms) / 60_000;
        vec![ago_min.to_string(), milliseconds(Some(period.mean_us)), milliseconds(Some(period.worst_us))]
    });
    line(table(&["minutes ago", "mean ms", "worst ms"], &[0, 1, 2], rows.collect()));
    Ok(())
}

/// Microseconds as milliseconds with one digit after the point.
fn milliseconds(us: Option<u64>) -> String {
    us.map_or_else(|| "-".to_owned(), |us| format!("{}.{}", us / 1_000, us % 1_000 / 100))
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
    let DiskRow { state, free_bytes, total_bytes } = &status.disk;
    line(format!("disk: {state}, {} MiB free of {}", free_bytes >> 20, total_bytes >> 20));
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
    status.duties.iter().for_each(|duty| line(duty_line(duty)));
    if !status.replay.is_empty() {
        line(format!("note: {}", status.replay));
    }
    for missing in &status.not_ready {
        line(format!("not ready: {missing}"));
    }
    Ok(())
}

fn duty_line(row: &DutyRow) -> String {
    let state = match row.state {
        DutyState::Resting => "nothing to do",
        DutyState::Waiting => "to be done",
        DutyState::Done => "done",
        DutyState::Unpaid => "NO MONEY for the fee",
        DutyState::GivenUp => "GIVEN UP",
    };
    let last = row.last_done.map(|at| format!(", last {}", utc(at))).unwrap_or_default();
    format!("duty: {} of {}: {state}{last} ({})", row.duty.as_str(), row.subject, row.note)
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
