//! Heartbeats: the host reports for its agents, the lead folds and passes on, the coordinator orders.

mod dispatch;
mod host;
mod lead;

pub(super) use dispatch::{Dispatcher, serve};
pub(super) use host::{HostSignal, run as run_host};
pub(super) use lead::{LeadDesk, run as run_lead};
