//! Hybrid logical clocks: timestamps that respect causality and stay close to mesh time.
//!
//! Source of the rules: Kulkarni et al., "Logical Physical Clocks" (OPODIS 2014), section 3.

use crate::time::MeshTimeUs;
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// How far ahead of the local clock a remote timestamp may be before it is refused: 10 s, in microseconds.
///
/// Without a bound, one host with a wrong clock would drag everybody's timestamps into the future for good.
pub const MAX_AHEAD_US: i64 = 10_000_000;

/// A hybrid logical timestamp: mesh time of the latest known event, and a count among events of that instant.
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
    Serialize,
    Deserialize,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Hlc {
    /// The greatest mesh time seen when the stamp was made.
    pub wall: MeshTimeUs,
    /// Distinguishes stamps with the same `wall`.
    pub logical: u32,
}

/// Why a remote timestamp was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HlcError {
    /// The sender's clock is too far ahead of ours.
    #[error("timestamp is {ahead_us} us ahead of mesh time, at most {limit_us} us are accepted")]
    TooFarAhead {
        /// Distance to our clock.
        ahead_us: i64,
        /// The bound, [`MAX_AHEAD_US`].
        limit_us: i64,
    },
}

impl Hlc {
    /// Refuses a stamp more than [`MAX_AHEAD_US`] ahead of `now`.
    ///
    /// # Errors
    /// [`HlcError::TooFarAhead`].
    pub const fn check(self, now: MeshTimeUs) -> Result<(), HlcError> {
        let ahead_us = self.wall.since_us(now);
        if ahead_us > MAX_AHEAD_US {
            return Err(HlcError::TooFarAhead { ahead_us, limit_us: MAX_AHEAD_US });
        }
        Ok(())
    }

    /// The smallest stamp greater than this one with at least the wall time `wall`.
    const fn successor(self, wall: MeshTimeUs) -> Self {
        if wall.0 > self.wall.0 {
            return Self { wall, logical: 0 };
        }
        match self.logical.checked_add(1) {
            Some(logical) => Self { wall: self.wall, logical },
            // Four billion events in one microsecond: borrow the next microsecond rather than repeat a stamp.
            None => Self { wall: self.wall.plus_us(1), logical: 0 },
        }
    }
}

/// Makes the timestamps of one node; the caller brings the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct HlcClock {
    last: Hlc,
}

impl HlcClock {
    /// A clock that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: Hlc { wall: MeshTimeUs(0), logical: 0 } }
    }

    /// A stamp for a local event or a message about to leave; greater than every stamp made or observed before.
    pub const fn tick(&mut self, now: MeshTimeUs) -> Hlc {
        self.last = self.last.successor(now);
        self.last
    }

    /// Takes in the stamp of a received message and returns a stamp for its receipt, greater than both clocks.
    ///
    /// # Errors
    /// [`HlcError::TooFarAhead`]; the clock is then unchanged.
    pub fn observe(&mut self, now: MeshTimeUs, remote: Hlc) -> Result<Hlc, HlcError> {
        remote.check(now)?;
        self.last = self.last.max(remote);
        Ok(self.tick(now))
    }

    /// The greatest stamp made or observed.
    #[must_use]
    pub const fn last(&self) -> Hlc {
        self.last
    }
}
