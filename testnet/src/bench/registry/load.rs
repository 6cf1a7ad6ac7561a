//! What is asked of either side, and when.

use std::time::Duration;

use mesh30k_ledger::types::AgentId;

use super::population::{AGENTS, CHANGES_PER_ENTRY, SPECIAL_CAPABILITIES};
use crate::bench::tools::Numbers;

/// Agents asked for by a query.
pub const BEST: usize = 50;
/// Their highest score.
pub const MAX_SCORE: u16 = 500;

/// An open-loop load: everything has its time, whether or not what came before is done.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How long.
    pub duration: Duration,
    /// Changes of records a second.
    pub changes_per_s: u32,
    /// Point reads a second.
    pub reads_per_s: u32,
    /// Queries a second.
    pub queries_per_s: u32,
}

/// Something asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The record of this agent.
    Read(AgentId),
    /// The best agents with this capability bit.
    Best(u32),
}

impl Load {
    /// Between two entries of sector groups.
    #[must_use]
    pub fn entry_gap(&self) -> Duration {
        Duration::from_secs(1) * CHANGES_PER_ENTRY as u32 / self.changes_per_s.max(1)
    }

    /// Entries in all.
    #[must_use]
    pub fn entries(&self) -> usize {
        (self.duration.as_nanos() / self.entry_gap().as_nanos().max(1)) as usize
    }

    /// Everything asked with its time from the start, in order: the same each time.
    pub fn questions(&self) -> impl Iterator<Item = (Duration, Question)> + use<> {
        let per_s = u64::from((self.reads_per_s + self.queries_per_s).max(1));
        let (queries_per_s, total) = (u64::from(self.queries_per_s), per_s * self.duration.as_secs());
        let mut numbers = Numbers::new(77);
        (0..total).map(move |at| {
            let due = Duration::from_nanos(at * 1_000_000_000 / per_s);
            let question = if numbers.below(per_s) < queries_per_s {
                Question::Best(1 + numbers.below(SPECIAL_CAPABILITIES) as u32)
            } else {
                Question::Read(AgentId(1 + numbers.below(AGENTS)))
            };
            (due, question)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_has_the_rates_it_names() {
        let duration = Duration::from_secs(2);
        let load = Load { duration, changes_per_s: 6_000, reads_per_s: 5_000, queries_per_s: 200 };
        assert_eq!((load.entries(), load.entry_gap()), (800, Duration::from_micros(2_500)));
        let questions: Vec<_> = load.questions().collect();
        assert_eq!(questions.len(), 2 * 5_200);
        let queries = questions.iter().filter(|(_, question)| matches!(question, Question::Best(_))).count();
        assert!((300..500).contains(&queries), "{queries}");
        assert!(
            questions.is_sorted_by_key(|(due, _)| *due) && questions.last().is_some_and(|(due, _)| *due < duration)
        );
    }
}
