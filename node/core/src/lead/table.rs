//! The newest lease of each cluster, at voters and at everybody who follows them.

use super::{Fencing, Lease, LeaseError, LeaseGrant, Rank, Tenure};
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::{ClusterId, NodeId};
use std::collections::BTreeMap;

/// Most clusters with a lease: far more than a mesh has clusters in one sector, and enough for a whole mesh.
pub const MAX_LEASES: usize = 4_096;

/// The newest lease of each cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseTable {
    leases: BTreeMap<ClusterId, Lease>,
}

impl LeaseTable {
    /// No leases.
    #[must_use]
    pub const fn new() -> Self {
        Self { leases: BTreeMap::new() }
    }

    /// Decides on a grant that the group ordered at `position`. Pure in what was ordered before, so that all voters agree.
    ///
    /// # Errors
    /// [`LeaseError`]; the table is then unchanged.
    pub fn grant(&mut self, position: Fencing, grant: LeaseGrant) -> Result<Lease, LeaseError> {
        grant.check()?;
        let cluster = grant.cluster;
        let old = self.leases.get(&cluster);
        let newest = old.map_or(Fencing::NONE, |lease| lease.fencing);
        if grant.after != newest || position <= newest {
            return Err(LeaseError::Stale { cluster, found: grant.after, newest });
        }
        if let Some(old) = old.filter(|old| old.lead != grant.lead && old.until > grant.from) {
            let left_us = old.until.since_us(grant.from);
            return Err(LeaseError::Held { cluster, lead: old.lead, left_us });
        }
        let lease = grant.at(position);
        self.insert(lease)?;
        Ok(lease)
    }

    /// Takes in a lease that the group is said to have granted; whether it is news.
    ///
    /// # Errors
    /// [`LeaseError::Stale`] with the newer number, [`LeaseError::TooMany`].
    pub fn follow(&mut self, lease: Lease) -> Result<bool, LeaseError> {
        let newest = self.fencing(lease.cluster);
        if lease.fencing < newest {
            return Err(LeaseError::Stale { cluster: lease.cluster, found: lease.fencing, newest });
        }
        if lease.fencing == newest {
            return Ok(false);
        }
        self.insert(lease)?;
        Ok(true)
    }

    /// Judges a node that acts for a cluster under `tenure` at `now`: refused with the newer number when it is stale, unless
    /// the newer number is its own renewal.
    ///
    /// A tenure by a lease not seen here yet is accepted: numbers come only from the sector group, and the claim is signed
    /// by who makes it.
    ///
    /// # Errors
    /// [`LeaseError::Stale`], [`LeaseError::NotHolder`].
    pub fn check(&self, cluster: ClusterId, node: NodeId, tenure: Tenure, now: MeshTimeUs) -> Result<(), LeaseError> {
        let Some(lease) = self.leases.get(&cluster) else { return Ok(()) };
        let holder = lease.holder(now);
        if tenure.fencing < lease.fencing {
            // A renewal reaches its holder and the others in any order: what the holder sends meanwhile still bears the number
            // that was renewed. It is the holder all the same; a deposed lead never is.
            let renewed =
                tenure.rank == Rank::Lead && holder.is_some_and(|(lead, held)| lead == node && held.rank == Rank::Lead);
            let stale = LeaseError::Stale { cluster, found: tenure.fencing, newest: lease.fencing };
            return if renewed { Ok(()) } else { Err(stale) };
        }
        let holds = tenure.fencing > lease.fencing || holder == Some((node, tenure));
        if holds { Ok(()) } else { Err(LeaseError::NotHolder { cluster, node, fencing: tenure.fencing }) }
    }

    /// Who may act for `cluster` at `now`.
    #[must_use]
    pub fn holder(&self, cluster: ClusterId, now: MeshTimeUs) -> Option<(NodeId, Tenure)> {
        self.leases.get(&cluster)?.holder(now)
    }

    /// The clusters `node` may act for at `now`.
    pub fn held_by(&self, node: NodeId, now: MeshTimeUs) -> impl Iterator<Item = (ClusterId, Tenure)> {
        let held = self.leases.values().filter_map(move |lease| Some((lease.cluster, lease.holder(now)?)));
        held.filter(move |(_, (holder, _))| *holder == node).map(|(cluster, (_, tenure))| (cluster, tenure))
    }

    /// The newest lease of `cluster`.
    #[must_use]
    pub fn get(&self, cluster: ClusterId) -> Option<&Lease> {
        self.leases.get(&cluster)
    }

    /// All leases, by cluster.
    pub fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    /// The newest fencing number of `cluster`.
    #[must_use]
    pub fn fencing(&self, cluster: ClusterId) -> Fencing {
        self.leases.get(&cluster).map_or(Fencing::NONE, |lease| lease.fencing)
    }

    /// When some holder changes next, if no lease is renewed.
    #[must_use]
    pub fn next_change(&self, now: MeshTimeUs) -> Option<MeshTimeUs> {
        self.leases.values().filter_map(|lease| lease.next_change(now)).min()
    }

    fn insert(&mut self, lease: Lease) -> Result<(), LeaseError> {
        if self.leases.len() >= MAX_LEASES && !self.leases.contains_key(&lease.cluster) {
            let limit = u32::try_from(MAX_LEASES).unwrap_or(u32::MAX);
            return Err(LeaseError::TooMany { cluster: lease.cluster, limit });
        }
        self.leases.insert(lease.cluster, lease);
        Ok(())
    }
}
