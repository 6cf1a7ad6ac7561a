//! Which anchors to believe: the largest set whose bounds overlap (Marzullo), then a 1/delta_min^2 weighted mean (2.2).
//!
//! Never the mean first: one liar would move it.

/// One anchor's opinion of an offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnchorVote {
    /// The opinion, microseconds.
    pub offset_us: f64,
    /// Half width of the interval that must contain the truth if the anchor is honest.
    pub bound_us: f64,
    /// Smallest round trip to it; its weight is the inverse square.
    pub delay_min_us: f64,
}

/// What the agreeing anchors say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Weighted mean of the agreeing votes.
    pub offset_us: f64,
    /// Positions of the agreeing votes in the input.
    pub agreeing: Vec<usize>,
}

/// Smallest round trip used as a weight, so that a zero does not make an anchor infinitely trusted.
const MIN_WEIGHT_DELAY_US: f64 = 100.0;

/// Takes the vote; `None` when there is no usable one. Ties go to the set with the narrower common interval.
#[must_use]
pub fn vote(votes: &[AnchorVote]) -> Option<Verdict> {
    let usable: Vec<(usize, &AnchorVote)> = votes
        .iter()
        .enumerate()
        .filter(|(_, v)| v.offset_us.is_finite() && v.bound_us.is_finite() && v.bound_us >= 0.0)
        .collect();
    let mut best: Option<(usize, f64, Vec<usize>)> = None;
    // The best common interval starts at the low end of one of its members.
    for (_, candidate) in &usable {
        let low = candidate.offset_us - candidate.bound_us;
        let members: Vec<(usize, f64)> = usable
            .iter()
            .filter(|(_, v)| v.offset_us - v.bound_us <= low && low <= v.offset_us + v.bound_us)
            .map(|(i, v)| (*i, v.offset_us + v.bound_us))
            .collect();
        let width = members.iter().map(|(_, high)| high - low).fold(f64::MAX, f64::min);
        let better = best.as_ref().is_none_or(|(n, w, _)| members.len() > *n || (members.len() == *n && width < *w));
        if better {
            best = Some((members.len(), width, members.into_iter().map(|(i, _)| i).collect()));
        }
    }
    let (_, _, agreeing) = best?;
    let offset_us = weighted_mean(agreeing.iter().filter_map(|i| votes.get(*i)))?;
    Some(Verdict { offset_us, agreeing })
}

/// The mean of votes that agree; `None` without any.
pub(super) fn weighted_mean<'a>(agreeing: impl Iterator<Item = &'a AnchorVote>) -> Option<f64> {
    let (sum, total) = agreeing.fold((0.0, 0.0), |(sum, total), v| {
        let delay = if v.delay_min_us.is_finite() { v.delay_min_us.max(MIN_WEIGHT_DELAY_US) } else { f64::MAX.sqrt() };
        let weight = 1.0 / (delay * delay);
        (sum + weight * v.offset_us, total + weight)
    });
    (total > 0.0).then(|| sum / total)
}
