//! How often a host wakes up around T.

/// Whoever wakes later than this shares its machine with many who wake then, too.
const CROWDED_US: i64 = 1_000;

/// How a host wakes up around T. Alone on its machine it does for everybody who is due, a millisecond apart at least. Where it is woken late,
/// many wake for each of their agents: then those who are due within two milliseconds go together, at the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Woken in time so far.
    Alone,
    /// Woken late once: so it stays until the end of the spell.
    Crowded,
    /// Nearly everybody was released.
    Late,
}

impl Pace {
    /// After a wake-up at `now_us` that was to be at `due_us`.
    pub(super) const fn woken(self, due_us: i64, now_us: i64) -> Self {
        match self {
            Self::Alone if now_us.saturating_sub(due_us) > CROWDED_US => Self::Crowded,
            pace => pace,
        }
    }

    /// Whoever falls due within this after the first is done together with it.
    pub(super) const fn together_us(self) -> i64 {
        match self {
            Self::Alone => 0,
            Self::Crowded => 2_000,
            Self::Late => 10_000,
        }
    }

    /// Wake-ups are at least so far apart.
    pub(super) const fn apart_us(self) -> i64 {
        match self {
            Self::Alone => 1_000,
            Self::Crowded | Self::Late => self.together_us(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_000_000;

    #[test]
    fn who_is_woken_late_wakes_less_often_until_the_spell_is_over() {
        let alone = Pace::Alone.woken(T, T + CROWDED_US);
        assert_eq!((alone, alone.together_us(), alone.apart_us()), (Pace::Alone, 0, 1_000));
        let crowded = alone.woken(T, T + CROWDED_US + 1);
        assert_eq!((crowded.together_us(), crowded.apart_us()), (2_000, 2_000));
        assert_eq!((crowded.woken(T, T), Pace::Late.woken(T, T + 50_000)), (Pace::Crowded, Pace::Late));
    }
}
