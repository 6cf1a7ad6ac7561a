//! Why a release was not within the window: for those who know the truth (harness, simulator).

use serde::{Deserialize, Serialize};

use super::spec::Strategy;

/// What kept one enrolled agent out of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissCause {
    /// Armed after T: the lead it was given was too short.
    LeadTooShort,
    /// Held to T by its clock, but the lead had that clock wrong (mostly path asymmetry), or its timer was late.
    ClockError,
    /// Thrown, not held: the delay was not its median.
    DelaySpread,
    /// It contradicted.
    Conflict,
    /// No release at all: dead, frozen, or never reached.
    Silent,
}

/// The cause of a miss by the truth; `None` for a hit. `armed_error_us` and `released_error_us` are true instants minus
/// the true T.
#[must_use]
pub fn miss_cause(
    strategy: Strategy,
    conflict: bool,
    armed_error_us: Option<i64>,
    released_error_us: Option<i64>,
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
        Strategy::Hold => MissCause::ClockError,
    })
}
