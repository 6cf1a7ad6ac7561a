//! Tables by region.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use std::collections::{BTreeMap, BTreeSet};

use crate::types::Region;

/// Carbon intensities and the access list, from genesis with their sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Regions {
    /// Milligrams of CO2e a kilowatt-hour.
    pub intensities_mg_per_kwh: BTreeMap<Region, u64>,
    /// For regions the table lacks.
    pub default_intensity_mg_per_kwh: u64,
    /// Regions whose requesters get the access discount.
    pub access_list: BTreeSet<Region>,
}

impl Regions {
    /// The intensity of a region's grid.
    #[must_use]
    pub fn intensity_mg_per_kwh(&self, region: Region) -> u64 {
        self.intensities_mg_per_kwh.get(&region).copied().unwrap_or(self.default_intensity_mg_per_kwh)
    }
}
