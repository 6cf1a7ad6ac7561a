//! What nobody waits for by the millisecond is seen to in rounds, each host's at moments of its own: a host wakes once for many
//! of its agents, and what they say leaves together.

use mesh30k_ledger::types::NodeId;

use super::noise::noise;
use crate::event::ARMED_ROUND_US;
use crate::time::next_multiple;

/// From round to round.
const ROUND_US: i64 = ARMED_ROUND_US;
/// The last round ends this long before whoever is concerned acts: those milliseconds belong to releases.
const AHEAD_US: i64 = 20_000;

/// The round of `host` in which to see to what happens at `at_us` and concerns somebody who acts at `hold_us`; none when that is
/// too near, and it must be seen to at once.
pub(super) fn round_us(host: NodeId, at_us: i64, hold_us: i64) -> Option<i64> {
    let phase_us = i64::try_from(noise(1, host.0, 0, 0) >> 32).unwrap_or(0).checked_rem(ROUND_US).unwrap_or(0);
    let round_us = next_multiple(at_us.saturating_sub(phase_us), ROUND_US).saturating_add(phase_us);
    (round_us <= hold_us.saturating_sub(AHEAD_US)).then_some(round_us)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const T: i64 = 1_000_000;

    #[test]
    fn a_round_is_never_early_never_a_round_late_and_never_near_the_instant_to_act() {
        for at_us in (T - 3_000_000..T + 100_000).step_by(777) {
            match round_us(NodeId(7), at_us, T) {
                Some(round_us) => assert!((at_us..at_us + ROUND_US).contains(&round_us) && round_us <= T - AHEAD_US),
                None => assert!(at_us > T - AHEAD_US - ROUND_US),
            }
        }
    }

    #[test]
    fn the_rounds_of_a_hundred_hosts_are_spread() {
        let rounds = (1..=100).filter_map(|host| round_us(NodeId(host), 0, T));
        let milliseconds: BTreeSet<i64> = rounds.map(|round_us| round_us / 1_000).collect();
        assert!(milliseconds.len() > 30, "only {} of 40", milliseconds.len());
    }
}
