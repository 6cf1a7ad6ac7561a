//! Instants as ISO 8601 writes them.

use mesh30k_ledger::types::TimeMs;

/// Reads `2026-11-28T20:00[:00[.000]]` with `Z` or an offset such as `+02:00`; none for anything else or before 1970.
#[must_use]
pub fn parse_instant(text: &str) -> Option<TimeMs> {
    let (date, rest) = text.trim().split_once(['T', ' '])?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let at = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = rest.split_at(at);
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let millis = parts.next().map_or(Some(0), seconds_ms)?;
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    let days = days_before_year(year) + (1..month).map(|month| days_in(year, month)).sum::<i64>() + day - 1;
    let ms = ((days * 24 + hour) * 60 + minute - offset_minutes(zone)?) * 60_000 + millis;
    u64::try_from(ms).ok().map(TimeMs)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn seconds_ms(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds = number(whole, 2).filter(|seconds| *seconds < 60)?;
    let digits = fraction.len();
    if digits == 0 || digits > 9 {
        return None;
    }
    let thousandths: i64 = number(fraction, digits)? * 1_000 / 10_i64.pow(u32::try_from(digits).ok()?);
    Some(seconds * 1_000 + thousandths)
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = if let Some(rest) = zone.strip_prefix('+') { (1, rest) } else { (-1, zone.strip_prefix('-')?) };
    let (hours, minutes) = rest.split_once(':')?;
    Some(sign * (number(hours, 2)? * 60 + number(minutes, 2)?))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of the year; negative before.
fn days_before_year(year: i64) -> i64 {
    let leaps = |year: i64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    (year - 1_970) * 365 + leaps(year) - leaps(1_970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_usual_form() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:30:15.250Z", 951_827_415_250),
            ("2022-07-14T00:00Z", 1_657_756_800_000),
            ("2026-11-28T22:00:00+02:00", 1_795_896_000_000),
            ("2026-11-28T20:00:00.000Z", 1_795_896_000_000),
        ];
        for (text, ms) in cases {
            assert_eq!(parse_instant(text), Some(TimeMs(ms)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "now",
            "2026-11-28",
            "2026-11-28T20:00:00",
            "2026-13-01T00:00Z",
            "2023-02-29T00:00Z",
            "2026-1-1T0:0Z",
            "2026-11-28T24:00Z",
            "2026-11-28T20:60Z",
            "1969-12-31T23:59Z",
            "2026-11-28T20:00:00.Z",
            "+026-11-28T20:00Z",
            "2026-11-28T20:00:00+2",
            "9999999999999-01-01T00:00Z",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }
}
