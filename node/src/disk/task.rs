//! Looks at the disk each two seconds and tells those who write.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh30k_ledger::types::TimeMs;
use tokio_util::sync::CancellationToken;

use super::{DiskHandle, DiskReading, DiskState, DiskWatch};
use crate::ledger::LedgerHandle;
use crate::process_groups::ProcessGroups;
use crate::telemetry::Metrics;
use crate::{clock, pulse};

/// Between two looks. What a node can write in this time is a small part of what it keeps free.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whom the loop tells.
pub(crate) struct DiskTask {
    pub(crate) disk: DiskHandle,
    pub(crate) ledger: LedgerHandle,
    /// Made once the node takes part in groups.
    pub(crate) groups: Arc<ProcessGroups>,
    pub(crate) metrics: Metrics,
    pub(crate) stop: CancellationToken,
}

/// Looks at the file system of a folder.
///
/// # Errors
/// What the system says.
pub(crate) fn read(path: &Path) -> io::Result<DiskReading> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(DiskReading { free_bytes: bytes(found.f_bavail), total_bytes: bytes(found.f_blocks) })
}

/// Runs until the node stops.
pub(crate) async fn run(task: DiskTask) {
    let mut watch = DiskWatch::new(task.disk.limits(), task.disk.seen().0);
    let mut timer = pulse::interval(LOOK_EVERY);
    loop {
        task.look(&mut watch).await;
        tokio::select! {
            _ = timer.tick() => {}
            () = task.stop.cancelled() => return,
        }
    }
}

impl DiskTask {
    async fn look(&self, watch: &mut DiskWatch) {
        // As the others know it, who may have looked before this loop did.
        let was_read_only = self.disk.is_read_only();
        match read(self.disk.path()) {
            Ok(reading) => {
                let is_told = watch.observe(TimeMs(clock::wall_ms()), reading);
                self.disk.show(watch.state(), reading);
                self.metrics.disk_free_bytes.set(i64::try_from(reading.free_bytes).unwrap_or(i64::MAX));
                if is_told {
                    tracing::warn!("{}", self.disk.sentence());
                }
            }
            // It stays as it was: a look that fails says nothing about room.
            Err(error) => tracing::warn!(%error, path = %self.disk.path().display(), "free room can't be read"),
        }
        let is_read_only = watch.state() == DiskState::ReadOnly;
        self.metrics.disk_read_only.set(i64::from(is_read_only));
        if is_read_only || was_read_only {
            self.tell(is_read_only).await;
        }
    }

    /// Again at each look while there is no room: groups may have started, or be led from here because nobody else could.
    async fn tell(&self, is_read_only: bool) {
        self.ledger.set_read_only(is_read_only);
        let Some(groups) = self.groups.made() else { return };
        groups.set_read_only(is_read_only);
        if is_read_only {
            groups.hand_over_all().await;
        }
    }
}
