//! One handle to the mesh for the other parts of the node.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh30k_core::lead::{LeaseError, Tenure};
use mesh30k_core::placement::{CarbonTable, Choice, PlacementError, PlacementRequest, place};
use mesh30k_core::registry::{Query, Record, RegistryView, Resolution};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::{AgentId, ClusterId, NodeId, SectorId};
use tokio::sync::watch;

use super::clock::MeshClock;
use super::freeze::FreezeHandle;
use super::post::Postbox;
use super::trends::SharedTrends;
use crate::api::types::HistoryAnswer;
use crate::roster::Roster;
use crate::sectors::{Coordinator, SectorHandle, voted_by};

/// The mesh as seen from this node. Clones are the same.
#[derive(Clone)]
pub struct MeshHandle {
    post: Postbox,
    sectors: SectorHandle,
    freezes: FreezeHandle,
    trends: SharedTrends,
}

impl MeshHandle {
    pub(super) const fn new(post: Postbox, sectors: SectorHandle, freezes: FreezeHandle, trends: SharedTrends) -> Self {
        Self { post, sectors, freezes, trends }
    }

    /// The past of an agent; known at the voters of its sector, once they have looked.
    #[must_use]
    pub fn agent_history(&self, agent: AgentId, resolution: Resolution) -> Option<HistoryAnswer> {
        self.trends.agent(agent, resolution, self.now())
    }

    /// The past of a sector: medians, and 95th percentiles as the worst; known at its voters.
    #[must_use]
    pub fn sector_history(&self, sector: SectorId, resolution: Resolution) -> Option<HistoryAnswer> {
        self.trends.sector(sector, resolution, self.now())
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.post.me()
    }

    /// Mesh time now. Never waits.
    #[must_use]
    pub fn now(&self) -> TimeUs {
        self.post.now()
    }

    /// The mesh clock.
    #[must_use]
    pub fn clock(&self) -> &MeshClock {
        self.post.clock()
    }

    /// Nodes, agents and sectors as the ledger has them.
    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        self.post.roster().load()
    }

    /// Envelopes and lane "beat".
    #[must_use]
    pub const fn post(&self) -> &Postbox {
        &self.post
    }

    /// The sectors as this node knows them.
    #[must_use]
    pub const fn sectors(&self) -> &SectorHandle {
        &self.sectors
    }

    /// What is frozen.
    #[must_use]
    pub const fn freezes(&self) -> &FreezeHandle {
        &self.freezes
    }

    /// Who coordinates a sector, and in which term, as far as this node has heard.
    #[must_use]
    pub fn coordinator_of(&self, sector: SectorId) -> Option<Coordinator> {
        self.sectors.coordinator_of(sector)
    }

    /// Who may act for a cluster now. Known for the sectors this node keeps (its own and those it votes in).
    #[must_use]
    pub fn lead_of(&self, cluster: ClusterId) -> Option<(NodeId, Tenure)> {
        self.sectors.lead_of(cluster, self.now())
    }

    /// The clusters this node leads now, with the right under which it does.
    #[must_use]
    pub fn led(&self) -> BTreeMap<ClusterId, Tenure> {
        self.sectors.led_by(self.me(), self.now())
    }

    /// Judges a node that acts for a cluster under `tenure` now.
    ///
    /// # Errors
    /// [`LeaseError`] when the claim is stale or not held now.
    pub fn check_tenure(&self, cluster: ClusterId, node: NodeId, tenure: Tenure) -> Result<(), LeaseError> {
        self.sectors.check_tenure(cluster, node, tenure, self.now())
    }

    /// Told of changes of topology, leases and leadership.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.sectors.changes()
    }

    /// The registry of all sectors known here, as it is; see [`Self::refresh`].
    #[must_use]
    pub fn registry(&self) -> Arc<RegistryView> {
        self.sectors.registry()
    }

    /// Brings sectors that this node does not keep up to date, as far as their voters answer within seconds.
    pub async fn refresh(&self) {
        self.sectors.refresh_all().await;
    }

    /// The best agents for something, in the whole mesh.
    pub async fn find(&self, query: &Query) -> Vec<Arc<Record>> {
        self.refresh().await;
        self.registry().find(query, self.now())
    }

    /// Chooses agents for the parts of a task, by the registry and the freezes as known here now.
    ///
    /// # Errors
    /// [`PlacementError`] when nobody fits.
    pub async fn place(&self, request: &PlacementRequest, carbon: &CarbonTable) -> Result<Vec<Choice>, PlacementError> {
        self.refresh().await;
        place(&self.registry(), self.freezes.view().board(), carbon, request, self.now())
    }

    /// What is still missing before this node is a part of the mesh, one sentence each; empty when it is.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
        let (me, now, roster) = (self.me(), self.now(), self.roster());
        let mut missing = Vec::new();
        if !self.clock().is_synced() {
            missing.push("mesh time is not known yet".to_owned());
        }
        let kept = self.sectors.kept();
        if roster.hosted_by(me).next().is_some() && kept.is_empty() {
            missing.push("this node has no sector yet".to_owned());
        }
        for sector in kept {
            if self.coordinator_of(sector).is_none() {
                missing.push(format!("sector {sector} has no coordinator yet"));
                continue;
            }
            let clusters = roster.clusters_of(sector);
            let leaderless = clusters.filter(|cluster| self.sectors.lead_of(cluster.id, now).is_none()).count();
            if leaderless > 0 {
                missing.push(format!("sector {sector}: {leaderless} clusters have no lead yet"));
            }
            if roster.hosted_by(me).any(|agent| agent.cluster.sector == sector)
                && self.sectors.committed(sector, me) == 0
            {
                missing.push(format!("sector {sector} has not recorded this host's agents yet"));
            }
        }
        if let Some(sector) = voted_by(&roster, me).find(|sector| self.sectors.seat(*sector).is_none()) {
            missing.push(format!("this node's voter of sector {sector} does not run yet"));
        }
        missing
    }
}
