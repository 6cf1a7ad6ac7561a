//! An oracle's words on its grid: whether to say one, decided from what the source and the ledger say.

use mesh30k_ledger::ops::{ReportIntensity, WINDOW_MS};
use mesh30k_ledger::records::{IntensityRecord, IntensityWord};
use mesh30k_ledger::types::{AccountId, Region, TimeMs};

use super::progress::Progress;
use super::row::{Duty, DutyRow, DutyState};
use crate::grid::{GridError, Reading};

/// A figure that moved less than so much of the last word is not worth a fee: 2 %,
pub(super) const STEP_PPM: u64 = 20_000;
/// or less than a gram.
const STEP_MIN_MG_PER_KWH: u64 = 1_000;
/// What was given up is begun again after a day.
pub(super) const REST_MS: u64 = 86_400_000;

/// What source and ledger say now.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    /// The source's own figure while it counts: never the ledger's, which must not come back to it as measured.
    pub(super) reading: Result<Reading, GridError>,
    /// Whether the node's account is an oracle.
    pub(super) holds_office: bool,
    /// What oracles said of the region.
    pub(super) record: Option<IntensityRecord>,
    /// How long a word counts, by the ledger.
    pub(super) fresh_ms: u64,
    /// How many words make a median.
    pub(super) words_needed: u64,
}

/// The word that is being brought in.
#[derive(Debug)]
struct Saying {
    measured_at: TimeMs,
    /// When the ledger took this account's word before.
    since: Option<TimeMs>,
    began_at: TimeMs,
    progress: Progress,
}

impl Saying {
    fn has_rested(&self, now: TimeMs) -> bool {
        self.progress.state == DutyState::GivenUp && now.since_ms(self.began_at) >= REST_MS
    }
}

/// One zone's words.
#[derive(Debug)]
pub(super) struct IntensityBook {
    account: AccountId,
    zone: String,
    saying: Option<Saying>,
    /// For when the last figure was that the ledger has from here.
    said: Option<TimeMs>,
    last_done: Option<TimeMs>,
    state: DutyState,
    note: String,
}

impl IntensityBook {
    /// Nothing said yet.
    pub(super) const fn new(account: AccountId, zone: String) -> Self {
        Self {
            account,
            zone,
            saying: None,
            said: None,
            last_done: None,
            state: DutyState::Resting,
            note: String::new(),
        }
    }

    /// What to bring before the ledger now.
    pub(super) fn due(
        &mut self,
        now: TimeMs,
        sight: &Sight,
        can_pay: impl FnOnce(&ReportIntensity) -> bool,
    ) -> Option<ReportIntensity> {
        let own = sight.record.as_ref().and_then(|record| record.reports.get(&self.account)).copied();
        self.settle(own);
        let (report, measured_at) = match self.wanted(now, sight, own) {
            Ok(wanted) => wanted,
            Err(note) => {
                self.note = note;
                let has_word = self.last_done.is_some_and(|at| now.since_ms(at) < WINDOW_MS);
                self.state = if has_word { DutyState::Done } else { DutyState::Resting };
                return None;
            }
        };
        // A newer figure does not begin the tries anew: what is refused costs a fee each time.
        let kept = self.saying.take().filter(|saying| !saying.has_rested(now));
        let since = own.map(|word| word.at);
        let new = || Saying { measured_at, since, began_at: now, progress: Progress::waiting(now) };
        let saying = self.saying.insert(kept.unwrap_or_else(new));
        let is_due = saying.progress.tries_now(now, || can_pay(&report));
        if is_due {
            saying.measured_at = measured_at;
        }
        self.state = saying.progress.state;
        self.note = format!("{} mg/kWh are to be reported", report.mg_per_kwh);
        is_due.then_some(report)
    }

    /// Notes what the ledger took.
    fn settle(&mut self, own: Option<IntensityWord>) {
        self.last_done = own.map(|word| word.at).or(self.last_done);
        if let Some(saying) = self.saying.take_if(|saying| own.is_some_and(|word| Some(word.at) > saying.since)) {
            self.said = Some(saying.measured_at);
        }
    }

    /// The word that should be said, with the time it is for; else why none.
    fn wanted(
        &self,
        now: TimeMs,
        sight: &Sight,
        own: Option<IntensityWord>,
    ) -> Result<(ReportIntensity, TimeMs), String> {
        if !sight.holds_office {
            return Err("the node's account is no oracle".to_owned());
        }
        // A part of a country says nothing of the whole.
        let not_whole = |_| format!("zone {} is no country: it is used on receipts and not reported", self.zone);
        let region: Region = self.zone.parse().map_err(not_whole)?;
        let reading = sight.reading.as_ref().map_err(|error| format!("the source has no figure: {error}"))?;
        if reading.is_estimated {
            return Err("the source estimated its figure: it is used on receipts and not reported".to_owned());
        }
        // The ledger forgets words that are stale; this node does not.
        if let Some(at) = self.last_done {
            if now.since_ms(at) < WINDOW_MS {
                return Err("it was reported less than an hour ago".to_owned());
            }
            // After a restart it is unknown which figure that was: none that is older than the word is said again.
            if reading.at <= self.said.unwrap_or(at) {
                return Err("the source has no newer figure than was reported".to_owned());
            }
        }
        if own.is_some_and(|word| !is_worth_a_word(now, sight, word, reading.mg_per_kwh)) {
            return Err("the figure has not moved since it was reported".to_owned());
        }
        Ok((ReportIntensity { region, mg_per_kwh: reading.mg_per_kwh }, reading.at))
    }

    /// As it is shown.
    pub(super) fn row(&self) -> DutyRow {
        let is_open = matches!(self.state, DutyState::Waiting | DutyState::Unpaid);
        DutyRow {
            duty: Duty::Intensity,
            subject: self.zone.clone(),
            state: self.state,
            last_done: self.last_done,
            next_at: self.saying.as_ref().filter(|_| is_open).and_then(|saying| saying.progress.next_at()),
            note: self.note.clone(),
        }
    }
}

/// Whether a figure should follow this account's last word.
fn is_worth_a_word(now: TimeMs, sight: &Sight, word: IntensityWord, mg_per_kwh: u64) -> bool {
    // Half of the time that a word counts: the other half is for tries.
    let ages = now.since_ms(word.at) >= sight.fresh_ms / 2;
    // What is in force moves by bounded steps, one an hour and only when somebody speaks: until it is there, somebody must.
    let lagging = |record: &IntensityRecord| {
        median(record, now, sight).is_some_and(|median| has_moved(record.mg_per_kwh, median))
    };
    ages || has_moved(word.mg_per_kwh, mg_per_kwh) || sight.record.as_ref().is_some_and(lagging)
}

fn has_moved(from: u64, to: u64) -> bool {
    let step = u128::from(from).saturating_mul(u128::from(STEP_PPM)) / 1_000_000;
    u128::from(from.abs_diff(to)) > step.max(u128::from(STEP_MIN_MG_PER_KWH))
}

/// The median as the ledger forms it: the lower of two in the middle.
fn median(record: &IntensityRecord, now: TimeMs, sight: &Sight) -> Option<u64> {
    let fresh = record.reports.values().filter(|word| now.since_ms(word.at) <= sight.fresh_ms);
    let mut words: Vec<u64> = fresh.map(|word| word.mg_per_kwh).collect();
    words.sort_unstable();
    if (words.len() as u64) < sight.words_needed {
        return None;
    }
    words.get(words.len().saturating_sub(1) / 2).copied()
}
