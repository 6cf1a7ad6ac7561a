//! Grid intensities by the median of oracles.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::records::{IntensityRecord, IntensityWord, Office, Regions};
use crate::state::{StateError, keyspace};
use crate::types::{Region, TimeMs};

/// The highest intensity that is believed: 2 kg/kWh, half again above the dirtiest grid on record.
pub const MAX_INTENSITY_MG_PER_KWH: u64 = 2_000_000;
/// A stated intensity is believed down to this fraction of the one in force: hourly figures swing about an average.
pub const INTENSITY_FLOOR: u64 = 4;
/// One window of the bounded step: an hour.
pub const WINDOW_MS: u64 = 3_600_000;

/// The least intensity a receipt may state where this one is in force.
#[must_use]
pub const fn least_believed(in_force_mg_per_kwh: u64) -> u64 {
    in_force_mg_per_kwh.div_ceil(INTENSITY_FLOOR)
}

/// One oracle's word on a region's grid. It counts until the oracle says otherwise or it is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ReportIntensity {
    /// Where.
    pub region: Region,
    /// Milligrams of CO2e a kilowatt-hour, at most [`MAX_INTENSITY_MG_PER_KWH`].
    pub mg_per_kwh: u64,
}

impl ReportIntensity {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("mg_per_kwh", self.mg_per_kwh, 0, MAX_INTENSITY_MG_PER_KWH)?;
        working.must_hold(Office::Oracle, &call.account)?;
        let (key, now) = (keyspace::intensity(self.region), working.now);
        let table = table_intensity(working, self.region)?;
        let mut record = working.read(&key)?.unwrap_or_else(|| IntensityRecord {
            mg_per_kwh: table,
            updated_at: None,
            window_mg_per_kwh: table,
            window_since: now,
            reports: std::collections::BTreeMap::new(),
        });
        record.reports.insert(call.account, IntensityWord { mg_per_kwh: self.mg_per_kwh, at: now });
        let fresh_ms = working.parameter(Parameter::OracleFreshMs);
        record.reports.retain(|_, word| now.since_ms(word.at) <= fresh_ms);
        let words = record.reports.len() as u64;
        if words >= working.parameter(Parameter::OracleReports) {
            let step_ppm = working.parameter(Parameter::OracleStepPpm);
            settle(&mut record, now, step_ppm);
        }
        let in_force = record.mg_per_kwh;
        working.write(key, &record);
        Ok(Effect::IntensityReported { region: self.region, words, in_force })
    }
}

/// Moves the intensity to the median of the words, by no more than a step from where the window began.
fn settle(record: &mut IntensityRecord, now: TimeMs, step_ppm: u64) {
    if now.since_ms(record.window_since) >= WINDOW_MS {
        (record.window_mg_per_kwh, record.window_since) = (record.mg_per_kwh, now);
    }
    let mut words: Vec<u64> = record.reports.values().map(|word| word.mg_per_kwh).collect();
    words.sort_unstable();
    // The lower of two in the middle: nobody gains from an even number.
    let median = words.get(words.len().saturating_sub(1) >> 1).copied().unwrap_or(record.mg_per_kwh);
    let from = record.window_mg_per_kwh;
    let step = u128::from(from).saturating_mul(u128::from(step_ppm)).div_ceil(1_000_000);
    // At least a gram, so that a grid once at nothing can rise again.
    let step = u64::try_from(step).unwrap_or(u64::MAX).max(1_000);
    record.mg_per_kwh = median.clamp(from.saturating_sub(step), from.saturating_add(step));
    record.updated_at = Some(now);
}

fn table_intensity(working: &Working<'_>, region: Region) -> Result<u64, StateError> {
    let regions: Regions = working.must_read(keyspace::REGIONS)?;
    Ok(regions.intensity_mg_per_kwh(region))
}

/// The intensity in force: by oracles while their median is fresh, else the table's.
pub(crate) fn in_force(working: &Working<'_>, region: Region) -> Result<u64, StateError> {
    let fresh_ms = working.parameter(Parameter::OracleFreshMs);
    let record: Option<IntensityRecord> = working.read(&keyspace::intensity(region))?;
    match record.filter(|record| record.is_fresh(working.now, fresh_ms)) {
        Some(record) => Ok(record.mg_per_kwh),
        None => table_intensity(working, region),
    }
}
