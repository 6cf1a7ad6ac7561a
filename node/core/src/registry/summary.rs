//! Statistics that merge upward: cluster to sector to mesh.

use super::{AgentState, Capabilities, LogSketch, Record};
use crate::lead::Fencing;
use crate::wire::Hlc;
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::{AgentClass, AgentId, SectorId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An agent that is at one end of a scale.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
pub struct Extreme {
    /// Its value on the scale.
    pub value: u64,
    /// The agent.
    pub agent: AgentId,
}

/// Statistics of a set of agents. Merging is associative and commutative, quantiles included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Summary {
    /// Agents with a seat on the ledger.
    pub agents: u32,
    /// Agents that are active.
    pub active: u32,
    /// Agents too slow for machine work.
    pub degraded: u32,
    /// Agents that are gone, silent, or never reported.
    pub offline: u32,
    /// Agents kept apart.
    pub quarantined: u32,
    /// Agents paused.
    pub frozen: u32,
    /// Agents of class F, which the scores and delays below leave out.
    pub humans: u32,
    /// Machines the scores and delays below are of.
    pub machines: u32,
    /// Sum of the machines' scores.
    pub score_sum: u64,
    /// The machines' impedances, in microseconds.
    pub z_us: LogSketch,
    /// The machine with the lowest score.
    pub fastest: Option<Extreme>,
    /// The machine with the highest score.
    pub slowest: Option<Extreme>,
    /// The machine with the highest reliability, in ppm.
    pub healthiest: Option<Extreme>,
    /// The machine with the lowest reliability, in ppm.
    pub sickest: Option<Extreme>,
    /// Every capability that some agent has.
    pub capabilities: Capabilities,
}

impl Summary {
    /// Counts agents that have a seat but no report yet.
    pub fn add_unreported(&mut self, agents: u32) {
        self.agents = self.agents.saturating_add(agents);
        self.offline = self.offline.saturating_add(agents);
    }

    /// Counts an agent that is in `state` now. Those offline count in no delay: their last one says nothing of today.
    pub fn add(&mut self, record: &Record, state: AgentState) {
        self.agents = self.agents.saturating_add(1);
        let count = match state {
            AgentState::Active => &mut self.active,
            AgentState::Degraded => &mut self.degraded,
            AgentState::Offline => &mut self.offline,
            AgentState::Quarantined => &mut self.quarantined,
            AgentState::Frozen => &mut self.frozen,
        };
        *count = count.saturating_add(1);
        if state == AgentState::Offline {
            return;
        }
        self.capabilities = self.capabilities.union(record.capabilities);
        if record.class == AgentClass::F {
            self.humans = self.humans.saturating_add(1);
            return;
        }
        self.machines = self.machines.saturating_add(1);
        self.score_sum = self.score_sum.saturating_add(u64::from(record.score));
        self.z_us.add(record.z_us);
        let speed = Some(Extreme { value: u64::from(record.score), agent: record.agent });
        let health = Some(Extreme { value: u64::from(record.reliability_ppm), agent: record.agent });
        self.fastest = lower(self.fastest, speed);
        self.slowest = self.slowest.max(speed);
        self.healthiest = self.healthiest.max(health);
        self.sickest = lower(self.sickest, health);
    }

    /// Adds the agents of `other`, which must be others than those counted here.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.agents, other.agents),
            (&mut self.active, other.active),
            (&mut self.degraded, other.degraded),
            (&mut self.offline, other.offline),
            (&mut self.quarantined, other.quarantined),
            (&mut self.frozen, other.frozen),
            (&mut self.humans, other.humans),
            (&mut self.machines, other.machines),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        self.score_sum = self.score_sum.saturating_add(other.score_sum);
        self.z_us.merge(&other.z_us);
        self.fastest = lower(self.fastest, other.fastest);
        self.slowest = self.slowest.max(other.slowest);
        self.healthiest = self.healthiest.max(other.healthiest);
        self.sickest = lower(self.sickest, other.sickest);
        self.capabilities = self.capabilities.union(other.capabilities);
    }

    /// Mean score of the machines, rounded down.
    #[must_use]
    pub fn mean_score(&self) -> Option<u64> {
        self.score_sum.checked_div(u64::from(self.machines))
    }

    /// Median impedance of the machines.
    #[must_use]
    pub fn z_p50_us(&self) -> Option<u64> {
        self.z_us.quantile(500_000)
    }

    /// 95th percentile of the impedance of the machines.
    #[must_use]
    pub fn z_p95_us(&self) -> Option<u64> {
        self.z_us.quantile(950_000)
    }

    /// Active agents per million with a seat; none without agents.
    #[must_use]
    pub fn active_ppm(&self) -> Option<u32> {
        let active = u64::from(self.active).saturating_mul(1_000_000);
        active.checked_div(u64::from(self.agents)).and_then(|ppm| u32::try_from(ppm).ok())
    }
}

fn lower(a: Option<Extreme>, b: Option<Extreme>) -> Option<Extreme> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What a coordinator tells the mesh about its sector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct SectorSummary {
    /// The sector.
    pub sector: SectorId,
    /// Position in the sector group up to which it counts; a summary with a lower one is stale.
    pub version: Fencing,
    /// When it was made; decides between summaries of one version.
    pub at: Hlc,
    /// One summary for each cluster, by the cluster's index.
    pub clusters: BTreeMap<u32, Summary>,
}

impl SectorSummary {
    /// The clusters together.
    #[must_use]
    pub fn total(&self) -> Summary {
        let mut total = Summary::default();
        for cluster in self.clusters.values() {
            total.merge(cluster);
        }
        total
    }

    /// Whether this summary replaces `other`.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.version, self.at) > (other.version, other.at)
    }
}
