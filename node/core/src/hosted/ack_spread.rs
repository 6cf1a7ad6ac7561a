//! When a host's answers about releases leave: after T, in few batches, each host at a moment of its own.
//!
//! At T thousands of agents release on the same machines and the same links; whatever else happens then makes some of them
//! late. Nobody waits for these answers by the millisecond: they carry the instant they are about.

use mesh30k_ledger::types::NodeId;

use super::noise::noise;

/// The milliseconds after T belong to releases.
const FIRST_US: i64 = 30_000;
/// Over how long the first batches are spread.
const SPREAD_US: u64 = 250_000;
/// Later answers leave in steps of this.
const STEP_US: i64 = 40_000;

/// When an answer leaves that could leave at `ready_us`. The result is never before that, and at most [`STEP_US`] after it
/// once the first batch has left.
pub(super) fn leaves_us(target_us: i64, host: NodeId, ready_us: i64) -> i64 {
    let place = noise(0, host.0, 0, 0);
    let offset = place.checked_rem(SPREAD_US).unwrap_or(0);
    let first_us = target_us.saturating_add(FIRST_US).saturating_add(i64::try_from(offset).unwrap_or(0));
    let over_us = ready_us.saturating_sub(first_us).max(0);
    let steps = over_us.saturating_add(STEP_US - 1).checked_div(STEP_US).unwrap_or(0);
    first_us.saturating_add(steps.saturating_mul(STEP_US)).max(ready_us)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const T: i64 = 1_000_000;

    #[test]
    fn nothing_leaves_early_or_much_later_than_it_could() {
        for ready_us in (T - 5_000_000..T + 5_000_000).step_by(7_919) {
            let at_us = leaves_us(T, NodeId(5), ready_us);
            assert!(at_us >= ready_us.max(T + FIRST_US));
            assert!(at_us <= ready_us.max(T + FIRST_US + SPREAD_US as i64) + STEP_US);
        }
    }

    #[test]
    fn hosts_share_the_time_after_t() {
        let firsts: BTreeSet<i64> = (1..=200).map(|host| leaves_us(T, NodeId(host), T) / 10_000).collect();
        assert!(firsts.len() >= 24, "only {} of 25 slots of 10 ms are used", firsts.len());
    }
}
