//! Amounts of FTNS in millionths.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Millionths of an FTNS. JSON: the integer; `Display`: `12.500000 FTNS`; `FromStr`: `12.5` or `12.5FTNS`.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    std::hash::Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Uftns(pub u64);

/// Text that is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// No number.
    #[error("amount `{0}` is not a number such as 12.5 or 12.5FTNS")]
    Malformed(String),
    /// More than six decimals.
    #[error("amount `{0}` has more than six decimals; the smallest amount is 0.000001 FTNS")]
    TooFine(String),
    /// Does not fit.
    #[error("amount `{0}` is more than 18446744073709.551615 FTNS")]
    TooLarge(String),
}

impl Uftns {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Millionths in one FTNS.
    pub const PER_FTNS: u64 = 1_000_000;
    /// As decimal places.
    const PLACES: u8 = 6;

    /// So many whole FTNS, at most what fits.
    #[must_use]
    pub const fn ftns(whole: u64) -> Self {
        Self(whole.saturating_mul(Self::PER_FTNS))
    }

    /// Sum, or nothing when it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Difference, or nothing when it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// So many times this, or nothing when it does not fit.
    #[must_use]
    pub const fn checked_mul(self, times: u64) -> Option<Self> {
        match self.0.checked_mul(times) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Uftns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.checked_div(Self::PER_FTNS).unwrap_or(0);
        let rest = self.0.checked_rem(Self::PER_FTNS).unwrap_or(0);
        write!(f, "{whole}.{rest:06} FTNS")
    }
}

impl FromStr for Uftns {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let number = text.trim();
        let number = number.strip_suffix("FTNS").unwrap_or(number).trim_end();
        decimal(number, Self::PLACES).map(Self).map_err(|error| {
            let shown = text.chars().take(60).collect();
            match error {
                DecimalError::Malformed => AmountError::Malformed(shown),
                DecimalError::TooFine => AmountError::TooFine(shown),
                DecimalError::TooLarge => AmountError::TooLarge(shown),
            }
        })
    }
}

/// Why a text is no decimal number of so many places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// Not digits, with at most one point among them.
    Malformed,
    /// More places than there are.
    TooFine,
    /// More than fits.
    TooLarge,
}

/// A decimal number, counted in units of the last of so many places; nothing is rounded.
///
/// # Errors
/// [`DecimalError`].
pub fn decimal(text: &str, places: u8) -> Result<u64, DecimalError> {
    let places = usize::from(places);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) if is_digits(decimals) => (whole, decimals),
        Some(_) => return Err(DecimalError::Malformed),
        None => (text, ""),
    };
    if !is_digits(whole) {
        return Err(DecimalError::Malformed);
    }
    if decimals.len() > places {
        return Err(DecimalError::TooFine);
    }
    format!("{whole}{decimals:0<places$}").parse().map_err(|_| DecimalError::TooLarge)
}
