//! Leases of cluster leads.

use super::Fencing;
use crate::time::MeshTimeUs;
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};

/// A lead is appointed for 6 s,
pub const LEASE_US: i64 = 6_000_000;
/// and its lease renewed every 2 s.
pub const LEASE_RENEW_US: i64 = 3_000_000;
/// The longest lease an entry may grant: a minute. A longer one would keep a cluster without a lead.
pub const MAX_LEASE_US: i64 = 60_000_000;
/// The deputy waits this long after the end of the lease, for the lead's clock may be behind its own.
pub const DEPUTY_MARGIN_US: i64 = 100_000;

/// What a coordinator proposes: who is to lead a cluster, and who after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct LeaseGrant {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its lead.
    pub lead: NodeId,
    /// Who takes over when the lease ends; never the lead.
    pub deputy: Option<NodeId>,
    /// Mesh time from which the lead leads.
    pub from: MeshTimeUs,
    /// Mesh time at which it no longer does.
    pub until: MeshTimeUs,
    /// Fencing number of the lease this one follows; [`Fencing::NONE`] for the first. The decision is void if another
    /// came between.
    pub after: Fencing,
}

/// A lease in force: a grant and the fencing number of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Lease {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its lead.
    pub lead: NodeId,
    /// Who takes over when the lease ends.
    pub deputy: Option<NodeId>,
    /// Mesh time from which the lead leads.
    pub from: MeshTimeUs,
    /// Mesh time at which it no longer does.
    pub until: MeshTimeUs,
    /// Position of the entry that granted it.
    pub fencing: Fencing,
}

/// As what a node acts under a lease.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// As the lead.
    Lead,
    /// As the deputy, after the lease ended and before another was seen.
    Deputy,
}

/// The right under which a node acts for a cluster; what it decides carries this. The greater of two wins.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
pub struct Tenure {
    /// Fencing number of the lease.
    pub fencing: Fencing,
    /// As what.
    pub rank: Rank,
}

/// Why a grant, or somebody who acts as lead, was refused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize, thiserror::Error,
)]
pub enum LeaseError {
    /// Decided without knowing the newest lease.
    #[error("cluster {cluster}: number {found} is stale, the newest is {newest}")]
    Stale {
        /// The cluster.
        cluster: ClusterId,
        /// The number refused.
        found: Fencing,
        /// The newer one.
        newest: Fencing,
    },
    /// Another leads until later.
    #[error("cluster {cluster}: node {lead} leads for another {left_us} us")]
    Held {
        /// The cluster.
        cluster: ClusterId,
        /// Who leads it.
        lead: NodeId,
        /// For how long.
        left_us: i64,
    },
    /// A lease must last, but not too long, and lead and deputy must differ.
    #[error(
        "cluster {cluster}: lease of {span_us} us for lead {lead}, limit is {limit_us} us and the deputy must differ"
    )]
    Malformed {
        /// The cluster.
        cluster: ClusterId,
        /// Its lead.
        lead: NodeId,
        /// How long it would last.
        span_us: i64,
        /// The bound, [`MAX_LEASE_US`].
        limit_us: i64,
    },
    /// The node does not hold the right it claims, or not now.
    #[error("cluster {cluster}: node {node} does not hold {fencing} now")]
    NotHolder {
        /// The cluster.
        cluster: ClusterId,
        /// Who claims it.
        node: NodeId,
        /// What it claims.
        fencing: Fencing,
    },
    /// More clusters than a sector may have.
    #[error("cluster {cluster}: no room for another lease, limit is {limit}")]
    TooMany {
        /// The cluster.
        cluster: ClusterId,
        /// The bound.
        limit: u32,
    },
}

impl LeaseGrant {
    pub(super) fn check(&self) -> Result<(), LeaseError> {
        let span_us = self.until.since_us(self.from);
        if span_us <= 0 || span_us > MAX_LEASE_US || self.deputy == Some(self.lead) {
            let (cluster, lead) = (self.cluster, self.lead);
            return Err(LeaseError::Malformed { cluster, lead, span_us, limit_us: MAX_LEASE_US });
        }
        Ok(())
    }

    pub(super) const fn at(self, fencing: Fencing) -> Lease {
        let Self { cluster, lead, deputy, from, until, .. } = self;
        Lease { cluster, lead, deputy, from, until, fencing }
    }
}

impl Lease {
    /// Who may act for the cluster at `now` by this lease: the lead while it lasts; after it, and a margin, the deputy for
    /// as long again; then nobody.
    #[must_use]
    pub fn holder(&self, now: MeshTimeUs) -> Option<(NodeId, Tenure)> {
        if now < self.from {
            return None;
        }
        if now < self.until {
            return Some((self.lead, Tenure { fencing: self.fencing, rank: Rank::Lead }));
        }
        let takes_over = self.until.plus_us(DEPUTY_MARGIN_US);
        let ends = takes_over.plus_us(self.until.since_us(self.from));
        let deputy = self.deputy.filter(|_| now >= takes_over && now < ends)?;
        Some((deputy, Tenure { fencing: self.fencing, rank: Rank::Deputy }))
    }

    /// The next instant after `now` at which [`Self::holder`] may change.
    #[must_use]
    pub fn next_change(&self, now: MeshTimeUs) -> Option<MeshTimeUs> {
        let takes_over = self.until.plus_us(DEPUTY_MARGIN_US);
        let ends = takes_over.plus_us(self.until.since_us(self.from));
        [self.from, self.until, takes_over, ends].into_iter().find(|instant| *instant > now)
    }
}
