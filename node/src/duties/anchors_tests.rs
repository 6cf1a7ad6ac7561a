use std::cell::Cell;
use std::collections::BTreeMap;

use mesh30k_core::lead::{RegistrySeal, end_of_period};
use mesh30k_ledger::ops::Anchor;
use mesh30k_ledger::records::{AnchorHeads, AnchorRecord};
use mesh30k_ledger::types::{Hash, NodeId, SectorId, TimeMs};
use mesh30k_ledger::unit_price::period_of;

use super::anchors::{AnchorBook, AnchorView, LATE_SPREAD_MS, SETTLE_MS, SPREAD_MS};
use super::row::DutyState;
use crate::ledger::own::TRIES_MAX;

const DAY: u64 = 20_000;
const SECTOR: SectorId = SectorId(3);
const STEP_MS: u64 = 10_000;

type Sealed = BTreeMap<SectorId, Option<RegistrySeal>>;

/// A ledger that keeps words as the operation does, and may be out of reach.
#[derive(Default)]
struct Ledger {
    records: BTreeMap<(u64, SectorId), AnchorRecord>,
    is_poor: bool,
    asked: Cell<u64>,
}

impl Ledger {
    fn say(&mut self, node: NodeId, anchor: Anchor, voters: usize) {
        let record = self.records.entry((anchor.period, anchor.sector)).or_default();
        assert!(record.words.insert(node, anchor.heads).is_none(), "said twice");
        let alike = record.words.values().filter(|heads| **heads == anchor.heads).count();
        if alike * 2 > voters {
            record.anchored.get_or_insert(anchor.heads);
        }
    }
}

impl AnchorView for Ledger {
    fn words(&self, period: u64, sector: SectorId) -> Option<AnchorRecord> {
        self.records.get(&(period, sector)).cloned()
    }
    fn can_pay(&self, _: &Anchor) -> bool {
        self.asked.set(self.asked.get() + 1);
        !self.is_poor
    }
}

fn sealed(period: u64, root: &[u8]) -> Sealed {
    BTreeMap::from([(SECTOR, Some(RegistrySeal { period, root: Hash::of(root) }))])
}

/// What a node holds of the last period, where each day's root is of its own.
fn holds(now: TimeMs) -> Sealed {
    let period = period_of(now) - 1;
    sealed(period, &period.to_le_bytes())
}

fn state(book: &AnchorBook) -> DutyState {
    book.rows()[0].state
}

#[test]
fn every_voter_says_its_word_once_a_day_and_not_all_at_once() {
    let voters: Vec<NodeId> = (1..=5).map(NodeId).collect();
    let mut books: Vec<AnchorBook> = voters.iter().map(|node| AnchorBook::new(*node)).collect();
    let (mut ledger, mut said) = (Ledger::default(), Vec::new());
    let start = end_of_period(DAY - 1);
    for step in 0..2 * 86_400_000 / STEP_MS {
        let now = start.plus_ms(step * STEP_MS);
        for (book, node) in books.iter_mut().zip(&voters) {
            for anchor in book.due(now, &holds(now), &ledger) {
                assert_eq!(anchor.period, period_of(now) - 1, "the ledger takes no other");
                said.push((anchor.period, *node, now));
                ledger.say(*node, anchor, voters.len());
            }
        }
    }
    assert_eq!(said.len(), 2 * voters.len());
    for period in [DAY - 1, DAY] {
        let ended = end_of_period(period);
        let of_day: Vec<_> = said.iter().filter(|(of, ..)| *of == period).collect();
        let after: Vec<u64> = of_day.iter().map(|(.., at)| at.since_ms(ended)).collect();
        assert!(after.iter().all(|ms| (SETTLE_MS..=SETTLE_MS + SPREAD_MS + STEP_MS).contains(ms)), "{after:?}");
        assert!(after[4] - after[0] >= SPREAD_MS / 8, "not all at once: {after:?}");
        let root = Hash::of(&period.to_le_bytes());
        let anchored = ledger.records[&(period, SECTOR)].anchored.unwrap();
        assert_eq!(
            (anchored.registry_root, anchored.conflicts_head, anchored.audit_head),
            (root, Hash::ZERO, Hash::ZERO)
        );
    }
    assert!(books.iter().all(|book| state(book) == DutyState::Done && book.disagreements() == 0));
    assert!(books.iter().all(|book| book.rows()[0].last_done.is_some()));
}

