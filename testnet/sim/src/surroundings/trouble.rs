//! What went wrong around one agent lately: only the explanation of a miss reads it.

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    Spike,
    Loss,
    ColdStart,
    SlowWork,
    Pause,
    Congestion,
}

pub(crate) const TROUBLES: [Trouble; 6] =
    [Trouble::Loss, Trouble::ColdStart, Trouble::Spike, Trouble::Pause, Trouble::SlowWork, Trouble::Congestion];

/// When each kind last happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Troubles {
    last_us: [i64; 6],
}

impl Troubles {
    pub(crate) fn note(&mut self, trouble: Trouble, at_us: i64) {
        self.last_us[trouble as usize] = at_us;
    }

    /// The gravest kind in a span of time.
    pub(crate) fn gravest(&self, from_us: i64, to_us: i64) -> Option<Trouble> {
        TROUBLES.into_iter().find(|t| (from_us..=to_us).contains(&self.last_us[*t as usize]))
    }
}
