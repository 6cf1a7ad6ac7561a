//! Scoring one cascade by the harness's truth. Pure: rows in, counts out. Silence is a miss, never an absence.

use std::collections::BTreeMap;

use mesh30k_core::event::{MissCause, Strategy, miss_cause};
use mesh30k_ledger::types::{AgentClass, AgentId};
use mesh30k_node::api::types::ReleaseRow;

/// The window that decides between hit and miss, microseconds.
pub const WINDOW_US: i64 = 10_000;

/// Releases of a group of agents, with everybody enrolled as the denominator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Everybody enrolled.
    pub enrolled: u64,
    /// True release minus T of those that released, microseconds.
    pub errors_us: Vec<i64>,
}

impl Tally {
    /// How many released within so many milliseconds of T.
    #[must_use]
    pub fn within(&self, ms: u64) -> u64 {
        self.errors_us.iter().filter(|error| error.unsigned_abs() <= ms.saturating_mul(1_000)).count() as u64
    }

    /// How many never released.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.enrolled.saturating_sub(self.errors_us.len() as u64)
    }

    /// The median of |error| over everybody enrolled, who never released counting as infinitely far; none when that is the
    /// median.
    #[must_use]
    pub fn median_abs_us(&self) -> Option<u64> {
        let mut sorted: Vec<u64> = self.errors_us.iter().map(|error| error.unsigned_abs()).collect();
        sorted.sort_unstable();
        let middle = self.enrolled.max(sorted.len() as u64).checked_sub(1)? / 2;
        sorted.get(usize::try_from(middle).ok()?).copied()
    }

    /// Adds another group's.
    pub fn add(&mut self, other: &Self) {
        self.enrolled += other.enrolled;
        self.errors_us.extend(&other.errors_us);
    }
}

/// One or several cascades by the truth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Everybody.
    pub total: Tally,
    /// By class.
    pub classes: BTreeMap<AgentClass, Tally>,
    /// Misses of the ±10 ms window by cause.
    pub causes: BTreeMap<MissCause, u64>,
}

impl Score {
    /// Scores a cascade. `enrolled` and `conflicts` are the mesh's own counts, `by_class` the registry's.
    #[must_use]
    pub fn of(
        strategy: Strategy,
        enrolled: u64,
        conflicts: u64,
        by_class: &BTreeMap<AgentClass, u64>,
        rows: &[ReleaseRow],
    ) -> Self {
        // A slot that its agent and its standby both released counts once, by the first (05-decisions, 22).
        let mut first: BTreeMap<AgentId, &ReleaseRow> = BTreeMap::new();
        for row in rows {
            let known = first.entry(row.agent).or_insert(row);
            if row.error_us < known.error_us {
                *known = row;
            }
        }
        let tally = |enrolled| Tally { enrolled, errors_us: Vec::new() };
        let mut score = Self { total: tally(enrolled), ..Self::default() };
        score.classes = by_class.iter().map(|(class, count)| (*class, tally(*count))).collect();
        for row in first.into_values() {
            score.total.errors_us.push(row.error_us);
            score.classes.entry(row.class).or_default().errors_us.push(row.error_us);
            if let Some(cause) =
                miss_cause(strategy, false, row.armed_us, (Some(row.error_us), row.clock_error_us), WINDOW_US)
            {
                *score.causes.entry(cause).or_default() += 1;
            }
        }
        let missing = score.total.missing();
        let contradicted = conflicts.min(missing);
        for (cause, count) in [(MissCause::Conflict, contradicted), (MissCause::Silent, missing - contradicted)] {
            if count > 0 {
                *score.causes.entry(cause).or_default() += count;
            }
        }
        score
    }

    /// Adds another cascade's.
    pub fn add(&mut self, other: &Self) {
        self.total.add(&other.total);
        for (class, tally) in &other.classes {
            self.classes.entry(*class).or_default().add(tally);
        }
        for (cause, count) in &other.causes {
            *self.causes.entry(*cause).or_default() += count;
        }
    }
}

/// A cause in words.
#[must_use]
pub const fn describe(cause: MissCause) -> &'static str {
    match cause {
        MissCause::LeadTooShort => "armed after T, the lead was too short for their delay",
        MissCause::ClockError => "held to T by a clock the lead had estimated wrongly (mostly asymmetric paths)",
        MissCause::WokenLate => "held to the right instant, but their host was woken late",
        MissCause::DelaySpread => "thrown and not held: the delay was not its median",
        MissCause::Conflict => "in conflict",
        MissCause::Silent => "never released",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(agent: u64, class: AgentClass, error_us: i64, armed_us: i64) -> ReleaseRow {
        ReleaseRow { agent: AgentId(agent), class, error_us, armed_us: Some(armed_us), clock_error_us: None }
    }

    #[test]
    fn silence_counts_as_a_miss_and_pushes_the_median() {
        let by_class = BTreeMap::from([(AgentClass::A, 3), (AgentClass::D, 2)]);
        let rows = [
            row(1, AgentClass::A, -4_000, -900_000),
            row(2, AgentClass::A, 9_000, -900_000),
            row(3, AgentClass::D, 40_000, 39_000),
        ];
        let score = Score::of(Strategy::Hold, 5, 1, &by_class, &rows);
        assert_eq!([score.total.within(5), score.total.within(10), score.total.within(50)], [1, 2, 3]);
        assert_eq!(score.total.median_abs_us(), Some(40_000));
        let causes = BTreeMap::from([(MissCause::LeadTooShort, 1), (MissCause::Conflict, 1), (MissCause::Silent, 1)]);
        assert_eq!(score.causes, causes);
        assert_eq!(score.classes[&AgentClass::D].missing(), 1);
    }

    #[test]
    fn hits_and_causes_add_up_to_everybody() {
        let rows: Vec<ReleaseRow> =
            (0..500).map(|agent| row(agent, AgentClass::B, agent as i64 * 50 - 9_000, -1)).collect();
        for strategy in [Strategy::Hold, Strategy::Throw] {
            let score = Score::of(strategy, 600, 7, &BTreeMap::from([(AgentClass::B, 600)]), &rows);
            assert_eq!(score.total.within(10) + score.causes.values().sum::<u64>(), 600);
        }
    }

    #[test]
    fn a_slot_released_twice_is_counted_once_by_the_first() {
        let rows = [
            row(1, AgentClass::A, 30_000, -1),
            row(1, AgentClass::A, 100, -1),
            row(2, AgentClass::A, -30_000, -1),
            row(2, AgentClass::A, 100, -1),
        ];
        let score = Score::of(Strategy::Hold, 2, 0, &BTreeMap::from([(AgentClass::A, 2)]), &rows);
        assert_eq!((score.total.errors_us.len(), score.total.within(10)), (2, 1), "an early one is not made good");
    }

    #[test]
    fn a_silent_majority_has_no_median() {
        let tally = Tally { enrolled: 10, errors_us: vec![0; 4] };
        assert_eq!(tally.median_abs_us(), None);
        assert_eq!(Tally::default().median_abs_us(), None);
    }
}
