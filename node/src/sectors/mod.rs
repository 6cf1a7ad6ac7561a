//! Sectors: the Raft groups this node votes in, the copies it keeps, and who coordinates which.
//!
//! A sector's voters stand on the ledger. The leader of their group is the sector's coordinator: it orders heartbeats and
//! leases, and gossips what changed. Every node follows its own sectors by gossip, finds gaps and asks voters for what
//! it missed; of other sectors it knows who coordinates them, and asks when somebody wants to know more.

mod app;
mod fetch;
mod gossip;
mod handle;
mod leaders;
mod members;
mod published;
mod replica;
mod service;
mod voter;
mod wire;

pub use handle::{SectorHandle, SectorLeases};
pub use leaders::Leading;
pub use members::{ClusterHosts, home_cluster, home_hosts, kept_by, seats, voted_by, voters};
pub use published::PublishedRegistry;
pub use replica::{NewsRefusal, Replica, Taken, Trust};
pub use service::{SectorParts, SectorService};
pub use wire::{BeatAnswer, BeatMessage, BeatNotice, BeatQuestion, Coordinator, SectorGossip};
