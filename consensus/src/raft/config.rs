//! How a group keeps time, what it keeps, and what it waits for.

use openraft::{Config, SnapshotPolicy};

use crate::group::{GroupId, MemberId, StoreId};
use crate::raft::GroupError;

/// Clockwork of a group, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of a leader.
    pub heartbeat_ms: u64,
    /// A heartbeat is left out if the follower answered anything this recently.
    pub heartbeat_min_ms: u64,
    /// A follower waits at least this long before it stands for election, counted from the end of its leader's lease.
    pub election_min_ms: u64,
    /// And at most this long; drawn anew for each election. openraft's lease of a leader is as long as this, too.
    pub election_max_ms: u64,
}

impl Timing {
    /// The global group: somebody stands 850 to 1200 ms after it heard the leader last (600 ms of lease, then 250 to 600 ms), which
    /// is within the 600 to 1200 ms that are wanted of an election timeout.
    pub const GLOBAL: Self =
        Self { heartbeat_ms: 100, heartbeat_min_ms: 50, election_min_ms: 250, election_max_ms: 600 };

    /// Sector groups, of which a machine may host hundreds: slow enough to cost little while idle, and a new coordinator within
    /// 5 s. Somebody stands 3.5 to 4 s after it heard the leader last: 2 s of lease, then 1.5 to 2 s of election timeout.
    pub const SECTOR: Self =
        Self { heartbeat_ms: 1000, heartbeat_min_ms: 300, election_min_ms: 1550, election_max_ms: 2000 };
}

/// When an append counts as done. Votes are on disk before they leave, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on disk: what is acknowledged survives a power cut of all members.
    Synced,
    /// At once: the end of a process loses nothing, a power cut may lose the last half second. A member that lost
    /// entries this way must come back under a new id.
    Unsynced,
}

/// How much of the log stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Entries between two snapshots.
    pub snapshot_every: u64,
    /// Entries kept behind a snapshot, so that a member that was briefly away needs no snapshot.
    pub keep: u64,
    /// Entries purged at once.
    pub purge_batch: u64,
}

impl Retention {
    /// What every group uses unless told otherwise.
    pub const DEFAULT: Self = Self { snapshot_every: 1024, keep: 256, purge_batch: 512 };
}

/// Everything a group needs to know about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupConfig {
    /// Which group.
    pub id: GroupId,
    /// Which member this node is.
    pub me: MemberId,
    /// The id of this node's data directory, sent with every request and response.
    pub store_id: StoreId,
    /// Clockwork.
    pub timing: Timing,
    /// What an append waits for.
    pub durability: Durability,
    /// What stays of the log.
    pub retention: Retention,
}

impl GroupConfig {
    /// The global group of an epoch and round.
    #[must_use]
    pub const fn global(epoch: u32, round: u32, me: MemberId, store_id: StoreId) -> Self {
        let id = GroupId::global(epoch, round);
        Self { id, me, store_id, timing: Timing::GLOBAL, durability: Durability::Synced, retention: Retention::DEFAULT }
    }

    /// A sector's group.
    #[must_use]
    pub const fn sector(id: GroupId, me: MemberId, store_id: StoreId) -> Self {
        let (timing, durability) = (Timing::SECTOR, Durability::Unsynced);
        Self { id, me, store_id, timing, durability, retention: Retention::DEFAULT }
    }

    /// openraft's configuration.
    pub(crate) fn openraft(&self) -> Result<Config, GroupError> {
        let config = Config {
            cluster_name: self.id.to_string(),
            heartbeat_interval: self.timing.heartbeat_ms,
            heartbeat_min_interval: Some(self.timing.heartbeat_min_ms),
            election_timeout_min: self.timing.election_min_ms,
            election_timeout_max: self.timing.election_max_ms,
            enable_pre_vote: Some(true),
            // A leader that comes back in its own term may lack entries that others have of it, and does not know what is
            // committed: it would propose a second block at a height it has proposed already, and be convicted for it.
            enable_leader_restore: Some(false),
            // One frame on loopback or across an ocean; a lost one is sent again.
            install_snapshot_timeout: 20_000,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.retention.snapshot_every),
            max_in_snapshot_log_to_keep: self.retention.keep,
            purge_batch_size: self.retention.purge_batch,
            // A snapshot helps only those who are farther behind than the log reaches.
            replication_lag_threshold: self
                .retention
                .snapshot_every
                .saturating_add(self.retention.keep)
                .saturating_mul(4),
            max_payload_entries: 256,
            max_append_entries: Some(256),
            api_channel_size: Some(1024),
            notification_channel_size: Some(4096),
            state_machine_channel_size: Some(64),
            ..Config::default()
        };
        config.validate().map_err(|e| GroupError::Config { group: self.id, reason: e.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_quiet_heartbeats_cannot_cause_elections() {
        for timing in [Timing::GLOBAL, Timing::SECTOR] {
            let mut group = GroupConfig::global(0, 0, 1, StoreId([0; 32]));
            group.timing = timing;
            let config = group.openraft().unwrap();
            assert_eq!(config.enable_pre_vote, Some(true));
            assert_eq!(config.enable_leader_restore, Some(false));
            let tick = timing.heartbeat_ms * 13 / 64;
            assert!(timing.heartbeat_ms + timing.heartbeat_min_ms + tick < timing.election_min_ms);
        }
        let mut wrong = GroupConfig::sector(GroupId::sector(0, 0, 0), 1, StoreId([0; 32]));
        wrong.timing.election_min_ms = 100;
        assert!(matches!(wrong.openraft(), Err(GroupError::Config { .. })));
    }
}
