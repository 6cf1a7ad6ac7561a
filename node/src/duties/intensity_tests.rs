use std::collections::BTreeMap;

use mesh30k_ledger::ops::WINDOW_MS;
use mesh30k_ledger::records::{IntensityRecord, IntensityWord};
use mesh30k_ledger::types::{AccountId, TimeMs};

use super::intensity::{IntensityBook, REST_MS, Sight};
use super::row::DutyState;
use crate::grid::{GridBook, GridError, Reading};
use crate::ledger::own::TRIES_MAX;

const NOW: TimeMs = TimeMs(1_795_896_000_000);
const DAY_MS: u64 = 86_400_000;
const ME: AccountId = AccountId([7; 20]);

fn book() -> IntensityBook {
    IntensityBook::new(ME, "DE".to_owned())
}

fn reading(mg_per_kwh: u64, at: TimeMs) -> Result<Reading, GridError> {
    Ok(Reading { mg_per_kwh, at, is_estimated: false })
}

fn sight(reading: Result<Reading, GridError>, record: Option<IntensityRecord>) -> Sight {
    Sight { reading, holds_office: true, record, fresh_ms: DAY_MS, words_needed: 3 }
}

/// What the ledger has when each of these oracles spoke at `at`, and the figure in force is that of the first.
fn record(words: &[(AccountId, u64)], at: TimeMs) -> IntensityRecord {
    let reports: BTreeMap<_, _> =
        words.iter().map(|(account, mg_per_kwh)| (*account, IntensityWord { mg_per_kwh: *mg_per_kwh, at })).collect();
    let in_force = words[0].1;
    IntensityRecord {
        mg_per_kwh: in_force,
        updated_at: Some(at),
        window_mg_per_kwh: in_force,
        window_since: at,
        reports,
    }
}

fn said(book: &mut IntensityBook, now: TimeMs, sight: &Sight) -> Option<u64> {
    book.due(now, sight, |_| true).map(|report| report.mg_per_kwh)
}

/// What it says, and what it shows of why.
fn refused(zone: &str, sight: &Sight) -> String {
    let mut book = IntensityBook::new(ME, zone.to_owned());
    assert_eq!(said(&mut book, NOW, sight), None);
    assert_eq!(book.row().state, DutyState::Resting);
    book.row().note
}

#[test]
fn only_an_oracle_reports_and_only_what_its_source_measured_of_the_whole_country() {
    let good = sight(reading(300_000, NOW), None);
    assert_eq!(said(&mut book(), NOW, &good), Some(300_000));
    assert!(refused("DE", &Sight { holds_office: false, ..good.clone() }).contains("no oracle"));
    assert!(refused("US-CAL-CISO", &good).contains("no country"));
    let estimated = Reading { mg_per_kwh: 300_000, at: NOW, is_estimated: true };
    assert!(refused("DE", &sight(Ok(estimated), None)).contains("estimated"));
    assert!(refused("DE", &sight(Err(GridError::NotYet), None)).contains("not read yet"));
}

#[test]
fn a_fallback_never_comes_back_as_a_measurement() {
    let mut source = GridBook::new("file".to_owned(), "DE".to_owned(), 7_200_000);
    source.take(reading(300_000, NOW));
    let late = NOW.plus_ms(7_200_001);
    // Receipts go on with the ledger's figure; there is nothing to report.
    assert_eq!(source.choose(late, 410_000).mg_per_kwh, 410_000);
    let mut book = book();
    assert_eq!(said(&mut book, late, &sight(source.reading(late), None)), None);
    assert!(book.row().note.contains("no figure"));
}

#[test]
fn at_most_once_an_hour_and_no_figure_twice() {
    let mut book = book();
    assert_eq!(said(&mut book, NOW, &sight(reading(300_000, NOW), None)), Some(300_000));
    let mut ledger = record(&[(ME, 300_000)], NOW);
    let mut reports = Vec::new();
    // A source that has a new figure every five minutes, each far from the last.
    for minute in (1..=240).step_by(5) {
        let now = NOW.plus_ms(minute * 60_000);
        let figure = if minute % 2 == 0 { 200_000 } else { 400_000 + minute * 1_000 };
        if let Some(mg_per_kwh) = said(&mut book, now, &sight(reading(figure, now), Some(ledger.clone()))) {
            reports.push(minute);
            ledger = record(&[(ME, mg_per_kwh)], now);
        }
    }
    assert_eq!(reports, [61, 121, 181]);
    assert!(reports.windows(2).all(|pair| (pair[1] - pair[0]) * 60_000 >= WINDOW_MS));
    // The figure that was said last does not come again, however old the word grows.
    let last = reading(581_000, NOW.plus_ms(181 * 60_000));
    let later = NOW.plus_ms(2 * DAY_MS);
    assert_eq!(said(&mut book, later, &sight(last, Some(ledger.clone()))), None);
    assert_eq!(book.row().last_done, Some(NOW.plus_ms(181 * 60_000)));
    assert!(said(&mut book, later, &sight(reading(581_000, later), Some(ledger))).is_some(), "a new one does");
}

