//! The measured round trips this crate carries, and which class is given which of them.

use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use mesh30k_ledger::types::AgentClass;
use thiserror::Error;

use super::noise::{noise, normal, unit};

/// Where a series was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplaySource {
    /// Between personal devices (Seattle testbed): jitter, spikes of seconds.
    Seattle,
    /// Between universities (PlanetLab): calm.
    PlanetLab,
    /// Between servers in cities (WonderNetwork): from minimum, mean and maximum, the series itself is drawn.
    Cities,
    /// Between regions of one provider (AWS): from median and 0.9 quantile, the series itself is drawn.
    Aws,
}

/// Round trips of one pair, in the order measured.
#[derive(Clone, Debug)]
pub struct DelaySeries {
    /// Name in the data file.
    pub id: String,
    /// Where it was measured.
    pub source: ReplaySource,
    /// Round trips, microseconds; never empty.
    pub rtt_us: Arc<[u32]>,
}

/// All series and who may get them.
#[derive(Clone, Debug)]
pub struct Replay {
    series: Vec<DelaySeries>,
    by_class: [Vec<usize>; 6],
}

/// Why the embedded data cannot be used.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// Not gzip.
    #[error("{file}: not readable as gzip")]
    Gzip {
        /// Which file.
        file: &'static str,
        /// What the decoder said.
        #[source]
        source: std::io::Error,
    },
    /// A field that is no positive number.
    #[error("{file}, line {line}: {field:?} is not a round trip in milliseconds")]
    Field {
        /// Which file.
        file: &'static str,
        /// Which line, from one.
        line: usize,
        /// What stands there.
        field: String,
    },
    /// No series in the range of a class.
    #[error("no series fits class {0}")]
    NoSeries(AgentClass),
}

const SEATTLE: (&str, &[u8]) = ("seattle.csv.gz", include_bytes!("../../data/seattle.csv.gz"));
const PLANETLAB: (&str, &[u8]) = ("planetlab.csv.gz", include_bytes!("../../data/planetlab.csv.gz"));
const CITIES: (&str, &[u8]) = ("cities.csv.gz", include_bytes!("../../data/cities.csv.gz"));
const AWS: (&str, &[u8]) = ("aws.csv.gz", include_bytes!("../../data/aws.csv.gz"));
/// Fewest different samples of a Seattle series; below, nothing was measured but one figure.
const MIN_SAMPLES: usize = 8;
/// Samples drawn for a pair of which only summary figures were published.
const DRAWN_SAMPLES: u64 = 64;

impl DelaySeries {
    /// A series of a source that repeats a figure until it measures anew: only what is fresh counts. None when too little
    /// was measured.
    #[must_use]
    pub fn measured_anew(id: String, source: ReplaySource, mut samples: Vec<u32>) -> Option<Self> {
        samples.dedup();
        (samples.len() >= MIN_SAMPLES).then(|| Self { id, source, rtt_us: samples.into() })
    }
}

impl Replay {
    /// Reads the embedded files.
    ///
    /// # Errors
    /// [`ReplayError`] when a file does not hold what its name says; a test reads them all.
    pub fn embedded() -> Result<Self, ReplayError> {
        Self::from_series(Self::embedded_series()?)
    }

    /// The series of the embedded files.
    ///
    /// # Errors
    /// As [`Self::embedded`].
    pub fn embedded_series() -> Result<Vec<DelaySeries>, ReplayError> {
        let mut series = Vec::new();
        for (line, id, fields) in rows(SEATTLE)? {
            let samples = numbers(SEATTLE.0, line, &fields)?;
            series.extend(DelaySeries::measured_anew(id, ReplaySource::Seattle, samples));
        }
        for (line, id, fields) in rows(PLANETLAB)? {
            let rtt_us = numbers(PLANETLAB.0, line, &fields)?;
            series.push(DelaySeries { id, source: ReplaySource::PlanetLab, rtt_us: rtt_us.into() });
        }
        for (line, id, fields) in rows(CITIES)? {
            let &[mean, low, high, ..] = numbers(CITIES.0, line, &fields)?.as_slice() else {
                return Err(ReplayError::Field { file: CITIES.0, line, field: id });
            };
            let rtt_us = drawn_from_mean(line as u64, mean, low, high).into();
            series.push(DelaySeries { id, source: ReplaySource::Cities, rtt_us });
        }
        for (line, id, fields) in rows(AWS)? {
            let &[median, ninetieth, ..] = numbers(AWS.0, line, &fields)?.as_slice() else {
                return Err(ReplayError::Field { file: AWS.0, line, field: id });
            };
            let rtt_us = drawn_from_quantiles(line as u64, median, ninetieth).into();
            series.push(DelaySeries { id, source: ReplaySource::Aws, rtt_us });
        }
        Ok(series)
    }

