//! Instants of mesh time and of an agent's own clock, kept apart by type.
//!
//! All arithmetic saturates: an absurd instant from a peer stays absurd and never wraps into a plausible one.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// An instant of mesh time: microseconds since the Unix epoch on the anchor's clock.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct MeshTimeUs(pub i64);

/// An instant on a child's own clock: microseconds since the Unix epoch as that clock has it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct LocalTimeUs(pub i64);

macro_rules! instant {
    ($name:ident) => {
        impl $name {
            /// The latest instant there is: "never".
            pub const MAX: Self = Self(i64::MAX);

            /// This instant moved by `us` (negative: earlier); saturates.
            #[must_use]
            pub const fn plus_us(self, us: i64) -> Self {
                Self(self.0.saturating_add(us))
            }

            /// This instant moved back by `us`; saturates.
            #[must_use]
            pub const fn minus_us(self, us: i64) -> Self {
                Self(self.0.saturating_sub(us))
            }

            /// Microseconds from `earlier` to this instant; negative when `earlier` is later.
            #[must_use]
            pub const fn since_us(self, earlier: Self) -> i64 {
                self.0.saturating_sub(earlier.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}us", self.0)
            }
        }
    };
}

/// Mesh time under the short name used where no agent's clock is near.
pub use self::MeshTimeUs as TimeUs;

instant!(MeshTimeUs);
instant!(LocalTimeUs);

impl MeshTimeUs {
    /// What a clock that is ahead of mesh time by `offset_us` shows at this instant.
    #[must_use]
    pub fn to_local(self, offset_us: f64) -> LocalTimeUs {
        LocalTimeUs(self.0.saturating_add(round_us(offset_us)))
    }
}

impl LocalTimeUs {
    /// The instant of mesh time at which a clock ahead by `offset_us` shows this.
    #[must_use]
    pub fn to_mesh(self, offset_us: f64) -> MeshTimeUs {
        MeshTimeUs(self.0.saturating_sub(round_us(offset_us)))
    }
}

/// The first multiple of `step_us` from `us` on; `us` itself when there is no step.
#[must_use]
pub fn next_multiple(us: i64, step_us: i64) -> i64 {
    match us.checked_rem_euclid(step_us) {
        None | Some(0) => us,
        Some(past_us) => us.saturating_sub(past_us).saturating_add(step_us),
    }
}

/// Microseconds as a whole number; not-a-number becomes zero and what is too large saturates.
#[must_use]
pub fn round_us(us: f64) -> i64 {
    us.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_and_the_two_clocks_convert_back() {
        assert_eq!(MeshTimeUs::MAX.plus_us(1), MeshTimeUs::MAX);
        assert_eq!(MeshTimeUs(5).since_us(MeshTimeUs(i64::MIN)), i64::MAX);
        let t = MeshTimeUs(1_000_000);
        assert_eq!(t.to_local(-250.4).to_mesh(-250.4), t);
        assert_eq!(
            [next_multiple(-1, 50), next_multiple(100, 50), next_multiple(101, 50), next_multiple(7, 0)],
            [0, 100, 150, 7]
        );
        assert_eq!(round_us(f64::NAN), 0);
        assert_eq!(round_us(f64::INFINITY), i64::MAX);
    }
}
