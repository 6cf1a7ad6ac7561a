//! The recorded day: requests, jobs, grids.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::GzDecoder;
use mesh30k_ledger::types::TimeMs;
use mesh30k_node::grid::parse_instant;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::day::ReplayError;

const GRIDS: &[u8] = include_bytes!("../../data/carbon_hourly_us.csv.gz");
const REQUESTS: &[u8] = include_bytes!("../../data/llm_requests.csv.gz");
const JOBS: &[u8] = include_bytes!("../../data/cluster_jobs.csv.gz");
/// Bytes of one set unpacked, at most.
const UNPACKED_MAX: u64 = 16 * 1_024 * 1_024;
/// A day, milliseconds.
pub(super) const DAY_MS: u64 = 86_400_000;
/// An hour, milliseconds.
pub(super) const HOUR_MS: u64 = 3_600_000;
/// What one token of a prompt and one of an answer take, microseconds: an assumption, the trace has no durations.
const CONTEXT_TOKEN_US: u64 = 250;
const GENERATED_TOKEN_US: u64 = 30_000;
/// Days of jobs that there are.
const JOB_DAYS: u64 = 28;
/// Jobs last three days at most, so that many days before a day may still run on it.
const JOB_DAYS_BEFORE: u64 = 3;

/// Something to be done and paid: a request, or an hour of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// When it is done, milliseconds into the day.
    pub(super) ends_ms: u64,
    /// How long it took.
    pub(super) wall_us: u64,
    /// On how many processors.
    pub(super) cpus: u64,
    /// The job it is of; none for a request.
    pub(super) job: Option<u32>,
}

/// The recorded day.
#[derive(Debug)]
pub(super) struct Day {
    /// Its beginning.
    pub(super) starts: TimeMs,
    /// In order of their ends.
    pub(super) pieces: Vec<Piece>,
    /// How many jobs run in it.
    pub(super) jobs: u32,
    /// Milligrams a kilowatt-hour of each grid by hour of the day; none where not reported.
    pub(super) grids: BTreeMap<String, [Option<f64>; 24]>,
}

#[derive(Deserialize)]
struct RequestRow {
    t_ms: f64,
    context_tokens: u64,
    generated_tokens: u64,
}

#[derive(Deserialize)]
struct JobRow {
    arrival_s: u64,
    length_s: u64,
    cpus: u64,
}

#[derive(Deserialize)]
struct GridRow {
    ts_utc: String,
    ba: String,
    ci_g_per_kwh: Option<f64>,
}

impl Day {
    /// The day that begins with this date.
    pub(super) fn load(date: &str) -> Result<Self, ReplayError> {
        let starts = parse_instant(&format!("{date}T00:00Z")).ok_or_else(|| ReplayError::Date(date.to_owned()))?;
        let grids = grids(date)?;
        if grids.is_empty() {
            return Err(ReplayError::Date(date.to_owned()));
        }
        let mut pieces = requests()?;
        let jobs = jobs(starts.0 / DAY_MS, &mut pieces)?;
        pieces.sort_by_key(|piece| (piece.ends_ms, piece.job, piece.wall_us));
        Ok(Self { starts, pieces, jobs, grids })
    }

    /// Mean of the grids that report in an hour, grams a kilowatt-hour.
    pub(super) fn mean(&self, hour: usize) -> Option<f64> {
        let known: Vec<f64> = self.grids.values().filter_map(|hours| hours.get(hour).copied().flatten()).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }
}

/// The trace of 38 minutes, stretched over the day.
fn requests() -> Result<Vec<Piece>, ReplayError> {
    let rows: Vec<RequestRow> = rows("requests", REQUESTS)?;
    let span_ms = rows.iter().map(|row| row.t_ms).fold(1.0, f64::max);
    let piece = |row: &RequestRow| {
        let wall_us = row.context_tokens * CONTEXT_TOKEN_US + row.generated_tokens * GENERATED_TOKEN_US;
        // The last request ends within the day.
        let begins_ms = (row.t_ms / span_ms * (DAY_MS - 60_000) as f64) as u64;
        Piece { ends_ms: (begins_ms + wall_us / 1_000).min(DAY_MS - 1), wall_us, cpus: 1, job: None }
    };
    Ok(rows.iter().map(piece).collect())
}

