//! The Electricity Maps format: `latest`, `history` and `past-range` answers.

use mesh30k_ledger::ops::MAX_INTENSITY_MG_PER_KWH;
use mesh30k_ledger::types::TimeMs;
use serde::Deserialize;

use super::error::GridError;
use super::instant::parse_instant;

/// Bytes of a document, at most: years of hours.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// A figure is taken for now when its hour begins at most so much later: clocks differ.
const AHEAD_MS: u64 = 60_000;

/// A figure of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Milligrams of CO2e a kilowatt-hour, rounded up.
    pub mg_per_kwh: u64,
    /// The time it is for.
    pub at: TimeMs,
    /// Whether the source says that it estimated.
    pub is_estimated: bool,
}

#[derive(Deserialize)]
struct Document {
    zone: Option<String>,
    #[serde(alias = "data")]
    history: Option<Vec<Point>>,
    #[serde(rename = "carbonIntensity")]
    carbon_intensity: Option<f64>,
    datetime: Option<String>,
    #[serde(rename = "isEstimated")]
    is_estimated: Option<bool>,
}

#[derive(Deserialize)]
struct Point {
    zone: Option<String>,
    #[serde(rename = "carbonIntensity")]
    carbon_intensity: Option<f64>,
    datetime: String,
    #[serde(rename = "isEstimated")]
    is_estimated: Option<bool>,
}

/// The newest figure at `now` of a document about `zone`. An hour without a figure is passed over; one that cannot be true
/// makes the whole document unbelievable.
///
/// # Errors
/// Why there is none.
pub fn read_document(bytes: &[u8], zone: &str, now: TimeMs) -> Result<Reading, GridError> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(GridError::TooLarge);
    }
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| GridError::Format(error.to_string().chars().take(120).collect()))?;
    check_zone(document.zone.as_deref().ok_or_else(|| GridError::Format("`zone` is missing".to_owned()))?, zone)?;
    let points = match (document.history, document.datetime) {
        (Some(points), _) => points,
        (None, Some(datetime)) => vec![Point {
            zone: None,
            carbon_intensity: document.carbon_intensity,
            datetime,
            is_estimated: document.is_estimated,
        }],
        (None, None) => return Err(GridError::Format("neither `datetime` nor `history` is there".to_owned())),
    };
    let mut newest: Option<Reading> = None;
    for point in points {
        if let Some(found) = &point.zone {
            check_zone(found, zone)?;
        }
        let at = parse_instant(&point.datetime).ok_or_else(|| GridError::Time(short(&point.datetime)))?;
        let Some(grams) = point.carbon_intensity else { continue };
        let reading = Reading { mg_per_kwh: milligrams(grams)?, at, is_estimated: point.is_estimated.unwrap_or(false) };
        let is_now = at.0 <= now.0.saturating_add(AHEAD_MS);
        if is_now && newest.is_none_or(|known| known.at < at) {
            newest = Some(reading);
        }
    }
    newest.ok_or(GridError::NoFigure)
}

fn check_zone(found: &str, expected: &str) -> Result<(), GridError> {
    if found == expected {
        return Ok(());
    }
    Err(GridError::WrongZone { found: short(found), expected: expected.to_owned() })
}

fn milligrams(grams: f64) -> Result<u64, GridError> {
    if grams < 0.0 {
        return Err(GridError::Negative(short(&grams.to_string())));
    }
    let milligrams = (grams * 1_000.0).ceil();
    if !milligrams.is_finite() || milligrams > MAX_INTENSITY_MG_PER_KWH as f64 {
        return Err(GridError::Absurd(short(&grams.to_string())));
    }
    Ok(milligrams as u64)
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeMs = TimeMs(1_795_896_000_000);

    fn read(text: &str) -> Result<Reading, GridError> {
        read_document(text.as_bytes(), "DE", NOW)
    }

    #[test]
    fn latest_and_history_are_read() {
        let latest = r#"{"zone":"DE","carbonIntensity":302.4001,"datetime":"2026-11-28T20:00:00.000Z",
            "updatedAt":"2026-11-28T20:01:00.000Z","emissionFactorType":"lifecycle","isEstimated":true,"estimationMethod":"X"}"#;
        assert_eq!(read(latest), Ok(Reading { mg_per_kwh: 302_401, at: NOW, is_estimated: true }));
        // The last hour has no figure, one is a forecast: the newest that holds now counts.
        let history = r#"{"zone":"DE","history":[
            {"zone":"DE","carbonIntensity":410,"datetime":"2026-11-28T18:00:00.000Z"},
            {"zone":"DE","carbonIntensity":390,"datetime":"2026-11-28T19:00:00.000Z"},
            {"zone":"DE","carbonIntensity":null,"datetime":"2026-11-28T20:00:00.000Z"},
            {"zone":"DE","carbonIntensity":100,"datetime":"2026-11-28T21:00:00.000Z"}]}"#;
        let hour_ago = TimeMs(NOW.0 - 3_600_000);
        assert_eq!(read(history), Ok(Reading { mg_per_kwh: 390_000, at: hour_ago, is_estimated: false }));
        assert_eq!(read(&history.replace("history", "data")).map(|reading| reading.at), Ok(hour_ago));
    }

    #[test]
    fn what_cannot_be_true_is_refused_by_name() {
        let with = |figure: &str, zone: &str, time: &str| {
            read(&format!(r#"{{"zone":"{zone}","carbonIntensity":{figure},"datetime":"{time}"}}"#))
        };
        let good = "2026-11-28T20:00:00Z";
        assert_eq!(with("-1", "DE", good), Err(GridError::Negative("-1".to_owned())));
        assert_eq!(with("2000.5", "DE", good), Err(GridError::Absurd("2000.5".to_owned())));
        assert!(matches!(with("1e300", "DE", good), Err(GridError::Absurd(_))));
        assert!(with("2000", "DE", good).is_ok() && with("0", "DE", good).is_ok());
        let foreign = GridError::WrongZone { found: "FR".to_owned(), expected: "DE".to_owned() };
        assert_eq!(with("300", "FR", good), Err(foreign.clone()));
        assert_eq!(with("300", "DE", "yesterday"), Err(GridError::Time("yesterday".to_owned())));
        assert_eq!(
            with("300", "DE", "2026-11-28T20:02:00Z"),
            Err(GridError::NoFigure),
            "the future is no figure for now"
        );
        assert_eq!(with("null", "DE", good), Err(GridError::NoFigure));
        for text in ["", "{}", "[]", "null", "<html>", r#"{"zone":"DE"}"#, r#"{"zone":7,"carbonIntensity":1}"#] {
            assert!(matches!(read(text), Err(GridError::Format(_))), "{text}");
        }
        assert!(matches!(with("\"300\"", "DE", good), Err(GridError::Format(_))));
        assert!(matches!(with("NaN", "DE", good), Err(GridError::Format(_))));
        let mixed = r#"{"zone":"DE","history":[{"zone":"FR","carbonIntensity":1,"datetime":"2026-11-28T20:00Z"}]}"#;
        assert_eq!(read(mixed), Err(foreign));
        assert_eq!(read_document(&vec![b' '; MAX_DOCUMENT_BYTES + 1], "DE", NOW), Err(GridError::TooLarge));
    }
}
