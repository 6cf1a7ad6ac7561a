//! Forgetting by halves.

use crate::types::TimeMs;

/// In such a time, half the way back to the start: 30 days.
pub const HALF_LIFE_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// Whole half-lives that have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HalfLives(u64);

impl HalfLives {
    pub(crate) fn between(since: TimeMs, now: TimeMs) -> Self {
        Self(now.since_ms(since).checked_div(HALF_LIFE_MS).unwrap_or(0))
    }

    /// When the last of them ended. Counting goes on from there: from the last change, whoever changes often would forget nothing.
    pub(crate) fn end(self, since: TimeMs) -> TimeMs {
        since.plus_ms(self.0.saturating_mul(HALF_LIFE_MS))
    }

    /// What is left of a value that drifts back to its start.
    pub(crate) fn drift(self, value: u32, start: u32) -> u32 {
        let away = value.abs_diff(start) >> u32::try_from(self.0).unwrap_or(u32::MAX).min(31);
        if value >= start { start.saturating_add(away) } else { start.saturating_sub(away) }
    }
}
