//! The instants around T, in which a host releases and does nothing else.
//!
//! A hundred processes on two cores wake on time when each only releases; when each also works for a millisecond, four in
//! five come late. So everything else waits some milliseconds.

use std::collections::BTreeSet;

/// Quiet begins this long before T.
const BEFORE_US: i64 = 3_000;
/// And ends this long after it: by then nearly every agent's own clock has passed T.
const AFTER_US: i64 = 12_000;
/// After a quiet spell at least this long is for everything else, however many events follow each other.
const REST_US: i64 = 15_000;
/// Instants remembered; an event beyond them is released like any timer.
const TARGETS_MAX: usize = 64;

/// Knows when to be quiet. Times are the machine's clock, microseconds.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    targets: BTreeSet<i64>,
    rest_until_us: i64,
}

impl Quiet {
    /// Something will be released at about `target_us`.
    pub(super) fn expect(&mut self, target_us: i64) {
        if self.targets.len() < TARGETS_MAX {
            self.targets.insert(target_us);
        }
    }

    /// The end of the quiet spell that `now_us` lies in; none outside of one. The end is final: it grants the rest after it.
    pub(super) fn enter(&mut self, now_us: i64) -> Option<i64> {
        while let Some(first) = self.targets.first().copied() {
            let end_us = first.saturating_add(AFTER_US);
            if end_us <= now_us || self.rest_until_us >= end_us {
                self.targets.pop_first();
                continue;
            }
            if now_us < self.next_us().unwrap_or(i64::MAX) {
                return None;
            }
            self.targets.pop_first();
            self.rest_until_us = end_us.saturating_add(REST_US);
            return Some(end_us);
        }
        None
    }

    /// When the next quiet spell begins.
    pub(super) fn next_us(&self) -> Option<i64> {
        self.targets.first().map(|first| first.saturating_sub(BEFORE_US).max(self.rest_until_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_000_000;

    #[test]
    fn quiet_surrounds_a_target_once() {
        let mut quiet = Quiet::default();
        quiet.expect(T);
        quiet.expect(T);
        assert_eq!(quiet.next_us(), Some(T - BEFORE_US));
        assert_eq!(quiet.enter(T - BEFORE_US - 1), None);
        assert_eq!(quiet.enter(T - BEFORE_US), Some(T + AFTER_US));
        assert_eq!((quiet.enter(T), quiet.next_us()), (None, None));
    }

    #[test]
    fn a_target_long_past_is_no_reason() {
        let mut quiet = Quiet::default();
        quiet.expect(T);
        assert_eq!(quiet.enter(T + AFTER_US), None);
        assert_eq!(quiet.next_us(), None);
    }

    #[test]
    fn a_flood_of_targets_leaves_half_the_time_for_the_rest() {
        let mut quiet = Quiet::default();
        let (mut now_us, mut still_us) = (T, 0);
        while now_us < T + 3_000_000 {
            quiet.expect(now_us + 5_000);
            match quiet.enter(now_us) {
                Some(end_us) => {
                    still_us += end_us - now_us;
                    now_us = end_us;
                }
                None => now_us += 500,
            }
        }
        assert!(still_us <= 1_500_000 + AFTER_US, "{still_us}");
        assert!(still_us > 0);
    }
}
