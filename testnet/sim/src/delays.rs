//! Delay series from a file of the same form as the published sets or as the embedded ones.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use mesh30k_core::hosted::{DelaySeries, Replay, ReplaySource, drawn_from_mean, drawn_from_quantiles};
use thiserror::Error;

use crate::config::SimError;

/// Largest file that is read, unpacked.
const MAX_BYTES: u64 = 256 << 20;
/// Largest round trip, milliseconds.
const MAX_MS: f64 = 100_000.0;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why a file of delays is refused.
#[derive(Debug, Error)]
pub enum DelayFileError {
    /// It cannot be read.
    #[error("{path}: cannot be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is larger than allowed.
    #[error("{path}: more than {} MiB unpacked", MAX_BYTES >> 20)]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// Its first line is none of the known ones.
    #[error(
        "{path}: its first line names no known columns; known are those of latency-seattle (slice,src,d0,...), \
         latency-cities (src,dst,km,avg_ms,min_ms,max_ms,mdev_ms), latency-aws (src,dst,p50_ms,p90_ms), of the \
         product's own files (series_id,kind,...), and the triangles of latency-planetlab, which have none"
    )]
    Columns {
        /// Which file.
        path: PathBuf,
    },
    /// A field that is no round trip.
    #[error("{path}, line {line}: {field:?} is not a round trip of 0 to {MAX_MS} milliseconds")]
    Field {
        /// Which file.
        path: PathBuf,
        /// Which line, from one.
        line: usize,
        /// What stands there.
        field: String,
    },
    /// Nothing in it can be used.
    #[error("{path}: no series in it has enough figures")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

/// The embedded series with those of every source that a file brings put in their place.
///
/// # Errors
/// [`SimError::Delays`] when a file cannot be used; [`SimError::Replay`] when a class has no series left.
pub fn replay_with(files: &[PathBuf]) -> Result<Arc<Replay>, SimError> {
    let mut series = Replay::embedded_series()?;
    let mut given = Vec::new();
    for path in files {
        given.extend(read(path)?);
    }
    series.retain(|s| !given.iter().any(|g: &DelaySeries| g.source == s.source));
    series.extend(given);
    Ok(Arc::new(Replay::from_series(series)?))
}

fn read(path: &Path) -> Result<Vec<DelaySeries>, DelayFileError> {
    let text = text_of(path)?;
    let table = Table { path, text: &text };
    let heading = text.lines().next().unwrap_or_default();
    let series = match heading.split(',').take(4).collect::<Vec<_>>().as_slice() {
        ["slice", "src", "d0", ..] => table.seattle()?,
        ["src", "dst", "km", "avg_ms"] => table.cities()?,
        ["src", "dst", "p50_ms", ..] => table.aws()?,
        ["series_id", "kind", first, ..] => table.own(first)?,
        [first, ..] if first.parse::<f64>().is_ok() => table.planetlab()?,
        _ => return Err(DelayFileError::Columns { path: path.to_owned() }),
    };
    if series.is_empty() { Err(DelayFileError::Empty { path: path.to_owned() }) } else { Ok(series) }
}