/// Every job that runs on the day, cut at the full hours; what runs on after midnight is left to the next day.
fn jobs(epoch_day: u64, pieces: &mut Vec<Piece>) -> Result<u32, ReplayError> {
    let day = JOB_DAYS_BEFORE + epoch_day % (JOB_DAYS - JOB_DAYS_BEFORE);
    let (from_s, to_s) = (day * 86_400, (day + 1) * 86_400);
    let mut jobs = 0;
    for row in rows::<JobRow>("jobs", JOBS)? {
        let (begins, ends) = (row.arrival_s.max(from_s), (row.arrival_s + row.length_s).min(to_s));
        if begins >= ends {
            continue;
        }
        let mut at = begins;
        while at < ends {
            let until = ends.min((at / 3_600 + 1) * 3_600);
            pieces.push(Piece {
                // A millisecond early, so that an hour's last piece is paid in that hour.
                ends_ms: (until - from_s) * 1_000 - 1,
                wall_us: (until - at) * 1_000_000,
                cpus: row.cpus,
                job: Some(jobs),
            });
            at = until;
        }
        jobs += 1;
    }
    Ok(jobs)
}

fn grids(date: &str) -> Result<BTreeMap<String, [Option<f64>; 24]>, ReplayError> {
    let mut grids: BTreeMap<String, [Option<f64>; 24]> = BTreeMap::new();
    for row in rows::<GridRow>("grids", GRIDS)?.into_iter().filter(|row| row.ts_utc.starts_with(date)) {
        let hour = row.ts_utc.get(11..13).and_then(|hour| hour.parse::<usize>().ok());
        let hours = grids.entry(row.ba).or_default();
        if let Some(slot) = hour.and_then(|hour| hours.get_mut(hour)) {
            *slot = row.ci_g_per_kwh;
        }
    }
    Ok(grids)
}

fn rows<T: DeserializeOwned>(set: &'static str, packed: &[u8]) -> Result<Vec<T>, ReplayError> {
    let mut text = Vec::new();
    let damaged = |reason: String| ReplayError::Data { set, reason };
    GzDecoder::new(packed).take(UNPACKED_MAX).read_to_end(&mut text).map_err(|error| damaged(error.to_string()))?;
    let mut reader = csv::Reader::from_reader(text.as_slice());
    reader.deserialize().collect::<Result<_, _>>().map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_requests_its_job_hours_and_six_grids() {
        let day = Day::load("2022-06-13").unwrap();
        assert_eq!(day.pieces.iter().filter(|piece| piece.job.is_none()).count(), 13_556);
        assert!(day.jobs > 400, "{}", day.jobs);
        assert!(day.pieces.iter().all(|piece| piece.ends_ms < DAY_MS && piece.wall_us > 0 && piece.cpus > 0));
        assert!(day.pieces.is_sorted_by_key(|piece| piece.ends_ms));
        let hours = day.pieces.iter().filter(|piece| piece.job.is_some()).map(|piece| piece.wall_us);
        assert!(hours.max() == Some(3_600_000_000), "no piece of a job is longer than an hour");
        assert_eq!(day.grids.len(), 6);
        let missing: Vec<_> = day
            .grids
            .iter()
            .flat_map(|(name, hours)| {
                hours
                    .iter()
                    .enumerate()
                    .filter(|(_, value)| value.is_none())
                    .map(move |(hour, _)| (name.as_str(), hour))
            })
            .collect();
        assert_eq!(missing, [("CISO", 18)], "the hour that was not reported");
        assert!(day.mean(18).is_some());
    }

    #[test]
    fn days_without_data_are_refused() {
        for date in ["2022-09-01", "2021-12-31", "2022-02-30", "today", ""] {
            assert!(matches!(Day::load(date), Err(ReplayError::Date(_))), "{date}");
        }
    }
}
