//! Evidence against validators: kept on disk, shown to whoever asks, and brought before the ledger by validators themselves.

mod book;
mod file;

pub use book::{EvidenceSort, EvidenceState};

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh30k_consensus::finality::Evidence;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{Operation, ProveEquivocation};
use mesh30k_ledger::query;
use mesh30k_ledger::types::{Height, NodeId, TimeMs, TxId};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::handle::LedgerHandle;
use crate::clock;
use book::{EvidenceBook, Taken, View};

/// The loop looks around at least this often while something waits.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A piece of evidence as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvidenceRow {
    /// What it is about.
    pub height: Height,
    /// Of what sort.
    pub sort: EvidenceSort,
    /// Whom it names; nobody where only execution shows who is right.
    pub culprit: Option<NodeId>,
    /// When this node saw it, Unix ms.
    pub seen_at: TimeMs,
    /// How far it has come.
    pub state: EvidenceState,
    /// How often this node brought it before the ledger since it started.
    pub tries: u32,
    /// Canonical bytes, so that anybody can check it again.
    pub evidence_hex: String,
}

/// What a node holds, and where.
pub(crate) struct EvidenceDesk {
    path: PathBuf,
    book: Mutex<EvidenceBook>,
    filed: Notify,
}

/// Where evidence is kept.
fn path_in(dir: &Path) -> PathBuf {
    dir.join("evidence.json")
}

impl EvidenceDesk {
    /// What was kept before the node was started. A file that can't be read is put aside: old evidence must not keep a node from
    /// running.
    pub(crate) fn open(dir: &Path) -> Self {
        let (path, mut book) = (path_in(dir), EvidenceBook::default());
        match file::read(&path) {
            Ok(kept) => {
                for (seen_at, evidence) in kept {
                    book.keep(seen_at, evidence);
                }
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "kept evidence can't be read and is put aside");
                // Nothing is lost if this fails: the next piece overwrites what nobody can read.
                let _ = std::fs::rename(&path, path.with_extension("json.damaged"));
            }
        }
        Self { path, book: Mutex::new(book), filed: Notify::new() }
    }

    fn book(&self) -> MutexGuard<'_, EvidenceBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LedgerHandle {
    /// Keeps evidence that was verified, on disk before this returns; waits for the disk.
    pub(crate) fn keep_evidence(&self, evidence: &Evidence) {
        let desk = self.evidence_desk();
        let mut book = desk.book();
        match book.keep(TimeMs(clock::wall_ms()), evidence.clone()) {
            Taken::Known => {}
            Taken::Dropped => self.metrics().count_drops("evidence", 1),
            Taken::New => {
                if let Err(error) = file::write(&desk.path, &book) {
                    tracing::error!(path = %desk.path.display(), %error, "evidence could not be written");
                }
                self.count_evidence(&book);
                desk.filed.notify_one();
            }
        }
    }

    /// Everything this node holds against validators, in order of height.
    #[must_use]
    pub fn evidence(&self) -> Vec<EvidenceRow> {
        let mut book = self.evidence_desk().book();
        book.settle(&Books { ledger: self, key: None });
        let row = |(place, kept): (&book::Place, &book::Kept)| EvidenceRow {
            height: place.height,
            sort: place.sort,
            culprit: place.culprit,
            seen_at: kept.seen_at,
            state: kept.state,
            tries: kept.tries,
            evidence_hex: hex::encode(kept.evidence.encode()),
        };
        book.iter().map(row).collect()
    }

    /// The validators of an epoch bring evidence in one after the other; this one is `me` of so many.
    pub(crate) fn take_turns_with_evidence(&self, me: NodeId, validators: usize) {
        self.evidence_desk().book().turn = (me.0, validators as u64);
    }

    fn count_evidence(&self, book: &EvidenceBook) {
        let metrics = self.metrics();
        metrics.evidence_kept.set(i64::try_from(book.iter().count()).unwrap_or(i64::MAX));
        metrics.evidence_unsettled.set(i64::try_from(book.unsettled()).unwrap_or(i64::MAX));
    }
}

/// What the ledger says of evidence, and whether `key`'s account can pay for bringing it in.
struct Books<'a> {
    ledger: &'a LedgerHandle,
    key: Option<&'a SecretKey>,
}

impl View for Books<'_> {
    fn punished(&self, proof: &ProveEquivocation) -> Option<TxId> {
        let found = self.ledger.read(|state| query::punished(state, &proof.first.vote));
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "the ledger can't be read");
            None
        })
    }

    fn can_pay(&self, proof: &ProveEquivocation) -> bool {
        self.key.is_some_and(|key| self.ledger.can_pay(key, Operation::ProveEquivocation(*proof)))
    }
}

/// Brings kept evidence before the ledger from this node's own account while it is a validator, until the ledger has taken it. Never
/// ends.
pub(crate) async fn pursue(ledger: LedgerHandle, key: SecretKey) {
    loop {
        let due = if ledger.validator().is_none() {
            Vec::new()
        } else {
            let mut book = ledger.evidence_desk().book();
            let due = book.due(TimeMs(clock::wall_ms()), &Books { ledger: &ledger, key: Some(&key) });
            ledger.count_evidence(&book);
            due
        };
        for proof in due {
            bring_in(&ledger, &key, &proof).await;
        }
        let next_at = ledger.evidence_desk().book().next_at();
        let filed = ledger.evidence_desk().filed.notified();
        match next_at {
            None => filed.await,
            Some(at) => {
                let pause = Duration::from_millis(at.0.saturating_sub(clock::wall_ms()).max(1)).min(LOOK_EVERY);
                // Whichever comes first.
                let _ = tokio::time::timeout(pause, filed).await;
            }
        }
    }
}

async fn bring_in(ledger: &LedgerHandle, key: &SecretKey, proof: &ProveEquivocation) {
    let offender = proof.first.vote.validator;
    match ledger.submit_own(key, Operation::ProveEquivocation(*proof)) {
        Ok(id) => {
            ledger.metrics().evidence_submitted.inc();
            tracing::warn!(%offender, height = %proof.first.vote.height, %id, "evidence was brought before the ledger");
            ledger.wait_own(&id).await;
            let mut book = ledger.evidence_desk().book();
            book.settle(&Books { ledger, key: None });
            ledger.count_evidence(&book);
        }
        Err(error) => tracing::info!(%offender, %error, "evidence could not be brought in now; it is tried again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_can_t_be_read_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(path_in(dir.path()), "not json").unwrap();
        assert_eq!(EvidenceDesk::open(dir.path()).book().iter().count(), 0);
        assert!(dir.path().join("evidence.json.damaged").exists() && !path_in(dir.path()).exists());
    }
}
