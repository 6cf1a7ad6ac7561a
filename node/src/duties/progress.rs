//! How far one duty has come: tries at a slow pace, and so many at most.

use mesh30k_ledger::types::TimeMs;

use super::row::DutyState;
use crate::ledger::own::{RETRY_MAX_MS, TRIES_MAX, pause_ms};

/// The tries of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) state: DutyState,
    pub(super) tries: u32,
    next_at: TimeMs,
}

impl Progress {
    /// It is to be done from then on.
    pub(super) const fn waiting(next_at: TimeMs) -> Self {
        Self { state: DutyState::Waiting, tries: 0, next_at }
    }

    /// The ledger has it, whoever brought it in.
    pub(super) const fn done(&mut self) {
        self.state = DutyState::Done;
    }

    /// Whether it is to be tried now: counts the try when it can be paid for. Money may come, so having none is no try.
    pub(super) fn tries_now(&mut self, now: TimeMs, can_pay: impl FnOnce() -> bool) -> bool {
        if !self.is_open() || now < self.next_at {
            return false;
        }
        if self.tries >= TRIES_MAX {
            self.state = DutyState::GivenUp;
        } else if can_pay() {
            (self.state, self.next_at) = (DutyState::Waiting, now.plus_ms(pause_ms(self.tries)));
            self.tries = self.tries.saturating_add(1);
            return true;
        } else {
            (self.state, self.next_at) = (DutyState::Unpaid, now.plus_ms(RETRY_MAX_MS));
        }
        false
    }

    /// When it is tried next.
    pub(super) fn next_at(&self) -> Option<TimeMs> {
        self.is_open().then_some(self.next_at)
    }

    const fn is_open(&self) -> bool {
        matches!(self.state, DutyState::Waiting | DutyState::Unpaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeMs = TimeMs(1_000_000);

    #[test]
    fn it_is_tried_at_a_slow_pace_and_so_often() {
        let mut progress = Progress::waiting(NOW);
        assert!(!progress.tries_now(TimeMs(NOW.0 - 1), || true), "not before its time");
        let mut pauses = Vec::new();
        for _ in 0..TRIES_MAX {
            let at = progress.next_at().unwrap();
            assert!(progress.tries_now(at, || true));
            assert!(!progress.tries_now(at.plus_ms(1), || true), "once a pause");
            pauses.push(progress.next_at().unwrap().since_ms(at));
        }
        assert_eq!(pauses[..6], [30_000, 60_000, 120_000, 240_000, 480_000, 600_000]);
        assert!(!progress.tries_now(NOW.plus_ms(u64::MAX / 2), || true));
        assert_eq!((progress.state, progress.next_at()), (DutyState::GivenUp, None));
    }

    #[test]
    fn without_money_nothing_is_tried_and_with_money_it_goes_on() {
        let mut progress = Progress::waiting(NOW);
        assert!(!progress.tries_now(NOW, || false));
        let later = NOW.plus_ms(RETRY_MAX_MS);
        assert_eq!((progress.state, progress.tries, progress.next_at()), (DutyState::Unpaid, 0, Some(later)));
        assert!(
            !progress.tries_now(later.plus_ms(0), || false) && progress.tries_now(later.plus_ms(RETRY_MAX_MS), || true)
        );
        assert_eq!((progress.state, progress.tries), (DutyState::Waiting, 1));
        progress.done();
        assert!(progress.next_at().is_none() && !progress.tries_now(TimeMs(u64::MAX), || true));
    }
}
