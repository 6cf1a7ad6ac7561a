//! Scatter-gather over a folded ack: was it a success, and if not, what the data say would help.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::fold::Tally;
use crate::delay::ERROR_EDGES_US;

/// Usual share of those enrolled that must be ready, parts per million.
pub const DEFAULT_READY_PPM: u32 = 950_000;
/// Usual window, microseconds.
pub const DEFAULT_WINDOW_US: i64 = 10_000;
const ONE_PPM: u64 = 1_000_000;

/// What is asked of a gather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatherRequest {
    /// Releases within this of T count, either way, microseconds; taken down to the next edge of the histogram.
    pub window_us: i64,
    /// Share of those enrolled at dispatch that must count, parts per million.
    pub ready_ppm: u32,
}

/// A request that cannot be met or says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GatherError {
    /// Outside one millionth to all.
    #[error("ready_ppm is {0}, allowed are 1 to 1000000")]
    Ready(u32),
    /// Smaller than the finest bucket.
    #[error("window_us is {window_us}, at least {least_us} is needed")]
    Window {
        /// Asked.
        window_us: i64,
        /// The histogram's first edge.
        least_us: i64,
    },
}

/// What would help, from the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Ask again when the late may be in: so many are still under way and so much time is left for them.
    Wait {
        /// Until the event's corrections end, milliseconds.
        ms: i64,
        /// Agents in TRANSIT.
        agents: u32,
    },
    /// Those who released lie within this window in sufficient number.
    LargerWindow {
        /// Half width, microseconds.
        window_us: i64,
    },
    /// Contradictions stand between the result and the wanted share.
    ResolveConflicts {
        /// How many.
        agents: u32,
    },
    /// So many will not come: ask others.
    OtherAgents {
        /// How many are missing to the wanted share.
        agents: u32,
    },
}

/// What came of a gather.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GatherOutcome {
    /// Enough, in the window.
    Success {
        /// Share of those enrolled, parts per million.
        ready_ppm: u32,
    },
    /// Not enough.
    Partial {
        /// Share of those enrolled, parts per million.
        ready_ppm: u32,
        /// What would help, the cheapest first; empty when nothing in the data does.
        advice: Vec<Advice>,
    },
}

impl GatherRequest {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`GatherError`].
    pub fn check(&self) -> Result<(), GatherError> {
        if self.ready_ppm == 0 || u64::from(self.ready_ppm) > ONE_PPM {
            return Err(GatherError::Ready(self.ready_ppm));
        }
        let least_us = ERROR_EDGES_US.first().copied().unwrap_or(1);
        if self.window_us < least_us {
            return Err(GatherError::Window { window_us: self.window_us, least_us });
        }
        Ok(())
    }

    /// The window that counts: the histogram's largest edge within the one asked for.
    #[must_use]
    pub fn counted_window_us(&self) -> i64 {
        ERROR_EDGES_US.into_iter().take_while(|edge| *edge <= self.window_us).last().unwrap_or(0)
    }

    /// Judges a folded ack; `remaining_us` until no correction can come any more. Rates are over everybody enrolled.
    ///
    /// # Errors
    /// [`GatherError`] for a request out of bounds.
    pub fn judge(&self, tally: &Tally, remaining_us: i64) -> Result<GatherOutcome, GatherError> {
        self.check()?;
        let enrolled = u64::from(tally.sum(|c| c.enrolled));
        let in_window = tally.errors.within(self.window_us);
        let ready_ppm = ppm(in_window, enrolled);
        // Nobody enrolled is nobody ready.
        if enrolled > 0 && self.suffices(in_window, enrolled) {
            return Ok(GatherOutcome::Success { ready_ppm });
        }
        Ok(GatherOutcome::Partial { ready_ppm, advice: self.advice(tally, enrolled, in_window, remaining_us) })
    }

    fn suffices(&self, count: u64, enrolled: u64) -> bool {
        count.saturating_mul(ONE_PPM) >= u64::from(self.ready_ppm).saturating_mul(enrolled)
    }

    fn advice(&self, tally: &Tally, enrolled: u64, in_window: u64, remaining_us: i64) -> Vec<Advice> {
        let mut advice = Vec::new();
        let (transit, conflicts) = (tally.sum(|c| c.transit), tally.sum(|c| c.conflict));
        let wider = ERROR_EDGES_US.into_iter().find(|edge| self.suffices(tally.errors.within(*edge), enrolled));
        if let Some(window_us) = wider.filter(|edge| *edge > self.window_us && enrolled > 0) {
            advice.push(Advice::LargerWindow { window_us });
        }
        // Who is under way will be late: waiting helps only if those who released so far could fill a wider window.
        let released = tally.errors.total();
        let could = self.suffices(released.saturating_add(u64::from(transit)), enrolled);
        if wider.is_none() && transit > 0 && remaining_us > 0 && could {
            advice.push(Advice::Wait {
                ms: remaining_us.saturating_add(999).checked_div(1_000).unwrap_or(0),
                agents: transit,
            });
        }
        if conflicts > 0 && !self.suffices(enrolled.saturating_sub(u64::from(conflicts)), enrolled) {
            advice.push(Advice::ResolveConflicts { agents: conflicts });
        }
        let wanted = u64::from(self.ready_ppm).saturating_mul(enrolled).div_ceil(ONE_PPM);
        let missing = u32::try_from(wanted.saturating_sub(in_window)).unwrap_or(u32::MAX).min(transit);
        if missing > 0 && (remaining_us <= 0 || !could) {
            advice.push(Advice::OtherAgents { agents: missing });
        }
        advice
    }
}

fn ppm(part: u64, whole: u64) -> u32 {
    let share = part.saturating_mul(ONE_PPM).checked_div(whole).unwrap_or(0);
    u32::try_from(share).unwrap_or(u32::MAX)
}
