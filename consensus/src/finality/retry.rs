//! When to ask again: a doubling delay.

use mesh30k_ledger::types::TimeMs;

/// First repetition of a request for votes, ms: several round trips of a wide network.
pub const VOTE_RETRY_MS: u64 = 400;
/// Longest delay between two requests for the same votes, ms.
pub const VOTE_RETRY_MAX_MS: u64 = 4_000;
/// Next request while catching up, ms: time for the rest of an answer to arrive.
pub const FOLLOW_UP_MS: u64 = 25;
/// First repetition of a request for blocks, ms.
pub const FETCH_RETRY_MS: u64 = 300;
/// Longest delay between two requests for the same blocks, ms.
pub const FETCH_RETRY_MAX_MS: u64 = 5_000;

/// One repeated request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    first_ms: u64,
    most_ms: u64,
    next: TimeMs,
    attempt: u32,
}

impl Retry {
    /// For votes; the first request goes out `VOTE_RETRY_MS` after `restart`.
    pub(super) fn votes() -> Self {
        Self { first_ms: VOTE_RETRY_MS, most_ms: VOTE_RETRY_MAX_MS, next: TimeMs(0), attempt: 0 }
    }

    /// For blocks; the first request is due at `first`.
    pub(super) fn blocks(first: TimeMs) -> Self {
        Self { first_ms: FETCH_RETRY_MS, most_ms: FETCH_RETRY_MAX_MS, next: first, attempt: 0 }
    }

    /// Begins anew: the next request is due one first delay from now.
    pub(super) fn restart(&mut self, now: TimeMs) {
        self.attempt = 0;
        self.next = now.plus_ms(self.first_ms);
    }

    /// An answer to a request moved things on: what follows is likely to be there too, so that the next
    /// request is due after one short delay.
    pub(super) fn follow_up(&mut self, now: TimeMs) {
        self.attempt = self.attempt.min(1);
        self.next = now.plus_ms(FOLLOW_UP_MS);
    }

    /// If a request is due: its number, from 0, and the next one is set. A clock that was set back does not make it wait
    /// until that time comes again: no delay is longer than the longest.
    pub(super) fn due(&mut self, now: TimeMs) -> Option<u32> {
        let wait_ms = self.next.0.saturating_sub(now.0);
        if wait_ms > 0 && wait_ms <= self.most_ms {
            return None;
        }
        let attempt = self.attempt;
        let doubled = self.first_ms.saturating_mul(1 << attempt.min(16));
        self.next = now.plus_ms(doubled.min(self.most_ms));
        self.attempt = attempt.saturating_add(1);
        Some(attempt)
    }

    /// When the next request is due.
    pub(super) fn next(&self) -> TimeMs {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_costs_no_request() {
        const HOUR_MS: u64 = 3_600_000;
        for mut retry in [Retry::votes(), Retry::blocks(TimeMs(2 * HOUR_MS))] {
            retry.restart(TimeMs(2 * HOUR_MS));
            assert_eq!(retry.due(TimeMs(2 * HOUR_MS)), None);
            let asked = (HOUR_MS..HOUR_MS + 20_000).filter(|ms| retry.due(TimeMs(*ms)).is_some()).count();
            assert!((5..=12).contains(&asked), "{asked}");
        }
    }
}
