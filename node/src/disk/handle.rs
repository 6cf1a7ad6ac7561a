//! What the rest of the node knows of the room on the disk.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::{DiskLimits, DiskReading, DiskState};

struct Inner {
    path: PathBuf,
    limits: DiskLimits,
    seen: watch::Sender<(DiskState, DiskReading)>,
}

/// The room on the disk of the data directory, as of the last look. Clones are the same.
#[derive(Clone)]
pub struct DiskHandle(Arc<Inner>);

impl DiskHandle {
    /// A disk with room, until somebody has looked.
    #[must_use]
    pub fn new(path: PathBuf, limits: DiskLimits) -> Self {
        Self(Arc::new(Inner { path, limits, seen: watch::Sender::default() }))
    }

    /// Says what was seen.
    pub fn show(&self, state: DiskState, reading: DiskReading) {
        self.0.seen.send_if_modified(|seen| std::mem::replace(seen, (state, reading)) != (state, reading));
    }

    /// What was seen last.
    #[must_use]
    pub fn seen(&self) -> (DiskState, DiskReading) {
        *self.0.seen.borrow()
    }

    /// Whether nothing new may be written.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.seen().0 == DiskState::ReadOnly
    }

    /// Why nothing new is written, and what to do; `None` while it is.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.is_read_only().then(|| self.sentence())
    }

    /// Returns once something may be written.
    pub async fn writable(&self) {
        // The sender lives as long as this handle.
        let _ = self.0.seen.subscribe().wait_for(|(state, _)| *state != DiskState::ReadOnly).await;
    }

    pub(super) fn limits(&self) -> DiskLimits {
        self.0.limits
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.0.path
    }

    /// The state in words.
    pub(super) fn sentence(&self) -> String {
        let (state, DiskReading { free_bytes, total_bytes }) = self.seen();
        let DiskLimits { read_only_bytes, resume_bytes } = self.0.limits;
        let (path, free, total) = (self.0.path.display(), mib(free_bytes), mib(total_bytes));
        let has = format!("the disk of {path} has {free} MiB free of {total}");
        match state {
            DiskState::Writable => format!("{has}: there is room"),
            DiskState::Low => format!("{has}: below {} MiB this node takes nothing new", mib(read_only_bytes)),
            DiskState::ReadOnly => format!(
                "{has}: this node is read-only until {} MiB are free (node.disk_resume_mib); make room there, it goes on by itself",
                mib(resume_bytes)
            ),
        }
    }
}

const fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_room_is_told_and_the_sentence_names_path_and_bytes() {
        let limits = DiskLimits { read_only_bytes: 256 << 20, resume_bytes: 384 << 20 };
        let disk = DiskHandle::new(PathBuf::from("/data/x"), limits);
        disk.writable().await;
        assert_eq!(disk.refusal(), None);
        disk.show(DiskState::ReadOnly, DiskReading { free_bytes: 7 << 20, total_bytes: 1 << 30 });
        let sentence = disk.refusal().unwrap();
        for part in ["/data/x", " 7 MiB free", "1024", "384 MiB", "node.disk_resume_mib"] {
            assert!(sentence.contains(part), "{sentence}");
        }
        let (waiting, shown) = (disk.clone(), disk.clone());
        let waiter = tokio::spawn(async move { waiting.writable().await });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        shown.show(DiskState::Low, DiskReading { free_bytes: 390 << 20, total_bytes: 1 << 30 });
        waiter.await.unwrap();
    }
}
