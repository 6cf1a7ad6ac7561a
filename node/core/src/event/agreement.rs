//! Whether those who were asked agree: the answer most gave, and how many say something else.

use serde::{Deserialize, Serialize};

/// Grouped answers judged over everybody who was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// What most said; none when nobody said anything. Of several given equally often, the first in order of the text.
    pub majority: Option<String>,
    /// How many said that.
    pub agreeing: u64,
    /// How many said something else.
    pub differing: u64,
    /// How many were asked and said nothing.
    pub silent: u64,
    /// Those who differ among those who answered, parts per million.
    pub divergence_ppm: u32,
}

impl Agreement {
    /// Judges answers and how often each was given; `enrolled` were asked.
    #[must_use]
    pub fn of(answers: &[(String, u64)], enrolled: u64) -> Self {
        let total = answers.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        let most = answers.iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
        let agreeing = most.map_or(0, |(_, count)| *count);
        let differing = total.saturating_sub(agreeing);
        let share = differing.saturating_mul(1_000_000).checked_div(total).unwrap_or(0);
        Self {
            majority: most.map(|(answer, _)| answer.clone()),
            agreeing,
            differing,
            silent: enrolled.saturating_sub(total),
            divergence_ppm: u32::try_from(share).unwrap_or(u32::MAX),
        }
    }
}
