//! What the arrival thread needs of the rest of the node, as narrow seams, so that it can be tested without one.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mesh30k_core::event::ArrivalParams;
use mesh30k_core::lead::{LeaseError, Tenure};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::types::{ClusterId, NodeId, SectorId};
use mesh30k_p2p::Control;

use crate::clock::wall_us;
use crate::lanes;
use crate::mesh::MeshHandle;
use crate::roster::SharedRoster;

/// Who leads what, as far as this node has heard. Answers come from memory and never wait.
pub trait MeshView: Send + Sync + 'static {
    /// The coordinator of a sector.
    fn coordinator(&self, sector: SectorId) -> Option<NodeId>;

    /// Who may act for a cluster at `now`, and by which right.
    fn lead(&self, cluster: ClusterId, now: TimeUs) -> Option<(NodeId, Tenure)>;

    /// The clusters that a node may act for at `now`, and by which right.
    fn led_by(&self, node: NodeId, now: TimeUs) -> BTreeMap<ClusterId, Tenure>;

    /// Judges a node that acts for a cluster at `now`.
    ///
    /// # Errors
    /// Why it may not.
    fn check_lead(&self, cluster: ClusterId, node: NodeId, tenure: Tenure, now: TimeUs) -> Result<(), LeaseError>;
}

impl MeshView for MeshHandle {
    fn coordinator(&self, sector: SectorId) -> Option<NodeId> {
        self.sectors().find_coordinator(sector).map(|coordinator| coordinator.node)
    }

    fn lead(&self, cluster: ClusterId, now: TimeUs) -> Option<(NodeId, Tenure)> {
        self.sectors().lead_of(cluster, now)
    }

    fn led_by(&self, node: NodeId, now: TimeUs) -> BTreeMap<ClusterId, Tenure> {
        self.sectors().led_by(node, now)
    }

    fn check_lead(&self, cluster: ClusterId, node: NodeId, tenure: Tenure, now: TimeUs) -> Result<(), LeaseError> {
        self.sectors().check_tenure(cluster, node, tenure, now)
    }
}

/// The way to other nodes. Never waits; false when the message was dropped.
pub trait Link: Send + 'static {
    /// Sends one frame to another node.
    fn send(&self, to: NodeId, frame: Bytes) -> bool;
}

/// The way to other nodes over the network.
pub struct P2pLink {
    control: Control,
    roster: SharedRoster,
}

impl P2pLink {
    /// Over lane "event", to peers found by the ledger's roster.
    #[must_use]
    pub const fn new(control: Control, roster: SharedRoster) -> Self {
        Self { control, roster }
    }
}

impl Link for P2pLink {
    fn send(&self, to: NodeId, frame: Bytes) -> bool {
        let Some(peer) = self.roster.load().peer_of(to) else { return false };
        self.control.notify(peer, lanes::EVENT, frame).is_ok()
    }
}

/// What the ledger says about events.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Keys that may start events.
    pub operators: Vec<PublicKey>,
    /// Parameters of the arrival tree.
    pub params: ArrivalParams,
    /// The node whose clock is mesh time.
    pub anchor: NodeId,
}

impl Rules {
    /// Reads them from state.
    ///
    /// # Errors
    /// State that can't be read.
    pub fn read(state: &dyn StateRead) -> Result<Self, StateError> {
        let p_ppm = query::parameter(state, Parameter::ArrivalPpm)?;
        let margin_ms = query::parameter(state, Parameter::HoldMarginMs)?;
        let validators = query::validator_set(state)?;
        Ok(Self {
            operators: query::operators(state)?.keys,
            params: ArrivalParams::from_ledger(p_ppm, margin_ms),
            anchor: validators.0.first().map_or(NodeId(0), |validator| validator.node),
        })
    }
}

/// Reads the rules in force now.
pub type RulesSource = Arc<dyn Fn() -> Result<Rules, StateError> + Send + Sync>;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The machine's clock, by which hosted agents run and the harness scores.
    pub wall_us: i64,
    /// Mesh time.
    pub mesh: TimeUs,
    /// By how much this node's mesh time was corrected until now, in sum, microseconds.
    pub corrected_us: i64,
}

impl Now {
    /// When the machine's clock will show this mesh time.
    #[must_use]
    pub const fn wall_at(&self, mesh: TimeUs) -> i64 {
        self.wall_us.saturating_add(mesh.since_us(self.mesh))
    }
}

/// The two clocks of the node: the machine's, and mesh time as a function of it.
#[derive(Clone)]
pub struct ArrivalClock(Arc<dyn Fn(i64) -> Now + Send + Sync>);

impl ArrivalClock {
    /// `at` reads both when the machine's clock shows the given time.
    #[must_use]
    pub fn new(at: impl Fn(i64) -> Now + Send + Sync + 'static) -> Self {
        Self(Arc::new(at))
    }

    /// Reads both.
    #[must_use]
    pub fn now(&self) -> Now {
        self.at(wall_us())
    }

    /// Both at an instant of the machine's clock.
    #[must_use]
    pub fn at(&self, wall_us: i64) -> Now {
        (self.0)(wall_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakeups_in_mesh_time_come_back_to_the_machines_clock() {
        let clock = ArrivalClock::new(|wall_us| Now { wall_us, mesh: TimeUs(wall_us - 300), corrected_us: 0 });
        let now = clock.at(1_000_000);
        assert_eq!(now.mesh, TimeUs(999_700));
        assert_eq!(now.wall_at(TimeUs(1_000_700)), 1_001_000);
        assert!(now.wall_at(TimeUs(i64::MIN)) < 0, "a wakeup long past stays long past");
    }
}
