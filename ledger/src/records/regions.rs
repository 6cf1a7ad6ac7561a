//! Tables by region.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use std::collections::{BTreeMap, BTreeSet};

use crate::types::Region;

/// Carbon intensities, the access list and the vulnerable list, from genesis with their sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Regions {
    /// Milligrams of CO2e a kilowatt-hour.
    pub intensities_mg_per_kwh: BTreeMap<Region, u64>,
    /// For regions the table lacks.
    pub default_intensity_mg_per_kwh: u64,
    /// Regions whose requesters get the access discount.
    pub access_list: BTreeSet<Region>,
    /// Regions most exposed to the climate: their requesters' work comes sooner.
    #[serde(default)]
    pub vulnerable_list: BTreeSet<Region>,
    /// Where the tables come from.
    #[serde(default)]
    pub sources: Vec<TableSource>,
}

/// Where a table comes from.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TableSource {
    /// Which.
    pub table: String,
    /// Whose data.
    pub source: String,
    /// On what terms.
    pub licence: String,
}

impl Regions {
    /// The intensity of a region's grid.
    #[must_use]
    pub fn intensity_mg_per_kwh(&self, region: Region) -> u64 {
        self.intensities_mg_per_kwh.get(&region).copied().unwrap_or(self.default_intensity_mg_per_kwh)
    }
}
