//! Quantities as people read them.

use mesh30k_ledger::types::{TimeMs, Uftns};

/// Millijoules in the largest unit that leaves a number above one.
#[must_use]
pub fn energy(mj: u64) -> String {
    scaled(mj as f64, &[(3.6e9, "kWh"), (3.6e6, "Wh"), (1e3, "J"), (1.0, "mJ")])
}

/// Micrograms of CO2e likewise.
#[must_use]
pub fn carbon(ug: u64) -> String {
    scaled(ug as f64, &[(1e9, "kg"), (1e6, "g"), (1e3, "mg"), (1.0, "\u{b5}g")])
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let found = units.iter().find(|(size, _)| value >= *size).or(units.last());
    let (size, name) = found.copied().unwrap_or((1.0, ""));
    let number = value / size;
    let decimals = if number >= 100.0 { 0 } else { 1 };
    if size <= 1.0 { format!("{number:.0} {name}") } else { format!("{number:.decimals$} {name}") }
}

/// An amount with two decimals, the last one cut; exact amounts stand in the JSON.
#[must_use]
pub fn ftns(uftns: u64) -> String {
    let cents = uftns / (Uftns::PER_FTNS / 100);
    format!("{}.{:02}", crate::render::grouped(cents / 100), cents % 100)
}

/// Grams a kilowatt-hour with one decimal.
#[must_use]
pub fn intensity(mg_per_kwh: u64) -> String {
    format!("{}.{}", mg_per_kwh / 1_000, mg_per_kwh % 1_000 / 100)
}

/// The hour of the day in UTC, two digits.
#[must_use]
pub fn hour(time: TimeMs) -> String {
    format!("{:02}", time.0 / 3_600_000 % 24)
}

/// A time in UTC to the minute.
#[must_use]
pub fn utc(time: TimeMs) -> String {
    let days = i64::try_from(time.0 / 86_400_000).unwrap_or(0);
    // Days to a date, by the algorithm of Howard Hinnant ("chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {}:{:02} UTC", hour(time), time.0 / 60_000 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short_and_dates_are_right() {
        assert_eq!(
            [energy(0), energy(999), energy(3_600_000_000), energy(90_000)],
            ["0 mJ", "999 mJ", "1.0 kWh", "90.0 J"]
        );
        assert_eq!([carbon(713), carbon(94_000), carbon(2_500_000_000)], ["713 \u{b5}g", "94.0 mg", "2.5 kg"]);
        assert_eq!(ftns(1_234_567_890), "1,234.56");
        assert_eq!(intensity(410_390), "410.3");
        assert_eq!(utc(TimeMs(951_827_415_250)), "2000-02-29 12:30 UTC");
        assert_eq!(utc(TimeMs(1_795_896_000_000)), "2026-11-28 20:00 UTC");
    }
}