fn text_of(path: &Path) -> Result<String, DelayFileError> {
    let refuse = |source| DelayFileError::Read { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(refuse)?;
    let mut text = String::new();
    let read = if bytes.starts_with(&GZIP_MAGIC) {
        GzDecoder::new(bytes.as_slice()).take(MAX_BYTES + 1).read_to_string(&mut text)
    } else {
        bytes.as_slice().take(MAX_BYTES + 1).read_to_string(&mut text)
    };
    let length = read.map_err(refuse)? as u64;
    if length > MAX_BYTES { Err(DelayFileError::TooLarge { path: path.to_owned() }) } else { Ok(text) }
}

/// A file with its text.
struct Table<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Table<'_> {
    /// One row a slice and source: the series of a pair goes down the file. Zero is short or not measured, so it is missing.
    fn seattle(&self) -> Result<Vec<DelaySeries>, DelayFileError> {
        let mut pairs: BTreeMap<(usize, usize), Vec<u32>> = BTreeMap::new();
        for (line, text) in self.rows() {
            let mut fields = text.split(',').skip(1);
            let source = fields.next().unwrap_or_default();
            let from: usize = source.parse().map_err(|_| self.refuse(line, source))?;
            for (to, field) in fields.enumerate().filter(|(to, _)| *to != from) {
                let rtt_us = self.rtt_us(line, field)?;
                if rtt_us > 0 {
                    pairs.entry((from, to)).or_default().push(rtt_us);
                }
            }
        }
        let series = |((from, to), samples)| {
            DelaySeries::measured_anew(format!("seattle-{from}-{to}"), ReplaySource::Seattle, samples)
        };
        Ok(pairs.into_iter().filter_map(series).collect())
    }

    fn cities(&self) -> Result<Vec<DelaySeries>, DelayFileError> {
        self.summaries("cities", ReplaySource::Cities, 3, |label, stats| match *stats {
            [mean, low, high, ..] => drawn_from_mean(label, mean, low, high),
            _ => Vec::new(),
        })
    }

    fn aws(&self) -> Result<Vec<DelaySeries>, DelayFileError> {
        self.summaries("aws", ReplaySource::Aws, 2, |label, stats| match *stats {
            [median, ninetieth, ..] => drawn_from_quantiles(label, median, ninetieth),
            _ => Vec::new(),
        })
    }

    /// Two names, then figures from column `skip` on.
    fn summaries(
        &self,
        name: &str,
        source: ReplaySource,
        skip: usize,
        draw: impl Fn(u64, &[u32]) -> Vec<u32>,
    ) -> Result<Vec<DelaySeries>, DelayFileError> {
        let mut series = Vec::new();
        for (line, text) in self.rows() {
            let fields: Vec<&str> = text.split(',').collect();
            let [from, to, ..] = fields.as_slice() else { return Err(self.refuse(line, text)) };
            let stats = self.numbers(line, fields.iter().skip(skip).copied())?;
            let drawn = draw(line as u64, &stats);
            if from != to && drawn.is_empty() {
                return Err(self.refuse(line, text));
            }
            if from != to || source == ReplaySource::Aws {
                series.push(DelaySeries { id: format!("{name}-{from}>{to}"), source, rtt_us: drawn.into() });
            }
        }
        Ok(series)
    }

    /// The product's own form: a name, a kind, then samples or summary figures; the first column says which.
    fn own(&self, first: &str) -> Result<Vec<DelaySeries>, DelayFileError> {
        let mut series = Vec::new();
        for (line, text) in self.rows() {
            let mut fields = text.split(',');
            let id = fields.next().unwrap_or_default().to_owned();
            let stats = self.numbers(line, fields.skip(1))?;
            match (first, stats.as_slice()) {
                ("avg_ms", [mean, low, high, ..]) => {
                    let rtt_us = drawn_from_mean(line as u64, *mean, *low, *high).into();
                    series.push(DelaySeries { id, source: ReplaySource::Cities, rtt_us });
                }
                ("p50_ms", [median, ninetieth, ..]) => {
                    let rtt_us = drawn_from_quantiles(line as u64, *median, *ninetieth).into();
                    series.push(DelaySeries { id, source: ReplaySource::Aws, rtt_us });
                }
                (_, []) | ("avg_ms" | "p50_ms", _) => return Err(self.refuse(line, text)),
                _ if id.starts_with("planetlab") => {
                    series.push(DelaySeries { id, source: ReplaySource::PlanetLab, rtt_us: stats.into() });
                }
                _ => series.extend(DelaySeries::measured_anew(id, ReplaySource::Seattle, stats)),
            }
        }
        Ok(series)
    }

    /// An upper triangle: one figure a pair, so the distances of its row's neighbours stand for its jitter: none.
    fn planetlab(&self) -> Result<Vec<DelaySeries>, DelayFileError> {
        let mut series = Vec::new();
        for (index, text) in self.text.lines().enumerate() {
            for (distance, rtt_us) in self.numbers(index + 1, text.split(','))?.into_iter().enumerate() {
                let id = format!("planetlab-{index}-{}", index + 1 + distance);
                series.push(DelaySeries { id, source: ReplaySource::PlanetLab, rtt_us: Arc::from([rtt_us]) });
            }
        }
        Ok(series)
    }

    /// Line numbers from one, without the heading.
    fn rows(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().skip(1).map(|(index, text)| (index + 1, text))
    }

    fn numbers<'f>(&self, line: usize, fields: impl Iterator<Item = &'f str>) -> Result<Vec<u32>, DelayFileError> {
        fields.map(|field| self.rtt_us(line, field)).collect()
    }

    fn rtt_us(&self, line: usize, field: &str) -> Result<u32, DelayFileError> {
        match field.trim().parse::<f64>() {
            Ok(ms) if (0.0..=MAX_MS).contains(&ms) => Ok((ms * 1_000.0).round() as u32),
            _ => Err(self.refuse(line, field)),
        }
    }

    fn refuse(&self, line: usize, field: &str) -> DelayFileError {
        DelayFileError::Field { path: self.path.to_owned(), line, field: field.chars().take(40).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table<'_> {
        Table { path: Path::new("given.csv"), text }
    }

    #[test]
    fn every_published_form_is_read() {
        let slices: String = (0..10).map(|k| format!("{k},0,0,{},0\n", 100 + 10 * (k % 3))).collect();
        let seattle = table(&format!("slice,src,d0,d1,d2\n{slices}")).seattle().unwrap();
        // Of 0 -> 2 nothing was ever measured.
        assert_eq!(seattle.len(), 1);
        assert_eq!(seattle[0].rtt_us[..3], [100_000, 110_000, 120_000]);
        let cities = table("src,dst,km,avg_ms,min_ms,max_ms,mdev_ms\nA,B,5,12.5,10,20,1\n").cities().unwrap();
        assert!(cities[0].rtt_us.iter().all(|us| (10_000..=20_000).contains(us)));
        let aws = table("src,dst,p50_ms,p90_ms\na,a,2.0,4.0\n").aws().unwrap();
        let mut drawn = aws[0].rtt_us.to_vec();
        drawn.sort_unstable();
        assert!((1_500..2_800).contains(&drawn[drawn.len() / 2]), "{drawn:?}");
        assert_eq!(table("1.5,2.5\n3.5\n").planetlab().unwrap().len(), 3);
    }

    #[test]
    fn a_bad_field_is_named_with_its_line() {
        let error = table("src,dst,p50_ms,p90_ms\na,b,2,x\n").aws().unwrap_err();
        assert_eq!(error.to_string(), "given.csv, line 2: \"x\" is not a round trip of 0 to 100000 milliseconds");
        assert!(table("src,dst,p50_ms,p90_ms\na,b,2,-1\n").aws().is_err());
        assert!(table("series_id,kind,avg_ms\nx,rtt_ms_stats,1\n").own("avg_ms").is_err());
    }
}
