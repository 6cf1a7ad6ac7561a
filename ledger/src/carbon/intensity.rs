//! Which intensity holds for a region, and on whose word.

use serde::{Deserialize, Serialize};

use crate::parameters::Parameter;
use crate::query;
use crate::state::{StateError, StateRead};
use crate::types::{Region, TimeMs};

/// On what an intensity rests, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "basis", rename_all = "snake_case")]
pub enum IntensityBasis {
    /// The median of oracles, fresh.
    Oracles {
        /// Words it came from.
        words: u64,
        /// When it last came about.
        updated_at: TimeMs,
    },
    /// The genesis table's yearly average of the country.
    AnnualAverage,
    /// The table lacks the country: the mean of all countries stands in for it.
    Fallback,
}

/// The intensity of a region's grid and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntensityInForce {
    /// Where.
    pub region: Region,
    /// Milligrams of CO2e a kilowatt-hour.
    pub mg_per_kwh: u64,
    /// On what it rests.
    #[serde(flatten)]
    pub basis: IntensityBasis,
    /// When oracles last agreed, if they did and it is too long ago to count.
    pub stale_since: Option<TimeMs>,
    /// What the genesis table says of the country, if anything.
    pub table_mg_per_kwh: Option<u64>,
}

/// What holds for a region at the state's time.
///
/// # Errors
/// State that cannot be read.
pub fn intensity(state: &dyn StateRead, region: Region) -> Result<IntensityInForce, StateError> {
    let (now, fresh_ms) = (query::tip(state)?.time, query::parameter(state, Parameter::OracleFreshMs)?);
    let regions = query::regions(state)?;
    let table_mg_per_kwh = regions.intensities_mg_per_kwh.get(&region).copied();
    let reported = query::reported_intensity(state, region)?.filter(|record| record.updated_at.is_some());
    let (fresh, stale) = match reported {
        Some(record) if record.is_fresh(now, fresh_ms) => (Some(record), None),
        other => (None, other),
    };
    let (mg_per_kwh, basis) = match (&fresh, table_mg_per_kwh) {
        (Some(record), _) => {
            let updated_at = record.updated_at.unwrap_or_default();
            (record.mg_per_kwh, IntensityBasis::Oracles { words: record.reports.len() as u64, updated_at })
        }
        (None, Some(mg)) => (mg, IntensityBasis::AnnualAverage),
        (None, None) => (regions.default_intensity_mg_per_kwh, IntensityBasis::Fallback),
    };
    let stale_since = stale.and_then(|record| record.updated_at);
    Ok(IntensityInForce { region, mg_per_kwh, basis, stale_since, table_mg_per_kwh })
}
