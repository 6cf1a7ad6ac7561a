//! Why a release was not within the window: for those who know the truth (harness, simulator).

use serde::{Deserialize, Serialize};

use super::spec::Strategy;

/// What kept one enrolled agent out of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissCause {
    /// Armed after T: the lead it was given was too short.
    LeadTooShort,
    /// Held to T by its clock, but the lead had that clock wrong (mostly path asymmetry).
    ClockError,
    /// Held to the right instant, but its host was not woken then.
    WokenLate,
    /// Thrown, not held: the delay was not its median.
    DelaySpread,
    /// It contradicted.
    Conflict,
    /// No release at all: dead, frozen, or never reached.
    Silent,
}

/// The cause of a miss by the truth; `None` for a hit. `armed_error_us` and `released_error_us` are true instants minus
/// the true T, `clock_error_us` is by how much the instant that the lead named was later than T. Of clock and wake-up the greater
/// error is the cause; where the clock's is not known, the clock.
#[must_use]
pub fn miss_cause(
    strategy: Strategy,
    conflict: bool,
    armed_error_us: Option<i64>,
    (released_error_us, clock_error_us): (Option<i64>, Option<i64>),
    omega_us: i64,
) -> Option<MissCause> {
    let Some(error_us) = released_error_us else {
        return Some(if conflict { MissCause::Conflict } else { MissCause::Silent });
    };
    if error_us.saturating_abs() <= omega_us {
        return None;
    }
    Some(match strategy {
        Strategy::Throw => MissCause::DelaySpread,
        Strategy::Hold if armed_error_us.is_some_and(|armed| armed > omega_us) => MissCause::LeadTooShort,
        Strategy::Hold => {
            let woken_late_us = clock_error_us.map_or(0, |clock_us| error_us.saturating_sub(clock_us));
            let by_clock = clock_error_us.is_none_or(|clock_us| clock_us.saturating_abs() >= woken_late_us);
            if by_clock { MissCause::ClockError } else { MissCause::WokenLate }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_clock_and_wake_up_the_greater_error_is_the_cause() {
        let cause =
            |error_us, clock_us| miss_cause(Strategy::Hold, false, Some(-500_000), (Some(error_us), clock_us), 10_000);
        assert_eq!(cause(9_000, Some(0)), None);
        assert_eq!(cause(30_000, Some(29_000)), Some(MissCause::ClockError));
        assert_eq!(cause(30_000, Some(-1_000)), Some(MissCause::WokenLate));
        assert_eq!(cause(-30_000, Some(-31_000)), Some(MissCause::ClockError));
        assert_eq!(cause(30_000, None), Some(MissCause::ClockError), "what is not known is not blamed on the machine");
    }
}
