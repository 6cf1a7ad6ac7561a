//! Folded acks: what came of an event in a subtree, small enough that a parent of 100 reads 100 of them.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::{AgentClass, AgentId, Hash, Scope};
use serde::{Deserialize, Serialize};

use super::id::EventId;
use super::message::ConflictKind;
use super::spec::class_index;
use crate::delay::ErrorHistogram;
use crate::quorum::TrinaryCounts;
use crate::time::MeshTimeUs;

/// Conflicts reported in full; the rest by count.
pub const MAX_CONFLICTS: usize = 64;

/// Counts of one class. `enrolled = released + conflict + transit`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct StateCounts {
    /// Everybody meant at dispatch.
    pub enrolled: u32,
    /// Armed at or before T as the parent estimates it; of an event that does not reach the agents, those answered for.
    pub armed_by_target: u32,
    /// Result given, whenever.
    pub released: u32,
    /// Of those, armed only after T.
    pub late: u32,
    /// Contradicted.
    pub conflict: u32,
    /// Under way, silent, down, frozen: no result known.
    pub transit: u32,
}

impl StateCounts {
    fn merge(&mut self, other: &Self) {
        self.enrolled = self.enrolled.saturating_add(other.enrolled);
        self.armed_by_target = self.armed_by_target.saturating_add(other.armed_by_target);
        self.released = self.released.saturating_add(other.released);
        self.late = self.late.saturating_add(other.late);
        self.conflict = self.conflict.saturating_add(other.conflict);
        self.transit = self.transit.saturating_add(other.transit);
    }

    fn is_consistent(&self) -> bool {
        let parts =
            u64::from(self.released).saturating_add(u64::from(self.conflict)).saturating_add(u64::from(self.transit));
        parts == u64::from(self.enrolled) && self.late <= self.released && self.armed_by_target <= self.enrolled
    }
}

/// The release furthest from T.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Slowest {
    /// Who.
    pub agent: AgentId,
    /// How far, signed, as its parent estimates it.
    pub error_us: i64,
}

/// One contradiction.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct ConflictReport {
    /// Who.
    pub agent: AgentId,
    /// In what.
    pub kind: ConflictKind,
    /// Hash of what it has instead.
    pub detail: Hash,
}

/// The mergeable part of a folded ack. Merging is associative and commutative and conserves every count.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Tally {
    /// Counts by class, in the order of [`class_index`].
    pub classes: [StateCounts; 6],
    /// Release errors as the leads estimate them.
    pub errors: ErrorHistogram,
    /// Releases with |estimate| + bound within the window: proved.
    pub proved: u32,
    /// Releases with |estimate| within the window.
    pub estimated: u32,
    /// Releases with |estimate| - bound within the window: possible.
    pub possible: u32,
    /// The release furthest from T.
    pub slowest: Option<Slowest>,
    /// At most [`MAX_CONFLICTS`], lowest agents first.
    pub conflicts: Vec<ConflictReport>,
    /// Slots for which a standby was sent.
    pub hedged: u32,
    /// Slots that were to have a standby and had none, because the wave's budget was used up: overload.
    pub unhedged: u32,
    /// Slots that were released twice; the first release counts.
    pub duplicates: u32,
}

impl Tally {
    /// Everybody enrolled and nobody heard of.
    #[must_use]
    pub fn all_transit(enrolled: &[u32; 6]) -> Self {
        let mut tally = Self::default();
        for (counts, enrolled) in tally.classes.iter_mut().zip(enrolled) {
            counts.enrolled = *enrolled;
            counts.transit = *enrolled;
        }
        tally
    }

    /// Everybody enrolled, of whom `confirmed` are answered for by a parent above them: what an event brings that does not
    /// reach the agents. They are in TRANSIT, for none of them was asked.
    #[must_use]
    pub fn confirmed(enrolled: &[u32; 6], confirmed: &[u32; 6]) -> Self {
        let mut tally = Self::all_transit(enrolled);
        for (counts, confirmed) in tally.classes.iter_mut().zip(confirmed) {
            counts.armed_by_target = (*confirmed).min(counts.enrolled);
        }
        tally
    }

