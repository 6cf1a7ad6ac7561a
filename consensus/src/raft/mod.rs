//! Raft groups on openraft: one order of entries per group, on a majority of its members.

mod config;
mod error;
mod frame;
mod gate;
mod group_set;
mod handle;
mod leadership;
mod log_adapter;
mod meta;
mod network;
mod opaque;
mod raft_log;
mod serve;
mod state_machine;
mod succession;
mod type_config;

pub use config::{Durability, GroupConfig, Retention, Timing};
pub use error::{GroupError, LogError, ProposeError};
pub use frame::{PeerCheck, accept_any_peer};
pub use group_set::{GroupSet, GroupSetConfig};
pub use handle::{Group, MAX_PROPOSALS_IN_FLIGHT, Proposed};
pub use leadership::{Leadership, LeadershipWatch};
pub use log_adapter::LogStore;
pub use opaque::Opaque;
pub use raft_log::RaftLog;
pub use state_machine::StateMachine;
pub use succession::HAND_OVER_MAX;
pub use type_config::RaftConfig;
