//! Batches on their way: the newest of each host.

use super::{SignedHostBatch, VerifiedBatch};
use mesh30k_ledger::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Most hosts whose batches wait at one node; more than a sector can have.
pub const MAX_PENDING_HOSTS: usize = 1_024;

/// The newest batch of each host, in the order in which the hosts began to wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    newest: BTreeMap<NodeId, (u64, SignedHostBatch)>,
    /// (ticket, host): a host keeps its place while newer batches replace its old one.
    queue: BTreeSet<(u64, NodeId)>,
    next_ticket: u64,
    /// Batches dropped for want of room.
    pub(crate) dropped: u64,
    /// Hosts that signed two batches with one sequence.
    pub(crate) equivocated: u64,
}

impl Pending {
    /// Keeps `batch` if it is newer than what waits for its host. Whether it is kept.
    pub(crate) fn push(&mut self, batch: VerifiedBatch) -> bool {
        let signed = batch.into_signed();
        let host = signed.batch.host;
        if let Some((_, old)) = self.newest.get_mut(&host) {
            if old.batch.sequence == signed.batch.sequence && *old != signed {
                self.equivocated = self.equivocated.saturating_add(1);
            }
            let newer = signed.rank() > old.rank();
            if newer {
                *old = signed;
            }
            return newer;
        }
        if self.newest.len() >= MAX_PENDING_HOSTS {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        let ticket = self.next_ticket;
        self.next_ticket = ticket.saturating_add(1);
        self.queue.insert((ticket, host));
        self.newest.insert(host, (ticket, signed));
        true
    }

    /// Takes the batches that waited longest, as long as `fits` says so of the next one.
    pub(crate) fn take_while(&mut self, mut fits: impl FnMut(&SignedHostBatch) -> bool) -> Vec<SignedHostBatch> {
        let mut taken = Vec::new();
        while let Some((ticket, host)) = self.queue.first().copied() {
            if !self.newest.get(&host).is_some_and(|(_, batch)| fits(batch)) {
                break;
            }
            self.queue.remove(&(ticket, host));
            taken.extend(self.newest.remove(&host).map(|(_, batch)| batch));
        }
        taken
    }

    /// Drops what waits of `host` up to `sequence`: it is committed already.
    pub(crate) fn settle(&mut self, host: NodeId, sequence: u64) {
        if let Some((ticket, _)) = self.newest.get(&host).filter(|(_, b)| b.batch.sequence <= sequence) {
            self.queue.remove(&(*ticket, host));
            self.newest.remove(&host);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.newest.clear();
        self.queue.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.newest.len()
    }
}
