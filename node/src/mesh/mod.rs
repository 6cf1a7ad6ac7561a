//! The mesh as this node lives it: time, heartbeats, sectors, freezes, and one handle to ask about all of it.

pub mod arrival;
mod beats;
mod clock;
mod freeze;
mod handle;
mod ledger;
mod post;
mod query;
mod reports;
mod service;
mod status;
#[cfg(test)]
mod tests;
mod trends;

pub use clock::{ClockReading, MeshClock};
pub use freeze::{FreezeError, FreezeHandle, FreezeSink, FreezeView};
pub use handle::MeshHandle;
pub use ledger::MeshLedger;
pub use post::{AskError, OpenError, Postbox};
pub use query::StatisticsBy;
pub use reports::{AgentReports, StaticReports, unmeasured};
pub use service::{MeshParts, MeshService};
pub use status::AgentFilter;
