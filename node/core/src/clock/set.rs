//! A child's clock through all its anchors.

use std::collections::BTreeMap;

use mesh30k_ledger::types::NodeId;

use super::anchor_check::AnchorSample;
use super::exchange::{Exchange, RejectCounts, SampleError};
use super::host::HostClock;
use super::link::{ClockEstimate, ClockLink, RHO_UNFITTED_PPM};
use super::vote::{AnchorVote, vote, weighted_mean};
use crate::time::MeshTimeUs;

/// Anchors a child may have at once (three, five for untrusted leads); the least filled link goes when one more appears.
pub const MAX_ANCHORS: usize = 5;

/// A time service's word older than this is void.
const MAX_HOST_AGE_US: i64 = 60_000_000;
/// Typical error of a time service, of its bound: asymmetry as on any other path (2.2).
const SIGMA_OF_BOUND: f64 = 0.1;

/// One [`ClockLink`] per anchor and the vote between them.
#[derive(Clone, Debug, Default)]
pub struct ClockSet {
    links: BTreeMap<NodeId, ClockLink>,
    host: Option<(MeshTimeUs, HostClock)>,
    anchor_error_us: f64,
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

    /// The child's own time service said how its clock stands, heard at `now`; what says nothing is left out.
    pub fn record_host(&mut self, now: MeshTimeUs, says: HostClock) {
        let Some(says) = says.checked() else {
            self.host = None;
            return;
        };
        self.host = Some((now, says));
        let own_us = says.offset_us as f64 - self.anchor_error_us;
        for link in self.links.values_mut() {
            link.hear_service(now, own_us, f64::from(says.bound_us));
        }
    }

    /// The parent's time was corrected by `by_us`: what was measured on it follows.
    pub fn correct(&mut self, by_us: i64) {
        self.links.values_mut().for_each(|link| link.correct(by_us));
        if let Some((heard, _)) = &mut self.host {
            *heard = heard.plus_us(by_us);
        }
    }

    /// An exchange contradicts what was known: measure again soon.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.links.values().any(|link| link.suspect().is_some())
    }

    /// How far the parent's own time is off, where its children found out (see [`super::check_anchor`]).
    pub fn set_anchor_error(&mut self, error_us: f64) {
        self.anchor_error_us = if error_us.is_finite() { error_us } else { 0.0 };
    }

    /// What this child says of its parent's time.
    #[must_use]
    pub fn anchor_sample(&self, now: MeshTimeUs) -> Option<AnchorSample> {
        let agreed = self.anchors_estimate(now)?;
        let (offset_us, bound_us) = self.host_offset(&agreed, now)?;
        Some(AnchorSample { error_us: offset_us - agreed.offset_us, sigma_us: agreed.sigma_us, bound_us })
    }

    /// The agreed estimate at `now`, on the parent's time: the anchors' vote, refined by the child's own time service where
    /// the two can both be true. One that contradicts is not believed alone: a service may be stuck.
    #[must_use]
    pub fn estimate(&self, now: MeshTimeUs) -> Option<ClockEstimate> {
        let agreed = self.anchors_estimate(now)?;
        let Some((offset_us, bound_us)) = self.host_offset(&agreed, now) else { return Some(agreed) };
        let own = AnchorVote {
            offset_us: offset_us - self.anchor_error_us,
            bound_us,
            // A root distance is half a round trip and dispersion.
            delay_min_us: 2.0 * bound_us,
        };
        let anchors =
            AnchorVote { offset_us: agreed.offset_us, bound_us: agreed.bound_us, delay_min_us: agreed.delay_min_us };
        if (own.offset_us - anchors.offset_us).abs() > own.bound_us + anchors.bound_us {
            return Some(agreed);
        }
        let offset_us = weighted_mean([&anchors, &own].into_iter())?;
        let shift = |v: &AnchorVote| (v.offset_us - offset_us).abs();
        Some(ClockEstimate {
            offset_us,
            bound_us: (anchors.bound_us + shift(&anchors)).min(own.bound_us + shift(&own)),
            sigma_us: agreed.sigma_us.min(SIGMA_OF_BOUND * bound_us),
            ..agreed
        })
    }

    /// The time service's word at `now` and its bound by then; none when it is too old.
    fn host_offset(&self, agreed: &ClockEstimate, now: MeshTimeUs) -> Option<(f64, f64)> {
        let (heard, says) = self.host?;
        let age_us = now.since_us(heard);
        if !(0..=MAX_HOST_AGE_US).contains(&age_us) {
            return None;
        }
        let age_s = age_us as f64 / 1e6;
        Some((says.offset_us as f64 + agreed.skew_ppm * age_s, f64::from(says.bound_us) + RHO_UNFITTED_PPM * age_s))
    }

    /// The anchors' vote; the bound is the narrowest agreeing one widened by its distance from the mean.
    fn anchors_estimate(&self, now: MeshTimeUs) -> Option<ClockEstimate> {
        if self.links.len() == 1 {
            return self.links.values().next()?.estimate(now);
        }
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
