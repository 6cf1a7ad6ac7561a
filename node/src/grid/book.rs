//! What was read last, and which figure a receipt states.

use mesh30k_ledger::ops::least_believed;
use mesh30k_ledger::types::TimeMs;

use super::error::GridError;
use super::format::Reading;
use crate::api::types::OwnIntensity;

/// On what a chosen intensity rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// The node's own source.
    Own,
    /// The node's own source, raised to the least the ledger believes.
    OwnRaised,
    /// What the ledger has, because the source failed.
    Fallback(GridError),
}

/// The intensity that a receipt states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Milligrams of CO2e a kilowatt-hour.
    pub mg_per_kwh: u64,
    /// Why that.
    pub basis: Basis,
}

/// What is known of a source.
#[derive(Debug)]
pub struct GridBook {
    source: String,
    zone: String,
    fresh_ms: u64,
    last: Option<Reading>,
    problem: Option<GridError>,
    failures: u64,
}

impl GridBook {
    /// Nothing read yet.
    #[must_use]
    pub const fn new(source: String, zone: String, fresh_ms: u64) -> Self {
        Self { source, zone, fresh_ms, last: None, problem: None, failures: 0 }
    }

    /// The zone that is read.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Takes what a look at the source gave. True when it is news: the first failure after a success, or the reverse.
    pub fn take(&mut self, read: Result<Reading, GridError>) -> bool {
        let failed_before = self.problem.is_some();
        match read {
            Ok(reading) => {
                // An older figure than the one known does not replace it.
                self.last = Some(self.last.filter(|known| known.at > reading.at).unwrap_or(reading));
                self.problem = None;
                failed_before
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.problem = Some(error);
                !failed_before
            }
        }
    }

    /// The figure that counts at `now`: the last one while it is fresh, even if the source fails meanwhile.
    ///
    /// # Errors
    /// Why none counts.
    pub fn reading(&self, now: TimeMs) -> Result<Reading, GridError> {
        let Some(last) = self.last else { return Err(self.problem.clone().unwrap_or(GridError::NotYet)) };
        let age_ms = now.since_ms(last.at);
        if age_ms <= self.fresh_ms {
            return Ok(last);
        }
        let stale = GridError::Stale { age_s: age_ms / 1_000, max_s: self.fresh_ms / 1_000 };
        Err(self.problem.clone().unwrap_or(stale))
    }

    /// What a receipt states where the ledger has `in_force`.
    #[must_use]
    pub fn choose(&self, now: TimeMs, in_force_mg_per_kwh: u64) -> Chosen {
        let least = least_believed(in_force_mg_per_kwh);
        match self.reading(now) {
            Ok(reading) if reading.mg_per_kwh < least => Chosen { mg_per_kwh: least, basis: Basis::OwnRaised },
            Ok(reading) => Chosen { mg_per_kwh: reading.mg_per_kwh, basis: Basis::Own },
            Err(error) => Chosen { mg_per_kwh: in_force_mg_per_kwh, basis: Basis::Fallback(error) },
        }
    }

    /// As the API shows it.
    #[must_use]
    pub fn shown(&self, now: TimeMs) -> OwnIntensity {
        let reading = self.reading(now);
        OwnIntensity {
            source: self.source.clone(),
            zone: self.zone.clone(),
            mg_per_kwh: reading.as_ref().ok().map(|reading| reading.mg_per_kwh),
            measured_at: self.last.map(|reading| reading.at),
            is_estimated: self.last.is_some_and(|reading| reading.is_estimated),
            fallback: reading.err().map(|error| error.to_string()),
            failures: self.failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: TimeMs = TimeMs(1_795_896_000_000);

    fn reading(mg_per_kwh: u64, after_ms: u64) -> Reading {
        Reading { mg_per_kwh, at: START.plus_ms(after_ms), is_estimated: false }
    }

    fn book() -> GridBook {
        GridBook::new("file".to_owned(), "DE".to_owned(), 7_200_000)
    }

    #[test]
    fn a_failing_source_is_used_while_its_last_figure_is_fresh_and_then_not() {
        let mut book = book();
        assert_eq!(book.choose(START, 400_000).basis, Basis::Fallback(GridError::NotYet));
        assert!(!book.take(Ok(reading(300_000, 0))), "success at first is no news");
        assert!(book.take(Err(GridError::NoFigure)), "the first failure is");
        assert!(!book.take(Err(GridError::NoFigure)));
        let own = Chosen { mg_per_kwh: 300_000, basis: Basis::Own };
        assert_eq!(book.choose(START.plus_ms(7_200_000), 400_000), own);
        let late = START.plus_ms(7_200_001);
        let fallback = Chosen { mg_per_kwh: 400_000, basis: Basis::Fallback(GridError::NoFigure) };
        assert_eq!(book.choose(late, 400_000), fallback);
        let shown = book.shown(late);
        assert_eq!((shown.mg_per_kwh, shown.failures, shown.fallback.is_some()), (None, 2, true));
        assert!(book.take(Ok(reading(310_000, 7_200_000))), "that it works again is news");
        assert_eq!(book.choose(late, 400_000).basis, Basis::Own);
    }

    #[test]
    fn a_source_that_repeats_an_old_figure_becomes_stale_by_name() {
        let mut book = book();
        book.take(Ok(reading(300_000, 0)));
        let stale = GridError::Stale { age_s: 7_201, max_s: 7_200 };
        assert_eq!(book.choose(START.plus_ms(7_201_000), 1).basis, Basis::Fallback(stale));
        book.take(Ok(reading(200_000, 10)));
        book.take(Ok(reading(300_000, 0)));
        assert_eq!(book.reading(START).map(|reading| reading.mg_per_kwh), Ok(200_000), "an older one replaces nothing");
    }

    #[test]
    fn no_receipt_states_less_than_the_ledger_believes() {
        let mut book = book();
        book.take(Ok(reading(22_180, 0)));
        assert_eq!(book.choose(START, 410_390), Chosen { mg_per_kwh: 102_598, basis: Basis::OwnRaised });
        assert_eq!(book.choose(START, 88_720), Chosen { mg_per_kwh: 22_180, basis: Basis::Own });
    }
}
