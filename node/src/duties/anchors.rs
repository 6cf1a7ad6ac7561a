//! A voter's words on its sectors: which are to be said, and when.

use std::collections::BTreeMap;

use mesh30k_core::lead::{RegistrySeal, end_of_period};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::ops::Anchor;
use mesh30k_ledger::records::{AnchorHeads, AnchorRecord};
use mesh30k_ledger::types::{Hash, NodeId, SectorId, TimeMs};
use mesh30k_ledger::unit_price::period_of;

use super::progress::Progress;
use super::row::{Duty, DutyRow, DutyState};

/// After a period's end voters wait so long: the last entries of it are applied everywhere then,
pub(super) const SETTLE_MS: u64 = 60_000;
/// and so long more, each at its own time, so that not all of a mesh come at once.
pub(super) const SPREAD_MS: u64 = 3_600_000;
/// Who comes later still, since it was down, waits up to so long: others may have been down with it.
pub(super) const LATE_SPREAD_MS: u64 = 60_000;

/// What the ledger says, when something is due.
pub(super) trait AnchorView {
    /// The words on a sector in a period.
    fn words(&self, period: u64, sector: SectorId) -> Option<AnchorRecord>;
    /// Whether the node can pay for its own.
    fn can_pay(&self, anchor: &Anchor) -> bool;
}

/// A word to be said, or that was.
#[derive(Debug)]
struct Word {
    anchor: Anchor,
    progress: Progress,
    /// What the sector's voters anchored.
    anchored: Option<AnchorHeads>,
    said: Option<AnchorHeads>,
}

/// The sectors in which this node votes, each with its word on the last period.
#[derive(Debug)]
pub(super) struct AnchorBook {
    me: NodeId,
    words: BTreeMap<SectorId, Option<Word>>,
    last_done: BTreeMap<SectorId, TimeMs>,
}

impl AnchorBook {
    pub(super) const fn new(me: NodeId) -> Self {
        Self { me, words: BTreeMap::new(), last_done: BTreeMap::new() }
    }

    /// The period to speak of: the last that ended.
    pub(super) fn period(now: TimeMs) -> Option<u64> {
        period_of(now).checked_sub(1)
    }

    /// What to bring before the ledger now, where the node votes in these sectors, with what their groups sealed for the last
    /// period.
    pub(super) fn due(
        &mut self,
        now: TimeMs,
        sealed: &BTreeMap<SectorId, Option<RegistrySeal>>,
        view: &dyn AnchorView,
    ) -> Vec<Anchor> {
        self.words.retain(|sector, _| sealed.contains_key(sector));
        self.last_done.retain(|sector, _| sealed.contains_key(sector));
        let mut due = Vec::new();
        for (sector, seal) in sealed {
            let fresh = seal.filter(|seal| Some(seal.period) == Self::period(now));
            let kept = self.words.entry(*sector).or_default();
            if kept.as_ref().map(|word| word.anchor.period) != fresh.map(|seal| seal.period) {
                let me = self.me;
                *kept = fresh.map(|seal| Word::new(*sector, seal, first_try(me, *sector, seal.period, now)));
            }
            let Some(word) = kept else { continue };
            if word.settle(self.me, view) {
                self.last_done.insert(*sector, now);
            }
            let anchor = word.anchor;
            if word.progress.tries_now(now, || view.can_pay(&anchor)) {
                due.push(anchor);
            }
        }
        due
    }

    /// Sectors whose other voters anchored something else than this node holds.
    pub(super) fn disagreements(&self) -> usize {
        self.words.values().flatten().filter(|word| word.disagrees()).count()
    }

    /// As they are shown.
    pub(super) fn rows(&self) -> Vec<DutyRow> {
        let row = |(sector, word): (&SectorId, &Option<Word>)| {
            let progress = word.as_ref().map(|word| word.progress);
            DutyRow {
                duty: Duty::Anchor,
                subject: format!("sector {sector}"),
                state: progress.map_or(DutyState::Resting, |progress| progress.state),
                last_done: self.last_done.get(sector).copied(),
                next_at: progress.and_then(|progress| progress.next_at()),
                note: word.as_ref().map_or_else(|| "its group has not sealed the last day".to_owned(), Word::note),
            }
        };
        self.words.iter().map(row).collect()
    }
}

impl Word {
    const fn new(sector: SectorId, seal: RegistrySeal, first_try: TimeMs) -> Self {
        // No node keeps a conflict or an audit log yet: nothing is said of them.
        let heads = AnchorHeads { registry_root: seal.root, conflicts_head: Hash::ZERO, audit_head: Hash::ZERO };
        let anchor = Anchor { sector, period: seal.period, heads };
        Self { anchor, progress: Progress::waiting(first_try), anchored: None, said: None }
    }

    /// Notes what the ledger has; true when it has this word since the node tried.
    fn settle(&mut self, me: NodeId, view: &dyn AnchorView) -> bool {
        if self.said.is_some() && self.anchored.is_some() {
            return false;
        }
        let Some(record) = view.words(self.anchor.period, self.anchor.sector) else { return false };
        self.anchored = record.anchored;
        let before = self.said;
        self.said = record.words.get(&me).copied();
        if self.said.is_some() {
            self.progress.done();
        }
        before.is_none() && self.said.is_some() && self.progress.tries > 0
    }

    fn disagrees(&self) -> bool {
        self.anchored.is_some_and(|anchored| anchored != self.anchor.heads)
    }

    fn note(&self) -> String {
        let (period, root) = (self.anchor.period, self.anchor.heads.registry_root.short());
        let anchored = match self.anchored {
            None => "not anchored yet".to_owned(),
            Some(heads) if heads == self.anchor.heads => "anchored".to_owned(),
            Some(heads) => format!("the others anchored {}", heads.registry_root.short()),
        };
        format!("day {period}, root {root}: {anchored}")
    }
}

/// When a voter first says its word: at a time of its own after the period's end, and not at once when it comes late.
fn first_try(me: NodeId, sector: SectorId, period: u64, now: TimeMs) -> TimeMs {
    let lot = Hash::of(&encode(&(me, sector, period)));
    let lot = u64::from_le_bytes(*lot.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]));
    let spread = |span_ms: u64| lot.checked_rem(span_ms).unwrap_or(0);
    let planned = end_of_period(period).plus_ms(SETTLE_MS.saturating_add(spread(SPREAD_MS)));
    if planned < now { now.plus_ms(spread(LATE_SPREAD_MS)) } else { planned }
}