    /// Adds another subtree.
    pub fn merge(&mut self, other: &Self) {
        for (own, theirs) in self.classes.iter_mut().zip(&other.classes) {
            own.merge(theirs);
        }
        self.errors.merge(&other.errors);
        self.proved = self.proved.saturating_add(other.proved);
        self.estimated = self.estimated.saturating_add(other.estimated);
        self.possible = self.possible.saturating_add(other.possible);
        self.hedged = self.hedged.saturating_add(other.hedged);
        self.unhedged = self.unhedged.saturating_add(other.unhedged);
        self.duplicates = self.duplicates.saturating_add(other.duplicates);
        if let Some(slowest) = other.slowest {
            self.note_slowest(slowest);
        }
        self.conflicts.extend(other.conflicts.iter().take(MAX_CONFLICTS));
        self.conflicts.sort_unstable();
        self.conflicts.truncate(MAX_CONFLICTS);
    }

    /// Keeps the release furthest from T; ties go to the lower agent, then to the late side.
    pub fn note_slowest(&mut self, candidate: Slowest) {
        let rank = |s: &Slowest| (s.error_us.saturating_abs(), std::cmp::Reverse(s.agent), s.error_us);
        if self.slowest.as_ref().is_none_or(|s| rank(&candidate) > rank(s)) {
            self.slowest = Some(candidate);
        }
    }

    /// Raises the denominators to those fixed at dispatch; who is not in the child's count is in TRANSIT.
    pub fn raise_enrolled(&mut self, dispatched: &[u32; 6]) {
        for (counts, wanted) in self.classes.iter_mut().zip(dispatched) {
            let missing = wanted.saturating_sub(counts.enrolled);
            counts.enrolled = counts.enrolled.saturating_add(missing);
            counts.transit = counts.transit.saturating_add(missing);
        }
    }

    /// Whether the counts can be true together; a child whose counts cannot is taken as silent.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let released = u64::from(self.sum(|c| c.released));
        self.classes.iter().all(StateCounts::is_consistent)
            && self.errors.total() <= released
            && u64::from(self.proved) <= u64::from(self.estimated)
            && u64::from(self.estimated) <= u64::from(self.possible)
            && u64::from(self.possible) <= released
            && self.duplicates <= self.hedged
            && u64::from(self.duplicates) <= released
            && u64::from(self.hedged).saturating_add(u64::from(self.unhedged)) <= u64::from(self.sum(|c| c.enrolled))
            && self.conflicts.len() <= MAX_CONFLICTS.min(self.sum(|c| c.conflict) as usize)
    }

    /// One figure over all classes.
    #[must_use]
    pub fn sum(&self, figure: impl Fn(&StateCounts) -> u32) -> u32 {
        self.classes.iter().map(figure).fold(0, u32::saturating_add)
    }

    /// Counts of one class.
    #[must_use]
    pub fn class(&self, class: AgentClass) -> StateCounts {
        self.classes.get(class_index(class)).copied().unwrap_or_default()
    }

    /// The three states over everybody enrolled.
    #[must_use]
    pub fn trinary(&self) -> TrinaryCounts {
        TrinaryCounts {
            ready: u64::from(self.sum(|c| c.released)),
            conflict: u64::from(self.sum(|c| c.conflict)),
            transit: u64::from(self.sum(|c| c.transit)),
        }
    }
}

/// One subtree's summary of one event: sent when complete or at its deadline, and once more as a late correction.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct FoldedAck {
    /// Which event.
    pub event: EventId,
    /// Which subtree.
    pub from: Scope,
    /// False for the first summary, true for the late correction, which replaces it.
    pub correction: bool,
    /// When it was sent, mesh time.
    pub sent_at: MeshTimeUs,
    /// How long the prepare took to this child, mesh time.
    pub prepare_delay_us: i64,
    /// The counts.
    pub tally: Tally,
}

impl FoldedAck {
    /// The answer of a parent where an event ends above the agents. Nothing follows it.
    #[must_use]
    pub const fn confirming(
        event: EventId,
        from: Scope,
        sent_at: MeshTimeUs,
        prepare_delay_us: i64,
        tally: Tally,
    ) -> Self {
        Self { event, from, correction: true, sent_at, prepare_delay_us, tally }
    }
}
