//! A child's clock through all its anchors.

use std::collections::BTreeMap;

use mesh30k_ledger::types::NodeId;

use super::exchange::{Exchange, RejectCounts, SampleError};
use super::link::{ClockEstimate, ClockLink};
use super::vote::{AnchorVote, vote};
use crate::time::MeshTimeUs;

/// Anchors a child may have at once (three, five for untrusted leads); the least filled link goes when one more appears.
pub const MAX_ANCHORS: usize = 5;

/// One [`ClockLink`] per anchor and the vote between them.
#[derive(Clone, Debug, Default)]
pub struct ClockSet {
    links: BTreeMap<NodeId, ClockLink>,
}

impl ClockSet {
    /// A set without exchanges.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an exchange made on the time of `anchor`.
    ///
    /// # Errors
    /// Why the exchange was refused.
    pub fn record(&mut self, anchor: NodeId, exchange: Exchange) -> Result<(), SampleError> {
        if !self.links.contains_key(&anchor) && self.links.len() >= MAX_ANCHORS {
            let weakest = self.links.iter().min_by_key(|(_, link)| link.len()).map(|(id, _)| *id);
            if let Some(id) = weakest {
                self.links.remove(&id);
            }
        }
        self.links.entry(anchor).or_default().record(exchange)
    }

    /// The agreed estimate at `now`; the bound is the narrowest agreeing one widened by its distance from the mean.
    #[must_use]
    pub fn estimate(&self, now: MeshTimeUs) -> Option<ClockEstimate> {
        let estimates: Vec<ClockEstimate> = self.links.values().filter_map(|l| l.estimate(now)).collect();
        let votes: Vec<AnchorVote> = estimates
            .iter()
            .map(|e| AnchorVote { offset_us: e.offset_us, bound_us: e.bound_us, delay_min_us: e.delay_min_us })
            .collect();
        let verdict = vote(&votes)?;
        let agreeing: Vec<&ClockEstimate> = verdict.agreeing.iter().filter_map(|i| estimates.get(*i)).collect();
        let nearest = agreeing.iter().min_by(|a, b| a.delay_min_us.total_cmp(&b.delay_min_us))?;
        let shift = |e: &&ClockEstimate| (e.offset_us - verdict.offset_us).abs();
        Some(ClockEstimate {
            offset_us: verdict.offset_us,
            bound_us: agreeing.iter().map(|e| e.bound_us + shift(e)).fold(f64::MAX, f64::min),
            sigma_us: nearest.sigma_us.max(shift(nearest)),
            samples: agreeing.iter().map(|e| e.samples).max().unwrap_or(0),
            ..**nearest
        })
    }

    /// Refusals over all anchors.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.links.values().map(ClockLink::rejected).map(|r: RejectCounts| r.total()).sum()
    }

    /// The link to one anchor.
    #[must_use]
    pub fn link(&self, anchor: NodeId) -> Option<&ClockLink> {
        self.links.get(&anchor)
    }
}
