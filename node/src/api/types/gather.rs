//! What came of a gather.

use mesh30k_core::event::{Advice, Agreement};
use serde::{Deserialize, Serialize};

use super::EventReport;

/// `GET /v1/events/{id}/gather`: the event judged over everybody enrolled at dispatch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatherAnswer {
    /// `SUCCESS` or `PARTIAL`.
    pub outcome: String,
    /// Share that was ready in the window, in parts per million of those enrolled.
    pub ready_ppm: u32,
    /// The share that was wanted.
    pub wanted_ppm: u32,
    /// Releases within this of T counted, either way, microseconds.
    pub window_us: i64,
    /// How many those were, as the mesh estimates.
    pub in_window: u64,
    /// What would help, from the data, the cheapest first; empty after a success, or when nothing in the data would.
    pub advice: Vec<Advice>,
    /// Whether the answers agree.
    pub agreement: Agreement,
    /// The event itself.
    pub report: EventReport,
}
