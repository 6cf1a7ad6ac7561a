//! Instants and lengths of time as people write them; all in UTC and block time.

use std::fmt;
use std::str::FromStr;

use mesh30k_ledger::types::TimeMs;

/// Units of time with their milliseconds, longest first.
const UNITS: [(&str, u64); 5] =
    [("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

/// A length of time, written as a whole number with one of w, d, h, m, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) ms: u64,
}

/// An instant, or how far ahead one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    At(TimeMs),
    In(Span),
}

/// A text that names no time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WhenError {
    #[error("`{0}` is not a whole number with one of w, d, h, m, s, such as 36h")]
    Span(String),
    #[error("`{0}` is not a time such as 2026-12-01T08:00Z (in UTC), nor a time ahead such as +36h")]
    Instant(String),
}

impl Span {
    pub(crate) const fn of_ms(ms: u64) -> Self {
        Self { ms }
    }
}

impl When {
    /// The instant, for whom it is `now`.
    pub(crate) const fn seen_at(self, now: TimeMs) -> TimeMs {
        match self {
            Self::At(time) => time,
            Self::In(span) => now.plus_ms(span.ms),
        }
    }
}

impl FromStr for Span {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        let refused = || WhenError::Span(text.chars().take(40).collect());
        let split = |(name, ms): &(&str, u64)| text.strip_suffix(name).map(|number| (number, *ms));
        let (number, unit_ms) = UNITS.iter().find_map(split).ok_or_else(refused)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let ms = number.parse::<u64>().ok().filter(|_| is_number).and_then(|number| number.checked_mul(unit_ms));
        ms.map(Self::of_ms).ok_or_else(refused)
    }
}

/// The two longest units that are not nothing.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.ms;
        let mut shown = Vec::new();
        for (name, unit_ms) in UNITS.iter().skip(1) {
            let count = rest / unit_ms;
            rest %= unit_ms;
            if count > 0 && shown.len() < 2 {
                shown.push(format!("{count} {name}"));
            }
        }
        let text = if shown.is_empty() { format!("{} ms", self.ms) } else { shown.join(" ") };
        f.pad(&text)
    }
}

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        if let Some(ahead) = text.strip_prefix('+') {
            return ahead.parse().map(Self::In);
        }
        instant(text).map(Self::At).ok_or_else(|| WhenError::Instant(text.chars().take(40).collect()))
    }
}

/// `2026-12-01T08:00Z`, with seconds if they matter; from 1970 on.
fn instant(text: &str) -> Option<TimeMs> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = match numbers(time, ':') {
        Some([hour, minute, second]) => [hour, minute, second],
        None => numbers(&format!("{time}:00"), ':')?,
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let is_date = (1970..=9999).contains(&year) && (1..=days).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = day_number(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(TimeMs(seconds * 1_000))
}

/// Three numbers of two digits or, of a year, four.
fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split(between);
    for (place, number) in found.iter_mut().enumerate() {
        let part = parts.next()?;
        let digits = if between == '-' && place == 0 { 4 } else { 2 };
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Days from 1970 to a date, by the algorithm of Howard Hinnant ("chrono-compatible low-level date algorithms").
const fn day_number(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let of_era = year % 400;
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_testnet::carbon::utc;

    #[test]
    fn an_instant_is_read_as_it_is_drawn() {
        for text in ["1970-01-01T00:00Z", "2000-02-29T23:59Z", "2026-12-01T08:00Z", "2100-03-01T12:30Z"] {
            let Ok(When::At(time)) = text.parse::<When>() else { panic!("{text}") };
            assert_eq!(utc(time), text.replace('T', " ").replace('Z', " UTC"));
        }
        // `date -u -d @1796112000`.
        assert_eq!("2026-12-01T08:00:00Z".parse(), Ok(When::At(TimeMs(1_796_112_000_000))));
    }

    /// Every day of four centuries is the day after the one before.
    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = 0;
        for year in 1970..2370_u64 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(time) = instant(&format!("{year}-{month:02}-{day:02}T00:00Z")) {
                        assert_eq!(time, TimeMs(expected * 86_400_000), "{year}-{month}-{day}");
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected, 146_097);
    }

    #[test]
    fn lengths_of_time_are_read_and_drawn() {
        let ms = |text: &str| text.parse::<Span>().map(|span| span.ms);
        assert_eq!([ms("90s"), ms("10m"), ms("36h")], [Ok(90_000), Ok(600_000), Ok(129_600_000)]);
        assert_eq!([ms("2w"), ms("1d")], [Ok(1_209_600_000), Ok(86_400_000)]);
        let drawn = |ms| Span::of_ms(ms).to_string();
        assert_eq!([drawn(604_800_000), drawn(129_600_000), drawn(61_500)], ["7 d", "1 d 12 h", "1 m 1 s"]);
        assert_eq!([drawn(0), drawn(999)], ["0 ms", "999 ms"]);
        assert_eq!("+36h".parse::<When>().unwrap().seen_at(TimeMs(1)), TimeMs(129_600_001));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in ["", "tomorrow", "2026-12-01", "2026-12-01T08:00", "2026-13-01T08:00Z", "2026-02-29T08:00Z"] {
            assert!(matches!(bad.parse::<When>(), Err(WhenError::Instant(_))), "{bad}");
        }
        for bad in
            ["2026-12-01T24:00Z", "26-12-01T08:00Z", "2026-1-01T08:00Z", "2026-12-01T08:00:00:00Z", "1969-12-31T00:00Z"]
        {
            assert!(matches!(bad.parse::<When>(), Err(WhenError::Instant(_))), "{bad}");
        }
        for bad in ["+", "+h", "+1", "+-1h", "+1.5h", "+1y", "+99999999999999999999w"] {
            assert!(matches!(bad.parse::<When>(), Err(WhenError::Span(_))), "{bad}");
        }
    }
}
