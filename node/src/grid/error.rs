//! Why a source is not believed.

use mesh30k_ledger::ops::MAX_INTENSITY_MG_PER_KWH;

use super::format::MAX_DOCUMENT_BYTES;

/// Why a source gave no figure that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(String),
    /// Nobody answers, too late, or with an error.
    #[error("the address gives no answer: {0}")]
    Http(String),
    /// Too long to be what it should be.
    #[error("it has more than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    /// Not the format.
    #[error("it is not in the Electricity Maps format: {0}")]
    Format(String),
    /// About somewhere else.
    #[error("it is about zone {found}, not {expected}")]
    WrongZone {
        /// What it says.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// No figure at all.
    #[error("it has no figure for now or before")]
    NoFigure,
    /// Below nothing.
    #[error("carbonIntensity {0} is negative")]
    Negative(String),
    /// Above what any grid has.
    #[error("carbonIntensity {0} g/kWh is above {max} g/kWh, which no grid has", max = MAX_INTENSITY_MG_PER_KWH / 1_000)]
    Absurd(String),
    /// No time.
    #[error("datetime `{0}` is not like 2026-11-28T20:00:00Z")]
    Time(String),
    /// From too long ago.
    #[error("its newest figure is {age_s} s old, at most {max_s} s count")]
    Stale {
        /// Seconds.
        age_s: u64,
        /// Seconds.
        max_s: u64,
    },
    /// Nothing was read yet.
    #[error("it was not read yet")]
    NotYet,
}