#[test]
fn a_word_that_the_ledger_forgot_is_not_said_again_with_the_same_figure() {
    let (mut book, figure) = (book(), reading(300_000, NOW));
    assert_eq!(said(&mut book, NOW, &sight(figure.clone(), None)), Some(300_000));
    let ledger = record(&[(ME, 300_000)], NOW.plus_ms(1));
    assert_eq!(said(&mut book, NOW.plus_ms(10_000), &sight(figure.clone(), Some(ledger))), None);
    assert_eq!(book.row().state, DutyState::Done);
    // Words count a minute only, and another oracle spoke.
    for minute in 2..120 {
        assert_eq!(said(&mut book, NOW.plus_ms(minute * 60_000), &sight(figure.clone(), None)), None);
    }
    let soon = NOW.plus_ms(WINDOW_MS);
    assert_eq!(said(&mut book, soon, &sight(reading(900_000, soon), None)), None, "not within the hour");
    let next = NOW.plus_ms(WINDOW_MS + 1);
    assert_eq!(said(&mut book, next, &sight(reading(300_000, next), None)), Some(300_000));
}

#[test]
fn what_has_not_moved_is_said_when_the_word_is_half_worn_out() {
    let others = [AccountId([1; 20]), AccountId([2; 20])];
    let ledger = record(&[(ME, 300_000), (others[0], 300_000), (others[1], 301_000)], NOW);
    let at = |after_ms, mg_per_kwh| {
        let now = NOW.plus_ms(after_ms);
        said(&mut book(), now, &sight(reading(mg_per_kwh, now), Some(ledger.clone())))
    };
    assert_eq!(at(WINDOW_MS, 306_000), None, "2 % is no news");
    assert_eq!(at(WINDOW_MS, 306_001), Some(306_001));
    assert_eq!(at(WINDOW_MS, 293_999), Some(293_999));
    assert_eq!(at(DAY_MS / 2 - 1, 300_000), None);
    assert_eq!(at(DAY_MS / 2, 300_000), Some(300_000));
}

#[test]
fn the_figure_in_force_is_led_to_the_median_step_by_step() {
    let others = [AccountId([1; 20]), AccountId([2; 20])];
    let mut ledger = record(&[(ME, 600_000), (others[0], 600_000), (others[1], 600_000)], NOW);
    // An hour ago it was half of that, and moved by a quarter.
    ledger.mg_per_kwh = 375_000;
    let now = NOW.plus_ms(WINDOW_MS);
    assert_eq!(said(&mut book(), now, &sight(reading(600_000, now), Some(ledger.clone()))), Some(600_000));
    // Too few words move nothing.
    ledger.reports.remove(&others[0]);
    assert_eq!(said(&mut book(), now, &sight(reading(600_000, now), Some(ledger.clone()))), None);
    ledger.reports.insert(others[0], IntensityWord { mg_per_kwh: 600_000, at: NOW });
    ledger.mg_per_kwh = 600_000;
    assert_eq!(said(&mut book(), now, &sight(reading(600_000, now), Some(ledger))), None, "it is there");
}

#[test]
fn a_ledger_that_takes_nothing_is_asked_so_often_a_day_whatever_the_source_says() {
    let (mut book, mut tries) = (book(), 0);
    for minute in 0..1_440 {
        let now = NOW.plus_ms(minute * 60_000);
        tries += usize::from(said(&mut book, now, &sight(reading(300_000 + minute * 1_000, now), None)).is_some());
    }
    assert_eq!((tries, book.row().state), (TRIES_MAX as usize, DutyState::GivenUp));
    let next = NOW.plus_ms(REST_MS);
    assert_eq!(said(&mut book, next, &sight(reading(300_000, next), None)), Some(300_000));
}

#[test]
fn an_oracle_without_money_says_so_and_tries_nothing() {
    let mut book = book();
    let good = sight(reading(300_000, NOW), None);
    assert_eq!(book.due(NOW, &good, |_| false), None);
    assert_eq!(book.row().state, DutyState::Unpaid);
    let next_at = book.row().next_at.unwrap();
    assert_eq!(said(&mut book, next_at, &good), Some(300_000));
}
