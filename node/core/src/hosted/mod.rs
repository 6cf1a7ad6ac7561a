//! Agents a host runs itself: behind replayed delays and virtual clocks, so that the mesh has something real to estimate.
//!
//! Round trips are replayed from measured series; how a round trip splits into its two ways, and how long work takes,
//! is drawn from seeded noise, because no trace says it. Only the harness reads the truth.

mod ack_spread;
mod agents;
mod counters;
mod due;
mod host_clock;
mod link;
mod noise;
mod processing;
mod releases;
mod replay;
mod rounds;
mod surroundings;
mod virtual_clock;

pub use agents::{HostedAgent, HostedAgents, PauseChange};
pub use counters::HostedCounters;
pub use due::{HarnessRecord, HostedAction, MAX_DUE};
pub use host_clock::HostClockModel;
pub use link::{ReplayedLink, SLICE_US};
pub use noise::{noise, normal, unit};
pub use processing::ProcessingModel;
pub use replay::{DelaySeries, Replay, ReplayError, ReplaySource, drawn_from_mean, drawn_from_quantiles};
pub use surroundings::{Habitat, Replayed, ReplayedHabitat, Surroundings};
pub use virtual_clock::VirtualClock;
