//! The coordinator's choice of leads.

use super::{Fencing, LEASE_RENEW_US, LEASE_US, Lease, LeaseGrant, LeaseTable};
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::{ClusterId, NodeId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A lead that was silent for 2.5 s is not renewed: leads pass on beats every second. With the rest of its lease it is
/// replaced within 8.5 s.
pub const LEAD_SILENT_AFTER_US: i64 = 2_500_000;
/// A node that was silent for 20 s is not appointed. Longer than a beat and the replacement of the lead that passes it on.
pub const CANDIDATE_SILENT_AFTER_US: i64 = 20_000_000;
/// Leases that would be due within a second are renewed with those that are: one entry for the clusters of a sector, not ten.
const RENEW_WITH_US: i64 = 1_000_000;
/// A grant that was proposed and is not seen committed is proposed again after a second.
const REPROPOSE_AFTER_US: i64 = 1_000_000;

/// Decides who is to lead each cluster: whoever does, as long as it lives; then its deputy; then the least burdened live
/// host of the cluster; then another node of the sector. A deputy is chosen in the same way.
#[derive(Clone, Debug, Default)]
pub struct LeadBook {
    clusters: BTreeMap<ClusterId, BTreeMap<NodeId, u32>>,
    others: BTreeSet<NodeId>,
    seen: BTreeMap<NodeId, MeshTimeUs>,
    proposed: BTreeMap<ClusterId, (Fencing, MeshTimeUs)>,
}

/// How many clusters each node leads, and how many it is deputy of.
#[derive(Default)]
struct Burdens {
    leads: BTreeMap<NodeId, u32>,
    deputies: BTreeMap<NodeId, u32>,
}

impl Burdens {
    fn of(leases: &LeaseTable, now: MeshTimeUs) -> Self {
        let mut burdens = Self::default();
        for lease in leases.iter().filter(|lease| lease.until > now) {
            bump(&mut burdens.leads, lease.lead);
            lease.deputy.into_iter().for_each(|deputy| bump(&mut burdens.deputies, deputy));
        }
        burdens
    }
}

fn bump(counts: &mut BTreeMap<NodeId, u32>, node: NodeId) {
    let count = counts.entry(node).or_insert(0);
    *count = count.saturating_add(1);
}

fn since_granted_us(lease: &Lease, now: MeshTimeUs) -> i64 {
    LEASE_US.saturating_sub(lease.until.since_us(now))
}

impl LeadBook {
    /// A book of no clusters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets who may lead: for each cluster its hosts with the number of their agents in it, and the sector's other nodes
    /// (its voters among them).
    pub fn set_members(
        &mut self,
        clusters: BTreeMap<ClusterId, BTreeMap<NodeId, u32>>,
        others: BTreeSet<NodeId>,
        now: MeshTimeUs,
    ) {
        let known: BTreeSet<NodeId> = clusters.values().flat_map(BTreeMap::keys).chain(&others).copied().collect();
        self.seen.retain(|node, _| known.contains(node));
        // A newcomer is given the benefit of the doubt; the others keep what is known of them.
        let newcomers = known.iter().filter(|node| !self.clusters.values().any(|hosts| hosts.contains_key(node)));
        let newcomers: Vec<NodeId> = newcomers.filter(|node| !self.others.contains(node)).copied().collect();
        newcomers.into_iter().for_each(|node| self.on_seen(node, now));
        self.proposed.retain(|cluster, _| clusters.contains_key(cluster));
        self.clusters = clusters;
        self.others = others;
    }

    /// This node has just become the coordinator: nobody is known to be dead.
    pub fn on_elected(&mut self, now: MeshTimeUs) {
        self.proposed.clear();
        let all: BTreeSet<NodeId> =
            self.clusters.values().flat_map(BTreeMap::keys).chain(&self.others).copied().collect();
        all.into_iter().for_each(|node| self.on_seen(node, now));
    }

    /// Something came from `node`.
    pub fn on_seen(&mut self, node: NodeId, now: MeshTimeUs) {
        let seen = self.seen.entry(node).or_insert(now);
        *seen = (*seen).max(now);
    }

    /// `node` is known to be gone.
    pub fn on_down(&mut self, node: NodeId) {
        self.seen.remove(&node);
    }

    /// The grants to propose now.
    pub fn decide(&mut self, leases: &LeaseTable, now: MeshTimeUs) -> Vec<LeaseGrant> {
        let mut burdens = Burdens::of(leases, now);
        let renew_us = self.renew_us(leases, now);
        let mut grants = Vec::new();
        for cluster in self.clusters.keys() {
            let old = leases.get(*cluster);
            let after = leases.fencing(*cluster);
            let waits = self.proposed.get(cluster);
            if waits.is_some_and(|(at, when)| *at == after && now < when.plus_us(REPROPOSE_AFTER_US)) {
                continue;
            }
            let Some((lead, from)) = self.next_lead(*cluster, old, &burdens, (now, renew_us)) else { continue };
            let deputy = self.next_deputy(*cluster, lead, old, &burdens, now);
            bump(&mut burdens.leads, lead);
            deputy.into_iter().for_each(|deputy| bump(&mut burdens.deputies, deputy));
            grants.push(LeaseGrant { cluster: *cluster, lead, deputy, from, until: now.plus_us(LEASE_US), after });
        }
        self.proposed.extend(grants.iter().map(|grant| (grant.cluster, (grant.after, now))));
        grants
    }

    /// When [`Self::decide`] may have something, if nothing else happens before.
    #[must_use]
    pub fn next_wakeup(&self, leases: &LeaseTable, now: MeshTimeUs) -> Option<MeshTimeUs> {
        let due = self.clusters.keys().map(|cluster| {
            let waits = self.proposed.get(cluster).filter(|(at, _)| *at == leases.fencing(*cluster));
            let retry = waits.map(|(_, when)| when.plus_us(REPROPOSE_AFTER_US));
            let wanted = leases.get(*cluster).map(|lease| {
                let renew = lease.until.plus_us(LEASE_RENEW_US.saturating_sub(LEASE_US));
                if renew > now || self.is_live(lease.lead, now, LEAD_SILENT_AFTER_US) { renew } else { lease.until }
            });
            retry.max(wanted).unwrap_or(now)
        });
        // A cluster without any live candidate is looked at again now and then.
        due.min().map(|due| if due <= now { now.plus_us(REPROPOSE_AFTER_US / 4) } else { due })
    }

    fn is_live(&self, node: NodeId, now: MeshTimeUs, silent_after_us: i64) -> bool {
        self.seen.get(&node).is_some_and(|seen| now.since_us(*seen) < silent_after_us)
    }

    /// How old a lease has to be now for its renewal.
    fn renew_us(&self, leases: &LeaseTable, now: MeshTimeUs) -> i64 {
        let mut known = self.clusters.keys().filter_map(|cluster| leases.get(*cluster));
        let is_any_due = known.any(|lease| since_granted_us(lease, now) >= LEASE_RENEW_US);
        LEASE_RENEW_US.saturating_sub(if is_any_due { RENEW_WITH_US } else { 0 })
    }

    /// Who leads next, and from when; nothing while the lease needs no change.
    fn next_lead(
        &self,
        cluster: ClusterId,
        old: Option<&Lease>,
        burdens: &Burdens,
        (now, renew_us): (MeshTimeUs, i64),
    ) -> Option<(NodeId, MeshTimeUs)> {
        let Some(old) = old else {
            return self.pick(cluster, burdens, now, |_| true).map(|lead| (lead, now));
        };
        let belongs = self.may_lead(cluster, old.lead);
        if belongs && self.is_live(old.lead, now, LEAD_SILENT_AFTER_US) {
            let due = since_granted_us(old, now) >= renew_us;
            // Begins in the past, so that a node whose clock is a little behind sees no pause between the two.
            return due.then(|| (old.lead, old.from.max(now.plus_us(-LEASE_US)).min(now)));
        }
        if old.until > now {
            return None;
        }
        let deputy = old
            .deputy
            .filter(|deputy| self.may_lead(cluster, *deputy) && self.is_live(*deputy, now, CANDIDATE_SILENT_AFTER_US));
        let lead = deputy.or_else(|| self.pick(cluster, burdens, now, |node| node != old.lead));
        // Rather the old one, if it lives at all, than nobody.
        lead.or_else(|| self.pick(cluster, burdens, now, |_| true)).map(|lead| (lead, now))
    }

    fn next_deputy(
        &self,
        cluster: ClusterId,
        lead: NodeId,
        old: Option<&Lease>,
        burdens: &Burdens,
        now: MeshTimeUs,
    ) -> Option<NodeId> {
        let current = old.and_then(|old| old.deputy).filter(|deputy| {
            *deputy != lead && self.may_lead(cluster, *deputy) && self.is_live(*deputy, now, CANDIDATE_SILENT_AFTER_US)
        });
        current.or_else(|| self.pick(cluster, burdens, now, |node| node != lead))
    }

    fn may_lead(&self, cluster: ClusterId, node: NodeId) -> bool {
        self.others.contains(&node) || self.clusters.get(&cluster).is_some_and(|hosts| hosts.contains_key(&node))
    }

    /// The least burdened live host of the cluster, then of the sector: most agents there, then lowest id.
    fn pick(
        &self,
        cluster: ClusterId,
        burdens: &Burdens,
        now: MeshTimeUs,
        accept: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        let live = |node: &NodeId| accept(*node) && self.is_live(*node, now, CANDIDATE_SILENT_AFTER_US);
        let burden = |node: &NodeId| {
            let leads = burdens.leads.get(node).copied().unwrap_or(0);
            (leads, burdens.deputies.get(node).copied().unwrap_or(0))
        };
        let hosts = self.clusters.get(&cluster).into_iter().flatten();
        let own =
            hosts.filter(|(node, _)| live(node)).min_by_key(|(node, agents)| (burden(node), Reverse(**agents), **node));
        let other = || self.others.iter().filter(|node| live(node)).min_by_key(|node| (burden(node), **node)).copied();
        own.map(|(node, _)| *node).or_else(other)
    }
}
