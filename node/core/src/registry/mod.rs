//! The impedance registry: what it costs, in time, to have each agent ready.
//!
//! Who an agent is (class, host, cluster, capabilities, region) is on the ledger; how it fares is in the signed batches of
//! its host, ordered by the sector group. A [`Registry`] joins the two into records, and publishes immutable
//! [`SectorView`]s that share what did not change; a [`RegistryView`] holds those of all sectors a node knows.

mod anomaly;
#[cfg(test)]
mod anomaly_tests;
mod find;
mod history;
#[cfg(test)]
mod history_tests;
mod impedance;
mod membership;
mod meter;
#[cfg(test)]
mod model_tests;
mod places;
mod ranking;
mod rankings;
mod record;
mod row;
mod sector;
mod sketch;
mod summary;
#[cfg(test)]
mod tests;
mod trends;
#[cfg(test)]
mod trends_tests;
mod view;

pub(crate) use meter::change_ppm;

pub use anomaly::{
    CALIBRATE_EVERY_US, EXCESS_SHARE_PPM, Kin, MAX_WATCHED, MIN_SHIFTED_AGENTS, SHIFTED_SHARE_PPM, ShiftAction,
    ShiftWatch,
};
pub use find::{Order, Query};
pub use history::{HISTORY_BYTES, HISTORY_STEP_US, History, Period, Resolution, Trend};
pub use impedance::{
    DEGRADED_ABOVE_SCORE, HUMAN_HALF_US, Impedance, MACHINE_HALF_US, SCORE_MAX, UNSTABLE_ABOVE_PPM, score,
};
pub use mesh30k_ledger::ops::Capabilities;
pub use meter::{DRIFT_WINDOW, DriftWindow, RELIABILITY_PRIOR_FAILURES, RELIABILITY_PRIOR_SUCCESSES, reliability_ppm};
pub use record::{AgentSeat, AgentState, EnergySource, Record};
pub use sector::{Registry, RegistryError};
pub use sketch::{LogSketch, SKETCH_RELATIVE_ERROR_PPM};
pub use summary::{Extreme, SectorSummary, Summary};
pub use trends::{MAX_TRENDS, Trends, minute_of};
pub use view::{AGENT_OFFLINE_AFTER_US, HostBeat, RegistryView, SectorView};
