//! Masses of carbon as people write them.

use std::fmt;
use std::str::FromStr;

use mesh30k_ledger::types::{DecimalError, decimal};

/// A unit, and how many decimal places it has down to a microgram; `g` ends the names of others and comes last.
const UNITS: [(&str, u8); 5] = [("t", 12), ("kg", 9), ("mg", 3), ("ug", 0), ("g", 6)];
/// Micrograms in a gram.
const UG_PER_G: u64 = 1_000_000;

/// A mass of CO2e in micrograms, written as a decimal number and one of t, kg, g, mg, ug; nothing is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarbonMass(pub u64);

/// A text that is no mass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MassError {
    /// Not a number with a unit.
    #[error("`{0}` is not a number with one of the units t, kg, g, mg, ug, such as 2.5g")]
    Form(String),
    /// Finer than a microgram, or more than fits.
    #[error("`{0}` is not a whole number of micrograms up to {max}", max = u64::MAX)]
    Range(String),
    /// Finer than a gram, or outside its bounds.
    #[error("{field} is {found}; it is told in whole grams, 1 g to {max_g} g")]
    WholeGrams {
        /// Of what.
        field: &'static str,
        /// What was given.
        found: CarbonMass,
        /// The most.
        max_g: u64,
    },
}

impl CarbonMass {
    /// In whole grams.
    ///
    /// # Errors
    /// [`MassError::WholeGrams`] when it is none, not whole, or more than `max_g`.
    pub const fn whole_g(self, field: &'static str, max_g: u64) -> Result<u64, MassError> {
        let grams = self.0 / UG_PER_G;
        if !self.0.is_multiple_of(UG_PER_G) || grams == 0 || grams > max_g {
            return Err(MassError::WholeGrams { field, found: self, max_g });
        }
        Ok(grams)
    }
}

impl FromStr for CarbonMass {
    type Err = MassError;

    fn from_str(text: &str) -> Result<Self, MassError> {
        let form = || MassError::Form(text.to_owned());
        let split = |(name, places): &(&str, u8)| text.strip_suffix(name).map(|number| (number.trim_end(), *places));
        let (number, places) = UNITS.iter().find_map(split).ok_or_else(form)?;
        decimal(number, places).map(Self).map_err(|error| match error {
            DecimalError::Malformed => form(),
            DecimalError::TooFine | DecimalError::TooLarge => MassError::Range(text.to_owned()),
        })
    }
}

/// Exactly, in the largest unit that leaves no fraction.
impl fmt::Display for CarbonMass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = UNITS.iter().map(|(name, places)| (10_u64.pow(u32::from(*places)), *name));
        let fitting = sizes.filter(|(ug, _)| self.0 != 0 && self.0.is_multiple_of(*ug));
        let (ug, name) = fitting.max().unwrap_or((1, "ug"));
        write!(f, "{}{name}", self.0 / ug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_exactly_or_refused() {
        for (text, ug) in [
            ("2.5g", 2_500_000),
            ("350kg", 350_000_000_000),
            ("0.000001 g", 1),
            ("1.50mg", 1_500),
            ("7ug", 7),
            ("1t", 1_000_000_000_000),
            ("0g", 0),
        ] {
            assert_eq!(text.parse(), Ok(CarbonMass(ug)), "{text}");
        }
        for text in ["", "g", "2.5", ".5g", "1.g", "-1g", "+1g", "1 e3g", "1,5g", "g1", "1gg", "\u{664}g"] {
            assert_eq!(text.parse::<CarbonMass>(), Err(MassError::Form(text.to_owned())));
        }
        for text in ["0.5ug", "0.0000001g", "18446744073709551616ug", "99999999t", "0.00000000000000000000001t"] {
            assert_eq!(text.parse::<CarbonMass>(), Err(MassError::Range(text.to_owned())));
        }
        assert_eq!(CarbonMass(350_000_000_000).whole_g("made", 1_000_000), Ok(350_000));
        assert!(CarbonMass(1_500_000).whole_g("made", 9).unwrap_err().to_string().contains("made is 1500mg"));
        assert!(CarbonMass(0).whole_g("made", 9).is_err() && CarbonMass(10_000_000).whole_g("made", 9).is_err());
    }

    #[test]
    fn what_is_shown_is_read_again() {
        let powers = (0..64).map(|bit| 1_u64 << bit);
        let decades = (0..20).map(|zeros| 10_u64.pow(zeros));
        for ug in powers.chain(decades).flat_map(|ug| [ug - 1, ug, ug.saturating_mul(25)]).chain([0, u64::MAX]) {
            assert_eq!(CarbonMass(ug).to_string().parse(), Ok(CarbonMass(ug)));
        }
    }
}
