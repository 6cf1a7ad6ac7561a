//! Who leads next, when a leader goes of its own accord.

use std::cmp::Reverse;
use std::time::Duration;

use crate::group::MemberId;

/// How long a member that stops looks for somebody to lead after it; then it goes all the same, and the others elect.
pub const HAND_OVER_MAX: Duration = Duration::from_secs(1);
/// How long one voter has to take over before the next one is asked.
pub(crate) const TAKE_OVER_MAX: Duration = Duration::from_millis(300);

/// A voter that could lead next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heir {
    pub(crate) member: MemberId,
    /// Last entry it is known to have.
    pub(crate) matched: Option<u64>,
    /// Whether it answered within the lease of a leader.
    pub(crate) is_heard: bool,
    /// How often it was asked already.
    pub(crate) asked: u32,
}

/// The one that is furthest along among those that live, each in turn: who did not take over the first time may be dead.
pub(crate) fn successor(heirs: impl IntoIterator<Item = Heir>) -> Option<MemberId> {
    let alive = heirs.into_iter().filter(|heir| heir.is_heard);
    alive.min_by_key(|heir| (heir.asked, Reverse(heir.matched), heir.member)).map(|heir| heir.member)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn heir(member: MemberId, matched: Option<u64>, is_heard: bool, asked: u32) -> Heir {
        Heir { member, matched, is_heard, asked }
    }

    #[test]
    fn the_furthest_of_the_living_is_asked_first_and_each_in_turn() {
        let (behind, dead, ahead) = (heir(1, Some(3), true, 0), heir(2, Some(9), false, 0), heir(3, Some(7), true, 0));
        assert_eq!(successor([behind, dead, ahead]), Some(3));
        assert_eq!(successor([behind, dead, Heir { asked: 1, ..ahead }]), Some(1));
        assert_eq!(successor([Heir { asked: 1, ..behind }, Heir { asked: 1, ..ahead }]), Some(3));
        assert_eq!(successor([behind, heir(4, None, true, 0)]), Some(1), "who has nothing comes last");
        assert_eq!(successor([heir(5, Some(3), true, 0), behind]), Some(1), "everybody computes the same");
    }

    #[test]
    fn nobody_alive_is_nobody() {
        assert_eq!(successor([heir(2, Some(9), false, 0)]), None);
        assert_eq!(successor([]), None);
    }
}
