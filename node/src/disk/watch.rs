//! When there is too little room to write.

use mesh30k_ledger::types::TimeMs;

/// How often it is said again that there is too little room, ms.
const REMIND_MS: u64 = 60_000;

/// Where the lines are, bytes of free room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskLimits {
    /// With less than this nothing new is written.
    pub read_only_bytes: u64,
    /// With this much it is written again; above the other, so that a node at the line does not go back and forth.
    pub resume_bytes: u64,
}

/// One look at the file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskReading {
    /// Room that a process without privileges may use.
    pub free_bytes: u64,
    /// The whole.
    pub total_bytes: u64,
}

/// What the room allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskState {
    /// There is room.
    #[default]
    Writable,
    /// Still written, but not for long.
    Low,
    /// Nothing new is written.
    ReadOnly,
}

impl DiskState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Low => "low",
            Self::ReadOnly => "read-only",
        }
    }
}

/// Decides from what is free.
#[derive(Clone, Debug)]
pub struct DiskWatch {
    limits: DiskLimits,
    state: DiskState,
    told: Option<TimeMs>,
}

impl DiskWatch {
    /// A watch that begins with what is known.
    #[must_use]
    pub const fn new(limits: DiskLimits, state: DiskState) -> Self {
        Self { limits, state, told: None }
    }

    /// What the room allows, as of the last look.
    #[must_use]
    pub const fn state(&self) -> DiskState {
        self.state
    }

    /// Takes a look; whether its outcome should be said aloud: when it is another one, and each minute without enough room.
    pub fn observe(&mut self, now: TimeMs, reading: DiskReading) -> bool {
        let DiskLimits { read_only_bytes, resume_bytes } = self.limits;
        let before = self.state;
        self.state = match before {
            _ if reading.free_bytes < read_only_bytes => DiskState::ReadOnly,
            _ if reading.free_bytes >= resume_bytes => DiskState::Writable,
            DiskState::ReadOnly => DiskState::ReadOnly,
            DiskState::Writable | DiskState::Low => DiskState::Low,
        };
        let is_due = self.told.is_none_or(|told| now.0.saturating_sub(told.0) >= REMIND_MS);
        let is_told = self.state != before || (self.state == DiskState::ReadOnly && is_due);
        if is_told {
            self.told = Some(now);
        }
        is_told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: DiskLimits = DiskLimits { read_only_bytes: 256, resume_bytes: 384 };

    fn look(watch: &mut DiskWatch, at_ms: u64, free_bytes: u64) -> (DiskState, bool) {
        let told = watch.observe(TimeMs(at_ms), DiskReading { free_bytes, total_bytes: 1_000 });
        (watch.state(), told)
    }

    #[test]
    fn it_stops_below_one_line_and_goes_on_at_the_other() {
        let mut watch = DiskWatch::new(LIMITS, DiskState::Writable);
        let seen = [900, 383, 256, 255, 383, 384, 300].map(|free| look(&mut watch, 0, free).0);
        let [low, full, room] = [DiskState::Low, DiskState::ReadOnly, DiskState::Writable];
        assert_eq!(seen, [room, low, low, full, full, room, low]);
    }

    #[test]
    fn who_begins_without_room_waits_for_the_upper_line() {
        let mut watch = DiskWatch::new(LIMITS, DiskState::ReadOnly);
        assert_eq!(look(&mut watch, 0, 300), (DiskState::ReadOnly, true));
        assert_eq!(look(&mut watch, 0, 384), (DiskState::Writable, true));
    }

    #[test]
    fn too_little_room_is_said_at_once_and_each_minute() {
        let mut watch = DiskWatch::new(LIMITS, DiskState::Writable);
        assert_eq!(look(&mut watch, 0, 900), (DiskState::Writable, false));
        assert_eq!(look(&mut watch, 1_000, 10), (DiskState::ReadOnly, true));
        assert_eq!(look(&mut watch, 60_999, 10), (DiskState::ReadOnly, false));
        assert_eq!(look(&mut watch, 61_000, 10), (DiskState::ReadOnly, true));
        assert_eq!(look(&mut watch, 62_000, 900), (DiskState::Writable, true));
        assert_eq!(look(&mut watch, 500_000, 900), (DiskState::Writable, false));
    }

    proptest! {
        /// Whatever comes: never writing below the lower line, always at the upper one, and between them as before.
        #[test]
        fn between_the_lines_nothing_changes_its_mind(
            lower in 1_u64..1_000, gap in 1_u64..1_000, frees in prop::collection::vec(0_u64..2_500, 1..100),
        ) {
            let limits = DiskLimits { read_only_bytes: lower, resume_bytes: lower + gap };
            let mut watch = DiskWatch::new(limits, DiskState::Writable);
            let mut changes = 0;
            let mut crossings = 0;
            let mut was_below = false;
            for (second, free) in (0_u64..).zip(frees) {
                let before = watch.state() == DiskState::ReadOnly;
                let (state, told) = look(&mut watch, second * 1_000, free);
                let now = state == DiskState::ReadOnly;
                prop_assert!(free >= lower || now);
                prop_assert!(free < limits.resume_bytes || state == DiskState::Writable);
                prop_assert!(!(lower..limits.resume_bytes).contains(&free) || now == before);
                prop_assert!(now == before || told, "a change is told");
                changes += u32::from(now != before);
                // What an observer who knows only the two lines would count.
                if (free < lower) != was_below && (free < lower || free >= limits.resume_bytes) {
                    was_below = free < lower;
                    crossings += 1;
                }
            }
            prop_assert_eq!(changes, crossings);
        }
    }
}
