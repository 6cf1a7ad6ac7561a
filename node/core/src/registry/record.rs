//! One agent in the registry.

use super::{Capabilities, DEGRADED_ABOVE_SCORE, Impedance, UNSTABLE_ABOVE_PPM, score};
use crate::beat::AgentReport;
use crate::wire::Hlc;
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, Hash, NodeId, Region};
use serde::{Deserialize, Serialize};

/// What an agent may be used for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Works.
    Active,
    /// Works, but too slowly for machine work.
    Degraded,
    /// Not there.
    Offline,
    /// Kept apart because it contradicted others or its context does not match.
    Quarantined,
    /// Paused by its operators.
    Frozen,
}

/// Where an agent's energy comes from; only on-site or contracted sources count as other than the grid.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum EnergySource {
    /// The grid of the agent's region.
    Grid,
    /// Sun, on site or contracted.
    Solar,
    /// Wind, on site or contracted.
    Wind,
    /// Water.
    Hydro,
    /// Nuclear, contracted.
    Nuclear,
}

/// What the ledger says of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSeat {
    /// The agent.
    pub agent: AgentId,
    /// Its class.
    pub class: AgentClass,
    /// The node that hosts it.
    pub host: NodeId,
    /// Its cluster, and by it its sector.
    pub cluster: ClusterId,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Where its host is.
    pub region: Region,
}

/// One agent in the registry: its seat on the ledger and the newest committed report of its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The agent.
    pub agent: AgentId,
    /// Its class.
    pub class: AgentClass,
    /// The node that hosts it.
    pub host: NodeId,
    /// Its cluster, and by it its sector.
    pub cluster: ClusterId,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Measured delays and queue.
    pub impedance: Impedance,
    /// `Z` of the impedance.
    pub z_us: u64,
    /// Score of the impedance, 0 (instant) to 1000.
    pub score: u16,
    /// Share of successes in the last hour with a Beta prior, in ppm.
    pub reliability_ppm: u32,
    /// 95th percentile of the relative change of `Z` from report to report, in ppm.
    pub drift_ppm: u32,
    /// Share of its predictions that held, in ppm.
    pub calibration_ppm: u32,
    /// State by its last report and score; that its host fell silent is known to the view it is in.
    pub state: AgentState,
    /// Hash of its context.
    pub context: Hash,
    /// Stamp of the batch that last reported it. Its host may have been heard of since, see `SectorView::host`.
    pub last_beat: Hlc,
    /// Where its host is.
    pub region: Region,
    /// What feeds it.
    pub energy: EnergySource,
    /// Price of a unit of its work.
    pub price_uftns: u64,
    /// Sequence of the batch that last reported it: rises with every change.
    pub version: u64,
}

impl Record {
    /// Joins what the ledger and the host say.
    #[must_use]
    pub fn new(seat: &AgentSeat, report: &AgentReport, last_beat: Hlc, version: u64) -> Self {
        let z_us = report.impedance.z_us();
        let score = score(z_us, seat.class);
        let slow = seat.class != AgentClass::F && score > DEGRADED_ABOVE_SCORE;
        let state = if slow && report.state == AgentState::Active { AgentState::Degraded } else { report.state };
        Self {
            agent: seat.agent,
            class: seat.class,
            host: seat.host,
            cluster: seat.cluster,
            capabilities: seat.capabilities,
            impedance: report.impedance,
            z_us,
            score,
            reliability_ppm: report.reliability_ppm,
            drift_ppm: report.drift_ppm,
            calibration_ppm: report.calibration_ppm,
            state,
            context: report.context,
            last_beat,
            region: seat.region,
            energy: report.energy,
            price_uftns: report.price_uftns,
            version,
        }
    }

    /// Whether its impedance changes too much from report to report to be relied on.
    #[must_use]
    pub const fn is_unstable(&self) -> bool {
        self.drift_ppm > UNSTABLE_ABOVE_PPM
    }
}
