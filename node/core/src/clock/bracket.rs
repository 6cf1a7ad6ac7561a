//! What an agent claims to have done at an instant must lie between the parent's last word to it and the claim's
//! receipt (2.10, rule 6).

use super::link::ClockEstimate;
use crate::time::{LocalTimeUs, MeshTimeUs, round_us};

/// How far a claim may lie outside before it is no clock that was set a moment ago, but a lie, microseconds.
pub const MAX_OUTSIDE_US: i64 = 1_000_000;

/// Microseconds by which the instant `claimed`, by the agent's clock, lies outside `sent` to `received`, beyond what the
/// estimate's own bound explains; zero inside.
#[must_use]
pub fn outside_bracket_us(clock: &ClockEstimate, sent: MeshTimeUs, claimed: LocalTimeUs, received: MeshTimeUs) -> i64 {
    let at = clock.to_mesh(claimed);
    let reach_us = round_us(clock.bound_us.max(0.0));
    let before_us = sent.since_us(at).saturating_sub(reach_us);
    let after_us = at.since_us(received).saturating_sub(reach_us);
    before_us.max(after_us).max(0)
}

/// The claimed instant in mesh time; one that cannot be is moved to the nearest that can.
#[must_use]
pub fn bracketed(clock: &ClockEstimate, sent: MeshTimeUs, claimed: LocalTimeUs, received: MeshTimeUs) -> MeshTimeUs {
    clock.to_mesh(claimed).min(received).max(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_parents_two_instants_is_believed() {
        let at = MeshTimeUs(0);
        let clock = ClockEstimate {
            offset_us: 100_000.0,
            skew_ppm: 0.0,
            at,
            sigma_us: 0.0,
            bound_us: 2_000.0,
            delay_min_us: 4_000.0,
            samples: 9,
        };
        let (sent, received) = (MeshTimeUs(1_000_000), MeshTimeUs(1_050_000));
        let outside = |local| outside_bracket_us(&clock, sent, LocalTimeUs(local), received);
        assert_eq!([1_098_000, 1_120_000, 1_152_000].map(outside), [0, 0, 0]);
        assert_eq!([1_092_000, 1_158_000].map(outside), [6_000, 6_000]);
        assert!(outside(i64::MIN) > MAX_OUTSIDE_US && outside(i64::MAX) > MAX_OUTSIDE_US);
        for claimed in [i64::MIN, 0, 1_120_000, i64::MAX] {
            let at = bracketed(&clock, sent, LocalTimeUs(claimed), received);
            assert!((sent..=received).contains(&at));
        }
    }
}
