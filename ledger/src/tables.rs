//! Public data as genesis tables: carbon intensities, the access list, the vulnerable list. What a chain's genesis holds decides;
//! these only fill it. Sources, licences and how the files were made: `data/README.md`, `odbl/data/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::records::{Regions, TableSource};
use crate::types::Region;

const INTENSITIES: &str = include_str!("../data/carbon_intensity.csv");
const COUNTRIES: &str = include_str!("../data/countries.csv");
const CLOUD_REGIONS: &str = include_str!("../data/cloud_regions.csv");
const ZONES: &str = include_str!("../odbl/data/zones.csv");

/// From this ND-GAIN vulnerability on (0 to 1, here parts per million) a country is in the vulnerable list.
pub const VULNERABLE_FROM_PPM: u32 = 500_000;
/// So many of three signs put a country that is not of high income in the access list.
pub const ACCESS_SIGNS: usize = 2;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{table}, line {line}: `{text}` is not {form}")]
pub struct TableError {
    /// Which file.
    pub table: &'static str,
    /// Its line, from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// What should.
    pub form: &'static str,
}

/// What is known of a country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Country {
    /// Which.
    pub region: Region,
    /// A state of its own.
    pub independent: bool,
    /// Among the least developed countries of the United Nations.
    pub least_developed: bool,
    /// Among their small island developing states.
    pub small_island: bool,
    /// "Developing" in their last list of regions (2020).
    pub developing: bool,
    /// World Bank income group: HIC, UMC, LMC, LIC; empty where unclassified.
    pub income: String,
    /// In the Group of 77 (2020).
    pub g77: bool,
    /// ND-GAIN vulnerability, parts per million.
    pub vulnerability_ppm: Option<u32>,
}

impl Country {
    /// The rule of the access list: least developed; or not of high income and at least [`ACCESS_SIGNS`] of: in the Group of 77,
    /// developing by the United Nations, of low or middle income.
    #[must_use]
    pub fn has_access(&self) -> bool {
        let middle_or_low = ["LIC", "LMC", "UMC"].contains(&self.income.as_str());
        let signs = [self.g77, self.developing, middle_or_low].into_iter().filter(|sign| *sign).count();
        self.least_developed || (self.income != "HIC" && signs >= ACCESS_SIGNS)
    }

    /// The rule of the vulnerable list: vulnerability from [`VULNERABLE_FROM_PPM`] on, or an independent small island state that
    /// is not of high income (the index lacks the smallest).
    #[must_use]
    pub fn is_vulnerable(&self) -> bool {
        self.vulnerability_ppm.is_some_and(|ppm| ppm >= VULNERABLE_FROM_PPM)
            || (self.small_island && self.independent && self.income != "HIC")
    }
}

/// A data centre region of a cloud, or an electricity zone: yearly averages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridAverage {
    /// Milligrams of CO2e a kilowatt-hour.
    pub mg_per_kwh: u64,
    /// Carbon-free share in parts per million (for a cloud: its purchases included), where known.
    pub carbon_free_ppm: Option<u32>,
    /// Of which year.
    pub year: u16,
}

/// The tables of a genesis. A country without an intensity gets the plain mean of those that have one.
///
/// # Errors
/// A damaged file.
pub fn regions() -> Result<Regions, TableError> {
    let mut intensities = BTreeMap::new();
    let form = "COUNTRY,MG_PER_KWH,YEAR";
    for (line, fields) in rows::<3>("carbon intensities", INTENSITIES, form) {
        let [country, mg, _] = fields.map_err(|error| line.refuse(error))?;
        intensities.insert(line.read(country)?, line.read(mg)?);
    }
    let sum = intensities.values().fold(0_u64, |sum, mg| sum.saturating_add(*mg));
    let default_intensity_mg_per_kwh = sum.checked_div(intensities.len() as u64).unwrap_or(0);
    let countries = countries()?;
    let of =
        |rule: fn(&Country) -> bool| countries.iter().filter(|c| rule(c)).map(|c| c.region).collect::<BTreeSet<_>>();
    Ok(Regions {
        intensities_mg_per_kwh: intensities,
        default_intensity_mg_per_kwh,
        access_list: of(Country::has_access),
        vulnerable_list: of(Country::is_vulnerable),
        sources: sources(),
    })
}

