//! What the handlers answer from.

use std::sync::{Arc, OnceLock};

use mesh30k_ledger::types::{NodeId, TimeMs};
use mesh30k_p2p::Control;

use super::problem::ApiError;
use super::types::OwnIntensity;
use crate::clock;
use crate::duties::DutyHandle;
use crate::grid::GridHandle;
use crate::harness::Harness;
use crate::ledger::LedgerHandle;
use crate::mesh::MeshHandle;
use crate::mesh::arrival::ArrivalHandle;
use crate::tasks::TaskHandle;
use crate::telemetry::Metrics;

/// The parts of a node that exist once it is registered on the ledger.
#[derive(Clone)]
pub struct Member {
    /// Sectors, leads, registry, freezes.
    pub mesh: MeshHandle,
    /// Events.
    pub arrival: ArrivalHandle,
    /// Tasks.
    pub tasks: TaskHandle,
    /// What it does for the ledger by itself.
    pub duties: DutyHandle,
}

/// What the API is made of.
#[derive(Clone)]
pub struct ApiParts {
    /// The ledger.
    pub ledger: LedgerHandle,
    /// The network.
    pub control: Control,
    /// Counters.
    pub metrics: Metrics,
    /// The truth, on test networks.
    pub harness: Harness,
    /// Set when the node is registered and its parts run.
    pub member: Arc<OnceLock<Member>>,
    /// How the delays of the hosted agents come about, in words; empty when nothing is replayed.
    pub replay: String,
    /// What this node reads of its own grid, if it was told to.
    pub grid: Option<GridHandle>,
}

/// What the handlers answer from. Clones are the same.
#[derive(Clone)]
pub struct ApiState(Arc<ApiParts>);

impl ApiState {
    /// Answers from these parts.
    #[must_use]
    pub fn new(parts: ApiParts) -> Self {
        Self(Arc::new(parts))
    }

    pub(super) fn ledger(&self) -> &LedgerHandle {
        &self.0.ledger
    }

    pub(super) fn control(&self) -> &Control {
        &self.0.control
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn harness(&self) -> &Harness {
        &self.0.harness
    }

    pub(super) fn replay(&self) -> &str {
        &self.0.replay
    }

    /// What this node's own source says of its grid now.
    pub(super) fn own_intensity(&self) -> Option<OwnIntensity> {
        self.0.grid.as_ref().map(|grid| grid.shown(TimeMs(clock::wall_ms())))
    }

    /// The parts of a registered node.
    pub(super) fn member(&self) -> Result<&Member, ApiError> {
        self.0.member.get().ok_or_else(|| ApiError::unavailable("this node is not a part of the mesh yet; see /readyz"))
    }

    /// This node's number, once it is registered.
    pub(super) fn node(&self) -> Option<NodeId> {
        self.ledger().roster().node_of(&self.control().local_peer_id())
    }

    /// What is missing before the node is ready, one sentence each.
    pub(super) fn not_ready(&self) -> Vec<String> {
        let mut missing: Vec<String> =
            self.ledger().halted().map(|reason| format!("the chain is halted: {reason}")).into_iter().collect();
        missing.extend(self.ledger().disk().refusal());
        missing.extend(self.ledger().stalled());
        match self.0.member.get() {
            Some(member) => {
                missing.extend(member.mesh.not_ready());
                missing.extend(cold(member));
            }
            None if self.node().is_some() => missing.push("the node's parts are being started".to_owned()),
            None => missing.push("this node is not registered on the ledger yet".to_owned()),
        }
        missing
    }
}

/// Before most links are measured, an event would be planned on guesses.
fn cold(member: &Member) -> Option<String> {
    let warm = member.arrival.warm_up();
    let missing = || {
        format!(
            "links are being measured: {} of {} led from here, {} of {} in the mesh",
            warm.led_warm, warm.led, warm.mesh_warm, warm.mesh
        )
    };
    (!warm.is_formed()).then(missing)
}
