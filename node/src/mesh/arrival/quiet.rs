//! The instants around T, in which a host releases and does nothing else.
//!
//! A hundred processes on two cores wake on time when each only releases; when each also works for a millisecond, four in
//! five come late. So everything else waits some milliseconds.

use std::collections::BTreeSet;

/// Quiet begins this long before T.
const BEFORE_US: i64 = 3_000;
/// And ends this long after it: by then nearly every agent's own clock has passed T.
const AFTER_US: i64 = 12_000;
/// Then each node goes back to its work within this time at a moment of its own: the nodes of one machine would all do it at once, and
/// take the processor from whoever still has to release.
const RETURN_US: u64 = 80_000;
/// Instants remembered; an event beyond them is released like any timer.
const TARGETS_MAX: usize = 64;

/// Knows when to be quiet. Times are the machine's clock, microseconds.
#[derive(Debug)]
pub(super) struct Quiet {
    targets: BTreeSet<i64>,
    rest_until_us: i64,
    return_us: i64,
}

/// A quiet spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spell {
    /// When it was to begin.
    pub(super) due_us: i64,
    /// Nearly everybody was released.
    pub(super) released_us: i64,
    /// Everything else may go on.
    pub(super) end_us: i64,
}

impl Quiet {
    /// For a node that is `own` among those of its machine: the moments of neighbouring numbers lie far apart.
    pub(super) fn new(own: u64) -> Self {
        let place = own.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let return_us = place.saturating_mul(RETURN_US) >> 32;
        Self { targets: BTreeSet::new(), rest_until_us: 0, return_us: i64::try_from(return_us).unwrap_or(0) }
    }

    /// Something will be released at about `target_us`.
    pub(super) fn expect(&mut self, target_us: i64) {
        if self.targets.len() < TARGETS_MAX {
            self.targets.insert(target_us);
        }
    }

    /// The quiet spell that `now_us` lies in; none outside of one. Its end is final: as much time after it is for everything else,
    /// however many events follow each other.
    pub(super) fn enter(&mut self, now_us: i64) -> Option<Spell> {
        while let Some(first) = self.targets.first().copied() {
            let released_us = first.saturating_add(AFTER_US);
            if released_us <= now_us || self.rest_until_us >= released_us {
                self.targets.pop_first();
                continue;
            }
            let due_us = first.saturating_sub(BEFORE_US).max(self.rest_until_us);
            if now_us < due_us {
                return None;
            }
            self.targets.pop_first();
            let end_us = released_us.saturating_add(self.return_us);
            self.rest_until_us = end_us.saturating_add(end_us.saturating_sub(now_us));
            return Some(Spell { due_us, released_us, end_us });
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
        let mut quiet = Quiet::new(1);
        quiet.expect(T);
        quiet.expect(T);
        assert_eq!(quiet.next_us(), Some(T - BEFORE_US));
        assert_eq!(quiet.enter(T - BEFORE_US - 1), None);
        let spell = quiet.enter(T - BEFORE_US).unwrap();
        assert_eq!((spell.due_us, spell.released_us), (T - BEFORE_US, T + AFTER_US));
        assert!((0..RETURN_US as i64).contains(&(spell.end_us - spell.released_us)));
        assert_eq!((quiet.enter(T), quiet.next_us()), (None, None));
    }

    #[test]
    fn the_nodes_of_a_machine_go_back_to_work_one_after_the_other() {
        let mut returns: Vec<i64> = (0..100).map(|own| Quiet::new(own).return_us).collect();
        returns.sort_unstable();
        assert!(returns.windows(2).all(|pair| (300..2_500).contains(&(pair[1] - pair[0]))), "{returns:?}");
    }

    #[test]
    fn a_target_long_past_is_no_reason() {
        let mut quiet = Quiet::new(1);
        quiet.expect(T);
        assert_eq!(quiet.enter(T + AFTER_US), None);
        assert_eq!(quiet.next_us(), None);
    }

    #[test]
    fn a_flood_of_targets_leaves_half_the_time_for_the_rest() {
        for own in 0..10 {
            let mut quiet = Quiet::new(own);
            let (mut now_us, mut still_us, mut longest_us) = (T, 0, 0);
            while now_us < T + 3_000_000 {
                quiet.expect(now_us + 5_000);
                match quiet.enter(now_us) {
                    Some(Spell { end_us, .. }) => {
                        still_us += end_us - now_us;
                        longest_us = longest_us.max(end_us - now_us);
                        now_us = end_us;
                    }
                    None => now_us += 500,
                }
            }
            assert!(still_us <= 1_500_000 + longest_us, "{still_us}");
            assert!(still_us > 0);
        }
    }
}
