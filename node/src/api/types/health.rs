//! How a node fares, apart from the mesh.

use serde::{Deserialize, Serialize};

use super::Problem;

/// Kind of the problem, and state, of a node that starts.
pub const STARTING: &str = "starting";

/// Room on the disk of a node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DiskRow {
    /// `writable`, `low`, or `read-only`: then nothing new is written until there is room.
    pub state: String,
    /// Room left.
    pub free_bytes: u64,
    /// The whole.
    pub total_bytes: u64,
}

/// What every path but `/healthz` answers while the node starts, with status 503.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartingAnswer {
    /// Problem details as of every other refusal.
    #[serde(flatten)]
    pub problem: Problem,
    /// `starting`.
    pub state: String,
    /// What it does now, in words.
    pub doing: String,
    /// How long it has been starting, milliseconds.
    pub for_ms: u64,
}
