//! Names of lanes and gossip topics, in one place.

use mesh30k_ledger::types::SectorId;
pub use mesh30k_p2p::Lane;

/// Raft votes, heartbeats and snapshots of all groups.
pub const RAFT: Lane = Lane::RAFT;
/// Raft appends of all groups.
pub const RAFT_APPEND: Lane = Lane::RAFT_APPEND;
/// Blocks, votes asked for, snapshots.
pub const SYNC: Lane = Lane::SYNC;
/// Transactions on their way to the validators, and registrations to be sponsored.
pub const TX: Lane = Lane::TX;
/// Validators' votes on blocks.
pub const VOTE: Lane = Lane::new("vote");
/// Events down the tree, acks up, clock exchanges.
pub const EVENT: Lane = Lane::EVENT;
/// Heartbeats: host to lead, lead to coordinator.
pub const BEAT: Lane = Lane::BEAT;
/// Task dispatch and receipts.
pub const TASK: Lane = Lane::TASK;

/// Certified blocks.
pub const TOPIC_BLOCK: &str = "block";
/// Freezes and thaws.
pub const TOPIC_FREEZE: &str = "freeze";
/// Sector summaries.
pub const TOPIC_SUMMARY: &str = "summary";

/// What the topics of all sectors begin with.
pub const TOPIC_SECTOR_PREFIX: &str = "sector/";

/// Registry deltas and leases of one sector.
#[must_use]
pub fn topic_sector(sector: SectorId) -> String {
    format!("{TOPIC_SECTOR_PREFIX}{}", sector.0)
}
