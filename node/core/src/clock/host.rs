//! The clock of an agent's own host, as its time service has it: a vote beside the anchors' (2.2), and the agent's guard
//! against a lead whose time is wrong (2.9).

use borsh::{BorshDeserialize, BorshSerialize};

use crate::time::{LocalTimeUs, MeshTimeUs};

/// Smallest bound a time service is believed (2.2), microseconds.
pub const MIN_HOST_BOUND_US: u32 = 3_000;
/// A service further off than this says nothing, microseconds.
pub const MAX_HOST_BOUND_US: u32 = 100_000;
/// What path asymmetry and drift may put between an honest lead's word and the host's clock, beyond the host's bound.
const GUARD_US: i64 = 40_000;

/// What an agent's time service says of the agent's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HostClock {
    /// Agent's clock minus true time, microseconds.
    pub offset_us: i64,
    /// At most this far off (root distance), microseconds.
    pub bound_us: u32,
}

impl HostClock {
    /// The statement with its bound floored; none when it says nothing.
    #[must_use]
    pub fn checked(self) -> Option<Self> {
        let bound_us = self.bound_us.max(MIN_HOST_BOUND_US);
        (bound_us <= MAX_HOST_BOUND_US).then_some(Self { bound_us, ..self })
    }
}

/// The agent's T on its own clock: what the lead told it, unless its own time service contradicts; then its own.
#[must_use]
pub fn guarded_target(target: MeshTimeUs, told: LocalTimeUs, host: Option<HostClock>) -> LocalTimeUs {
    let Some(host) = host.and_then(HostClock::checked) else { return told };
    let own = LocalTimeUs(target.0).plus_us(host.offset_us);
    let gap_us = told.since_us(own).saturating_abs();
    if gap_us > GUARD_US.saturating_add(i64::from(host.bound_us)) { own } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_that_is_far_off_is_not_obeyed_and_one_within_reason_is() {
        let host = HostClock { offset_us: -70_000, bound_us: 5_000 };
        let target = MeshTimeUs(1_000_000);
        let told = |us| guarded_target(target, LocalTimeUs(us), Some(host)).0;
        assert_eq!([told(930_000), told(960_000), told(886_000)], [930_000, 960_000, 886_000]);
        assert_eq!([told(1_130_000), told(730_000), told(i64::MIN), told(i64::MAX)], [930_000; 4]);
        assert_eq!(guarded_target(target, LocalTimeUs(5), None), LocalTimeUs(5));
        let vague = HostClock { offset_us: 0, bound_us: u32::MAX };
        assert_eq!(guarded_target(target, LocalTimeUs(5), Some(vague)), LocalTimeUs(5));
    }
}