/// Every country of ISO 3166-1.
///
/// # Errors
/// A damaged file.
pub fn countries() -> Result<Vec<Country>, TableError> {
    let form = "COUNTRY,INDEPENDENT,LDC,SIDS,DEVELOPING,INCOME,G77,VULNERABILITY_PPM";
    let mut countries = Vec::new();
    for (line, fields) in rows::<8>("countries", COUNTRIES, form) {
        let [country, independent, ldc, sids, developing, income, g77, vulnerability] =
            fields.map_err(|error| line.refuse(error))?;
        let yes = |text: &str| line.read::<u8>(text).map(|bit| bit == 1);
        countries.push(Country {
            region: line.read(country)?,
            independent: yes(independent)?,
            least_developed: yes(ldc)?,
            small_island: yes(sids)?,
            developing: yes(developing)?,
            income: income.into(),
            g77: yes(g77)?,
            vulnerability_ppm: line.read_if_any(vulnerability)?,
        });
    }
    Ok(countries)
}

/// Google Cloud regions by name, such as `europe-west1`.
///
/// # Errors
/// A damaged file.
pub fn cloud_regions() -> Result<BTreeMap<&'static str, GridAverage>, TableError> {
    let mut regions = BTreeMap::new();
    for (line, fields) in rows::<4>("cloud regions", CLOUD_REGIONS, "REGION,MG_PER_KWH,CARBON_FREE_PPM,YEAR") {
        let [name, mg, carbon_free, year] = fields.map_err(|error| line.refuse(error))?;
        let average = GridAverage {
            mg_per_kwh: line.read(mg)?,
            carbon_free_ppm: line.read_if_any(carbon_free)?,
            year: line.read(year)?,
        };
        regions.insert(name, average);
    }
    Ok(regions)
}

/// Electricity zones by their Electricity Maps name, such as `IN-WE`; parts of countries, where a node knows its own. Open
/// Database License: kept apart from the tables of the genesis.
///
/// # Errors
/// A damaged file.
pub fn zones() -> Result<BTreeMap<&'static str, GridAverage>, TableError> {
    let mut zones = BTreeMap::new();
    for (line, fields) in rows::<5>("zones", ZONES, "ZONE,MG_PER_KWH,RENEWABLE_PPM,CARBON_FREE_PPM,YEAR") {
        let [name, mg, _, carbon_free, year] = fields.map_err(|error| line.refuse(error))?;
        let average = GridAverage {
            mg_per_kwh: line.read(mg)?,
            carbon_free_ppm: line.read_if_any(carbon_free)?,
            year: line.read(year)?,
        };
        zones.insert(name, average);
    }
    Ok(zones)
}

/// Where the genesis tables come from.
fn sources() -> Vec<TableSource> {
    let source = |table: &str, source: &str, licence: &str| TableSource {
        table: table.into(),
        source: source.into(),
        licence: licence.into(),
    };
    vec![
        source(
            "intensities_mg_per_kwh",
            "Ember; Energy Institute - Statistical Review of World Energy; with major processing by Our World in Data; latest year to 2022",
            "CC BY 4.0",
        ),
        source(
            "access_list",
            "UN least developed countries and regions (datasets/country-codes), World Bank income groups 2026-01, Group of 77 in the CIA World Factbook 2020",
            "ODC PDDL 1.0, CC BY 4.0, public domain",
        ),
        source(
            "vulnerable_list",
            "University of Notre Dame ND-GAIN Country Index 2025-08; UN small island developing states",
            "CC BY 4.0, ODC PDDL 1.0",
        ),
    ]
}

/// A line of a table, for telling what is wrong with it.
struct Line {
    table: &'static str,
    number: usize,
    text: &'static str,
    form: &'static str,
}

impl Line {
    fn refuse(&self, (): ()) -> TableError {
        let text = self.text.chars().take(80).collect();
        TableError { table: self.table, line: self.number, text, form: self.form }
    }

    fn read<T: FromStr>(&self, field: &str) -> Result<T, TableError> {
        field.parse().map_err(|_| self.refuse(()))
    }

    fn read_if_any<T: FromStr>(&self, field: &str) -> Result<Option<T>, TableError> {
        if field.is_empty() { Ok(None) } else { self.read(field).map(Some) }
    }
}

/// The lines below the title, in fields.
fn rows<const N: usize>(
    table: &'static str,
    text: &'static str,
    form: &'static str,
) -> impl Iterator<Item = (Line, Result<[&'static str; N], ()>)> {
    text.lines().enumerate().skip(1).map(move |(index, text)| {
        let fields: Vec<&str> = text.split(',').collect();
        (Line { table, number: index.saturating_add(1), text, form }, fields.try_into().map_err(|_| ()))
    })
}
