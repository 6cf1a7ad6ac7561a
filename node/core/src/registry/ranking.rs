//! Agents in the order of a key, kept up to date report by report.

use mesh30k_ledger::types::AgentId;

/// An agent in a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked {
    /// What it is ranked by.
    pub(super) key: u64,
    /// Breaks ties, between sectors too.
    pub(super) agent: AgentId,
    /// Where it is.
    pub(super) slot: u32,
}

/// Agents in rising order of (key, agent).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranking(Vec<Ranked>);

impl Ranking {
    /// Ranks everybody anew.
    pub(super) fn of(ranked: impl Iterator<Item = Ranked>) -> Self {
        let mut ranked: Vec<Ranked> = ranked.collect();
        ranked.sort_unstable();
        Self(ranked)
    }

    /// The ranking with new keys for the agents in `changed`; `is_changed` says by slot which these are. Linear, where
    /// sorting again would not be.
    pub(super) fn with(&self, is_changed: &[bool], mut changed: Vec<Ranked>) -> Self {
        changed.sort_unstable();
        let mut changed = changed.into_iter().peekable();
        let mut merged = Vec::with_capacity(self.0.len());
        let stays = |ranked: &&Ranked| !is_changed.get(ranked.slot as usize).copied().unwrap_or(false);
        for ranked in self.0.iter().filter(stays) {
            while let Some(before) = changed.next_if(|new| new < ranked) {
                merged.push(before);
            }
            merged.push(*ranked);
        }
        merged.extend(changed);
        Self(merged)
    }

    /// All, in rising order.
    pub(super) fn all(&self) -> &[Ranked] {
        &self.0
    }

    /// How many are ranked.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Those with a key of at most `max`, in rising order.
    pub(super) fn up_to(&self, max: u64) -> &[Ranked] {
        let end = self.0.partition_point(|ranked| ranked.key <= max);
        self.0.get(..end).unwrap_or_default()
    }
}
