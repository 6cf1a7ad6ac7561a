//! The result of the shipped module `carbon_aggregate`: reading it and merging slices.

use std::collections::BTreeMap;

/// Bytes before the first entry.
const HEADER_BYTES: usize = 24;
/// Bytes of one entry.
const ENTRY_BYTES: usize = 48;
/// Entries a slice can hold.
const MAX_ENTRIES: usize = 64;
/// First bytes of every result.
const MAGIC: &[u8; 4] = b"MCA1";

/// Bytes that are not a result of the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// The first bytes are others.
    #[error("not a carbon aggregate: it does not begin with MCA1")]
    Magic,
    /// The length does not fit the number of entries.
    #[error("a carbon aggregate of {entries} entries (at most 64) has {expected} bytes, not {length}")]
    Length {
        /// Number of entries it claims.
        entries: usize,
        /// Bytes it should have.
        expected: usize,
        /// Bytes it has.
        length: usize,
    },
    /// An entry's name is not text or the names are not in rising order.
    #[error("entry {index} of a carbon aggregate has a name that is not text or out of order")]
    Name {
        /// Which entry.
        index: usize,
    },
    /// A sum left its range; impossible for real data.
    #[error("merging carbon aggregates: a sum is too large")]
    Overflow,
}

/// What is known of one balancing authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// Hours with a value.
    pub hours: u64,
    /// Hours without one.
    pub missing_hours: u64,
    /// Sum of the hourly values, mg/kWh.
    pub sum_mg_per_kwh: u64,
    /// Smallest value, mg/kWh; `u64::MAX` if there is none.
    pub min_mg_per_kwh: u64,
    /// Largest value, mg/kWh; 0 if there is none.
    pub max_mg_per_kwh: u64,
}

impl Authority {
    /// Mean over the hours with a value, mg/kWh, rounded down; none without such hours.
    #[must_use]
    pub fn mean_mg_per_kwh(&self) -> Option<u64> {
        self.sum_mg_per_kwh.checked_div(self.hours)
    }

    fn merged(self, other: Self) -> Option<Self> {
        Some(Self {
            hours: self.hours.checked_add(other.hours)?,
            missing_hours: self.missing_hours.checked_add(other.missing_hours)?,
            sum_mg_per_kwh: self.sum_mg_per_kwh.checked_add(other.sum_mg_per_kwh)?,
            min_mg_per_kwh: self.min_mg_per_kwh.min(other.min_mg_per_kwh),
            max_mg_per_kwh: self.max_mg_per_kwh.max(other.max_mg_per_kwh),
        })
    }
}

/// One slice's result, or several merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CarbonAggregate {
    /// Data lines read.
    pub lines: u64,
    /// Of these, lines refused as malformed.
    pub refused: u64,
    /// By name of the balancing authority.
    pub authorities: BTreeMap<String, Authority>,
}

impl CarbonAggregate {
    /// Reads the module's output.
    ///
    /// # Errors
    /// [`AggregateError`] for bytes the module can't have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, AggregateError> {
        if bytes.get(..4) != Some(MAGIC.as_slice()) {
            return Err(AggregateError::Magic);
        }
        let entries = bytes.get(4..8).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
        let expected = ENTRY_BYTES.saturating_mul(entries).saturating_add(HEADER_BYTES);
        if entries > MAX_ENTRIES || expected != bytes.len() {
            return Err(AggregateError::Length { entries, expected, length: bytes.len() });
        }
        let mut words = bytes
            .get(8..)
            .unwrap_or_default()
            .chunks_exact(8)
            .map(|word| word.try_into().map_or(0, u64::from_le_bytes));
        let mut word = || words.next().unwrap_or(0);
        let mut aggregate = Self { lines: word(), refused: word(), authorities: BTreeMap::new() };
        let mut previous = 0;
        for index in 0..entries {
            let packed = word();
            let name = unpack(packed).filter(|_| packed > previous).ok_or(AggregateError::Name { index })?;
            previous = packed;
            let authority = Authority {
                hours: word(),
                missing_hours: word(),
                sum_mg_per_kwh: word(),
                min_mg_per_kwh: word(),
                max_mg_per_kwh: word(),
            };
            aggregate.authorities.insert(name, authority);
        }
        Ok(aggregate)
    }

    /// Adds another slice; the order of slices does not matter.
    ///
    /// # Errors
    /// [`AggregateError::Overflow`]; this aggregate is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), AggregateError> {
        let mut next = self.clone();
        next.lines = next.lines.checked_add(other.lines).ok_or(AggregateError::Overflow)?;
        next.refused = next.refused.checked_add(other.refused).ok_or(AggregateError::Overflow)?;
        for (name, theirs) in &other.authorities {
            let merged = match next.authorities.get(name) {
                Some(ours) => ours.merged(*theirs).ok_or(AggregateError::Overflow)?,
                None => *theirs,
            };
            next.authorities.insert(name.clone(), merged);
        }
        *self = next;
        Ok(())
    }
}

/// The text of a packed name: first letter in the top byte, zeros after the last.
fn unpack(packed: u64) -> Option<String> {
    let bytes = packed.to_be_bytes();
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (name, padding) = bytes.split_at(len);
    let valid = !name.is_empty() && name.iter().all(u8::is_ascii_graphic) && padding.iter().all(|byte| *byte == 0);
    valid.then(|| String::from_utf8_lossy(name).into_owned())
}