    /// From any series; a class gets those whose smallest round trip lies in its range.
    ///
    /// # Errors
    /// [`ReplayError::NoSeries`] when a class would get none.
    pub fn from_series(series: Vec<DelaySeries>) -> Result<Self, ReplayError> {
        let mut by_class: [Vec<usize>; 6] = Default::default();
        for (class, list) in AgentClass::ALL.into_iter().zip(&mut by_class) {
            let fits = |s: &DelaySeries| range_of(class, s.source).is_some_and(|r| r.contains(&floor_us(s)));
            *list = series.iter().enumerate().filter(|(_, s)| fits(s)).map(|(index, _)| index).collect();
            if list.is_empty() {
                return Err(ReplayError::NoSeries(class));
            }
        }
        Ok(Self { series, by_class })
    }

    /// The series of `agent`: drawn by seed among those of its class.
    #[must_use]
    pub fn series_of(&self, seed: u64, agent: u64, class: AgentClass) -> Option<&DelaySeries> {
        let list = self.by_class.get(crate::event::class_index(class))?;
        let pick = noise(seed, agent, 0x5E1E, 0).checked_rem(list.len() as u64)?;
        self.series.get(*list.get(usize::try_from(pick).ok()?)?)
    }

    /// How many series a class draws from.
    #[must_use]
    pub fn choices(&self, class: AgentClass) -> usize {
        self.by_class.get(crate::event::class_index(class)).map_or(0, Vec::len)
    }
}

/// Smallest round trips, microseconds, that are plausible between a lead and an agent of the class.
///
/// A edge functions sit near their lead (cities under 16 ms); B, C and D in data centres and universities of the region
/// to the continent; E are personal devices, all of them, as they come; F are people behind any link.
fn range_of(class: AgentClass, source: ReplaySource) -> Option<std::ops::Range<u32>> {
    match (class, source) {
        (AgentClass::A, ReplaySource::Cities | ReplaySource::PlanetLab | ReplaySource::Aws) => Some(100..16_000),
        (AgentClass::B, ReplaySource::Cities | ReplaySource::PlanetLab | ReplaySource::Aws) => Some(8_000..70_000),
        (AgentClass::C | AgentClass::D, ReplaySource::Cities | ReplaySource::PlanetLab | ReplaySource::Aws) => {
            Some(15_000..110_000)
        }
        (AgentClass::E, ReplaySource::Seattle) => Some(0..u32::MAX),
        (AgentClass::F, ReplaySource::Cities | ReplaySource::Seattle) => Some(0..400_000),
        _ => None,
    }
}

fn floor_us(series: &DelaySeries) -> u32 {
    series.rtt_us.iter().copied().min().unwrap_or(u32::MAX)
}

/// Minimum plus an exponential queue with the published mean, cut at the published maximum; `label` names the pair.
#[must_use]
pub fn drawn_from_mean(label: u64, mean_us: u32, low_us: u32, high_us: u32) -> Vec<u32> {
    drawn(label, low_us, f64::from(mean_us.saturating_sub(low_us)), high_us)
}

/// A floor plus an exponential queue that has the published median and 0.9 quantile; `label` names the pair.
#[must_use]
pub fn drawn_from_quantiles(label: u64, median_us: u32, ninetieth_us: u32) -> Vec<u32> {
    // Of an exponential with mean q the median is q ln 2 and the 0.9 quantile q ln 10.
    let queue_us = f64::from(ninetieth_us.saturating_sub(median_us)) / 5.0_f64.ln();
    let floor_us = (f64::from(median_us) - queue_us * std::f64::consts::LN_2).max(100.0);
    drawn(label, floor_us as u32, queue_us, u32::MAX)
}

fn drawn(label: u64, low_us: u32, queue_us: f64, high_us: u32) -> Vec<u32> {
    let draw = |turn| {
        let rtt_us = f64::from(low_us) - queue_us * (1.0 - unit(noise(0xC171E5, label, turn, 0))).ln();
        rtt_us.clamp(f64::from(low_us), f64::from(high_us.max(low_us))) as u32
    };
    (0..DRAWN_SAMPLES).map(draw).collect()
}

type Row = (usize, String, Vec<String>);

fn rows((file, bytes): (&'static str, &'static [u8])) -> Result<Vec<Row>, ReplayError> {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).map_err(|source| ReplayError::Gzip { file, source })?;
    let parse = |(index, line): (usize, &str)| {
        let mut fields = line.split(',');
        let id = fields.next()?.to_owned();
        Some((index.saturating_add(1), id, fields.skip(1).map(str::to_owned).collect()))
    };
    Ok(text.lines().enumerate().skip(1).filter_map(parse).collect())
}

fn numbers(file: &'static str, line: usize, fields: &[String]) -> Result<Vec<u32>, ReplayError> {
    fields
        .iter()
        .map(|field| match field.trim().parse::<f64>() {
            Ok(ms) if (0.0..=100_000.0).contains(&ms) => Ok((ms * 1_000.0).round() as u32),
            _ => Err(ReplayError::Field { file, line, field: field.clone() }),
        })
        .collect()
}

/// Twice the forward share minus one: normal with the deviation at which 11 % of paths differ by more than a tenth
/// (`arrival.md` (b): 0.1 / 1.598).
pub(super) fn asymmetry(seed: u64, agent: u64) -> f64 {
    (0.062_6 * normal(noise(seed, agent, 0xA5F3, 0))).clamp(-0.3, 0.3)
}
