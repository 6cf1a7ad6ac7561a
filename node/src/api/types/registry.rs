//! What queries of the impedance registry answer.

use mesh30k_core::registry::{EnergySource, Extreme};
use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, NodeId, Region, Scope};
use serde::{Deserialize, Serialize};

/// One row of `GET /v1/mesh/find`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoundRow {
    /// Which.
    pub agent: AgentId,
    /// Its class.
    pub class: AgentClass,
    /// The node that hosts it.
    pub host: NodeId,
    /// Where it is placed.
    pub cluster: ClusterId,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Impedance score, 0 (instant) to 1000.
    pub score: u16,
    /// Its impedance, microseconds.
    pub z_us: u64,
    /// Share of successes in the last hour, parts per million.
    pub reliability_ppm: u32,
    /// How much its impedance changes from report to report, parts per million.
    pub drift_ppm: u32,
    /// Price of a unit of its work, micro-FTNS.
    pub price_uftns: u64,
    /// Where its host is.
    pub region: Region,
    /// What feeds it.
    pub energy: EnergySource,
}

/// One row of `GET /v1/mesh/statistics`: a cluster, a sector or the mesh.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatisticsRow {
    /// Of what.
    pub scope: Scope,
    /// Agents with a seat on the ledger.
    pub agents: u32,
    /// Of those, active.
    pub active: u32,
    /// Too slow for machine work.
    pub degraded: u32,
    /// Gone, silent, or never reported.
    pub offline: u32,
    /// Kept apart.
    pub quarantined: u32,
    /// Paused.
    pub frozen: u32,
    /// Mean score of the machines.
    pub mean_score: Option<u64>,
    /// Median impedance of the machines, microseconds; of merged sketches, as the next.
    pub z_p50_us: Option<u64>,
    /// 95th percentile of it.
    pub z_p95_us: Option<u64>,
    /// The machine with the lowest score.
    pub fastest: Option<Extreme>,
    /// The machine with the highest.
    pub slowest: Option<Extreme>,
    /// The machine with the highest reliability, parts per million.
    pub healthiest: Option<Extreme>,
    /// The machine with the lowest.
    pub sickest: Option<Extreme>,
}

/// `GET /v1/mesh/history?agent=` or `?sector=`: an impedance over time, microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryAnswer {
    /// Mean of the last five minutes; none when nothing was reported, as in the next.
    pub now_us: Option<u64>,
    /// Mean of the last hour.
    pub hour_us: Option<u64>,
    /// Mean of the last day.
    pub day_us: Option<u64>,
    /// Mean of the last week.
    pub week_us: Option<u64>,
    /// How much slower (positive) the last five minutes are than the last day, parts per million of the day.
    pub change_ppm: Option<i64>,
    /// The periods in which something was reported, the oldest first.
    pub periods: Vec<PeriodRow>,
}

/// One period of a history.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PeriodRow {
    /// Its beginning, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Mean of what was reported in it; of a sector, of its medians.
    pub mean_us: u64,
    /// The highest; of a sector, of its 95th percentiles.
    pub worst_us: u64,
}