#[test]
fn a_ledger_that_takes_nothing_is_asked_so_often_a_day() {
    let (mut book, ledger, mut tries) = (AnchorBook::new(NodeId(1)), Ledger::default(), 0);
    let start = end_of_period(DAY - 1);
    for step in 0..86_400_000 / STEP_MS {
        let now = start.plus_ms(step * STEP_MS);
        tries += book.due(now, &holds(now), &ledger).len();
    }
    assert_eq!((tries, state(&book)), (TRIES_MAX as usize, DutyState::GivenUp));
    let now = end_of_period(DAY);
    book.due(now, &holds(now), &ledger);
    assert_eq!(state(&book), DutyState::Waiting, "a new day is a new word");
}

#[test]
fn a_voter_without_money_waits_for_it_and_looks_now_and_then() {
    let mut book = AnchorBook::new(NodeId(1));
    let mut ledger = Ledger { is_poor: true, ..Ledger::default() };
    let start = end_of_period(DAY - 1);
    for step in 0..40_000_000 / STEP_MS {
        let now = start.plus_ms(step * STEP_MS);
        assert!(book.due(now, &holds(now), &ledger).is_empty());
    }
    assert_eq!(state(&book), DutyState::Unpaid);
    assert!((50..70).contains(&ledger.asked.get()), "every ten minutes: {}", ledger.asked.get());
    ledger.is_poor = false;
    let now = start.plus_ms(41_000_000);
    assert_eq!(book.due(now, &holds(now), &ledger).len(), 1);
}

#[test]
fn who_said_it_before_a_restart_does_not_say_it_again() {
    let now = end_of_period(DAY).plus_ms(SETTLE_MS + SPREAD_MS + 1);
    let mut ledger = Ledger::default();
    let mut late = AnchorBook::new(NodeId(1));
    assert!(late.due(now, &holds(now), &ledger).len() <= 1, "late, but not all of the late at once");
    let heads =
        AnchorHeads { registry_root: Hash::of(&DAY.to_le_bytes()), conflicts_head: Hash::ZERO, audit_head: Hash::ZERO };
    ledger.say(NodeId(1), Anchor { sector: SECTOR, period: DAY, heads }, 3);
    let mut again = AnchorBook::new(NodeId(1));
    for step in 0..=LATE_SPREAD_MS / STEP_MS {
        let now = now.plus_ms(step * STEP_MS);
        assert!(again.due(now, &holds(now), &ledger).is_empty());
    }
    assert_eq!((state(&again), again.rows()[0].last_done), (DutyState::Done, None), "when that was nobody knows");
}

#[test]
fn what_is_not_sealed_is_not_said_and_what_the_others_anchored_otherwise_is_shown() {
    let now = end_of_period(DAY).plus_ms(SETTLE_MS + SPREAD_MS);
    let (mut book, mut ledger) = (AnchorBook::new(NodeId(1)), Ledger::default());
    let nothing = BTreeMap::from([(SECTOR, None)]);
    let late = now.plus_ms(LATE_SPREAD_MS);
    assert!(book.due(now, &nothing, &ledger).is_empty() && book.due(late, &nothing, &ledger).is_empty());
    assert_eq!(state(&book), DutyState::Resting);
    // Nor is a seal of another day.
    assert!(book.due(late, &sealed(DAY - 1, b"old"), &ledger).is_empty());
    let heads = AnchorHeads { registry_root: Hash::of(b"other"), conflicts_head: Hash::ZERO, audit_head: Hash::ZERO };
    for node in [2, 3].map(NodeId) {
        ledger.say(node, Anchor { sector: SECTOR, period: DAY, heads }, 3);
    }
    book.due(late, &holds(late), &ledger);
    assert_eq!(book.disagreements(), 1);
    assert!(book.rows()[0].note.contains("the others anchored"), "{:?}", book.rows());
    // A sector it no longer votes in is none of its duties.
    book.due(late, &Sealed::new(), &ledger);
    assert!(book.rows().is_empty());
}
