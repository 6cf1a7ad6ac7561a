//! The lead's side of heartbeats: the newest batch of each host goes on, a silent host is suspected.

use super::pending::Pending;
use super::{BEAT_EVERY_US, BatchKind, EARLY_US, MAX_ENTRY_BATCHES, SignedHostBatch, VerifiedBatch};
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// A lead passes on what it has at once, but not more often than ten times a second.
pub const FORWARD_GAP_US: i64 = 100_000;
/// And once a second, were it nothing.
pub const FORWARD_EVERY_US: i64 = 1_000_000;
/// A host that missed three beats is suspected.
pub const SUSPECT_AFTER_US: i64 = 3 * BEAT_EVERY_US;

/// What the lead is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoldAction {
    /// Send these batches to the coordinator. Sent when empty too: it tells the coordinator that the lead lives.
    Forward(Vec<SignedHostBatch>),
    /// Tell the coordinator that this host is silent.
    Suspect {
        /// The host.
        host: NodeId,
        /// For how long nothing was heard of it.
        silent_us: i64,
    },
    /// Tell the coordinator that a suspected host is heard again.
    Cleared {
        /// The host.
        host: NodeId,
    },
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    last: MeshTimeUs,
    suspected: bool,
    left: bool,
}

/// Folds the batches of the hosts whose home lead this node is.
#[derive(Clone, Debug, Default)]
pub struct LeadFold {
    pending: Pending,
    hosts: BTreeMap<NodeId, Heard>,
    cleared: BTreeSet<NodeId>,
    forwarded: Option<MeshTimeUs>,
    foreign: u64,
}

impl LeadFold {
    /// A fold without hosts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the hosts whose beats come here; a new one is given the time of three beats before it is suspected.
    pub fn set_hosts(&mut self, hosts: &BTreeSet<NodeId>, now: MeshTimeUs) {
        self.hosts.retain(|host, _| hosts.contains(host));
        for host in hosts {
            self.hosts.entry(*host).or_insert(Heard { last: now, suspected: false, left: false });
        }
    }

    /// Takes in the batch of a host. Those of hosts that are not ours are dropped and counted.
    pub fn push(&mut self, batch: VerifiedBatch, now: MeshTimeUs) {
        let host = batch.batch().host;
        let Some(heard) = self.hosts.get_mut(&host) else {
            self.foreign = self.foreign.saturating_add(1);
            return;
        };
        let left = batch.batch().kind == BatchKind::Farewell;
        if !self.pending.push(batch) {
            return;
        }
        heard.last = heard.last.max(now);
        heard.left = left;
        if std::mem::take(&mut heard.suspected) {
            self.cleared.insert(host);
        }
    }

    /// What is to be done now.
    pub fn poll(&mut self, now: MeshTimeUs) -> Vec<FoldAction> {
        let mut actions = Vec::new();
        // A look that comes a moment early says that its node lives; news keep their distance.
        let early_us = if self.pending.len() > 0 { 0 } else { EARLY_US };
        if self.next_forward() <= now.plus_us(early_us) {
            self.forwarded = Some(now);
            let mut room = MAX_ENTRY_BATCHES;
            let batches = self.pending.take_while(|_| {
                let fits = room > 0;
                room = room.saturating_sub(1);
                fits
            });
            actions.push(FoldAction::Forward(batches));
        }
        actions.extend(std::mem::take(&mut self.cleared).into_iter().map(|host| FoldAction::Cleared { host }));
        for (host, heard) in &mut self.hosts {
            let silent_us = now.since_us(heard.last);
            if silent_us >= SUSPECT_AFTER_US && !heard.suspected && !heard.left {
                heard.suspected = true;
                actions.push(FoldAction::Suspect { host: *host, silent_us });
            }
        }
        actions
    }

    /// When [`Self::poll`] has the next action.
    #[must_use]
    pub fn next_wakeup(&self) -> MeshTimeUs {
        let watched = self.hosts.values().filter(|heard| !heard.suspected && !heard.left);
        let suspicion = watched.map(|heard| heard.last.plus_us(SUSPECT_AFTER_US)).min();
        let forward = self.next_forward();
        suspicion.map_or(forward, |suspicion| suspicion.min(forward))
    }

    /// When what was taken in may be passed on; nothing when there is none.
    #[must_use]
    pub fn next_news(&self) -> Option<MeshTimeUs> {
        (self.pending.len() > 0).then(|| self.next_forward())
    }

    fn next_forward(&self) -> MeshTimeUs {
        let gap_us = if self.pending.len() > 0 { FORWARD_GAP_US } else { FORWARD_EVERY_US };
        self.forwarded.map_or(MeshTimeUs(i64::MIN), |last| last.plus_us(gap_us))
    }

    /// Hosts that are suspected now.
    pub fn suspected(&self) -> impl Iterator<Item = NodeId> {
        self.hosts.iter().filter(|(_, heard)| heard.suspected).map(|(host, _)| *host)
    }

    /// Batches dropped: of hosts that are not ours, and for want of room.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.foreign.saturating_add(self.pending.dropped)
    }

    /// Batches with the sequence of another of their host and other content: proof of a lying host.
    #[must_use]
    pub const fn equivocations(&self) -> u64 {
        self.pending.equivocated
    }
}
