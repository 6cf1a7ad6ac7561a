//! The order of queues when capacity is short. Never a price.

use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt;
use std::str::FromStr;

use crate::types::serde_as_text;

/// What work is for, as its requester declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
pub enum Purpose {
    /// Living with a changed climate.
    ClimateAdaptation,
    /// Disasters under way.
    DisasterResponse,
    /// Making more of renewable energy.
    RenewableOptimisation,
    /// Sustainable agriculture.
    SustainableAgriculture,
    /// Climate science.
    ClimateScience,
    /// Education; counts double in access-list regions.
    Education,
    /// General research, and whatever declares nothing.
    GeneralResearch,
    /// Luxury.
    Luxury,
    /// Proof-of-work mining.
    ProofOfWork,
}

/// Text that names no purpose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "purpose `{0}` is not one of climate-adaptation, disaster-response, renewable-optimisation, sustainable-agriculture, climate-science, education, general-research, luxury, proof-of-work"
)]
pub struct PurposeError(pub String);

impl Purpose {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 9] = [
        Self::ClimateAdaptation,
        Self::DisasterResponse,
        Self::RenewableOptimisation,
        Self::SustainableAgriculture,
        Self::ClimateScience,
        Self::Education,
        Self::GeneralResearch,
        Self::Luxury,
        Self::ProofOfWork,
    ];

    /// Its factor in thousandths.
    pub(crate) const fn factor_milli(self, access: bool) -> u64 {
        match self {
            Self::ClimateAdaptation => 5_000,
            Self::DisasterResponse => 4_000,
            Self::RenewableOptimisation => 3_500,
            Self::SustainableAgriculture => 3_000,
            Self::ClimateScience => 2_500,
            Self::Education if access => 2_000,
            Self::Education | Self::GeneralResearch => 1_000,
            Self::Luxury => 200,
            Self::ProofOfWork => 100,
        }
    }

    /// Its place among those that lend quota to disaster response in an emergency, the least urgent first; nothing when it lends none.
    pub(crate) const fn yields(self) -> Option<u8> {
        match self {
            Self::ProofOfWork => Some(0),
            Self::Luxury => Some(1),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClimateAdaptation => "climate-adaptation",
            Self::DisasterResponse => "disaster-response",
            Self::RenewableOptimisation => "renewable-optimisation",
            Self::SustainableAgriculture => "sustainable-agriculture",
            Self::ClimateScience => "climate-science",
            Self::Education => "education",
            Self::GeneralResearch => "general-research",
            Self::Luxury => "luxury",
            Self::ProofOfWork => "proof-of-work",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Purpose {
    type Err = PurposeError;
    fn from_str(text: &str) -> Result<Self, PurposeError> {
        let found = Self::ALL.into_iter().find(|purpose| purpose.as_str() == text);
        found.ok_or_else(|| PurposeError(text.chars().take(40).collect()))
    }
}

serde_as_text!(Purpose);

/// What decides the place in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Declared, or as reviewers reclassified it.
    pub purpose: Purpose,
    /// Whether the requester's region is attested and in the access list.
    pub access: bool,
    /// Whether it is attested and in the vulnerable list.
    pub vulnerable: bool,
    /// Whether an emergency is declared for it.
    pub emergency: bool,
    /// Renewable share of the energy it would run on, parts per million.
    pub renewable_ppm: u32,
    /// How long it has waited, in ms.
    pub waited_ms: u64,
}

/// Emergencies multiply disaster response by this in their region.
const EMERGENCY: u64 = 5;
/// Waiting so long is worth a thousandth: an hour is worth more than the most that anything fresh can have.
const AGEING_MS: u64 = 50;

/// Purpose x region (2.0 access list, 1.5 vulnerable, the higher) x (1 + renewable / 2), x 5 for disaster response in an
/// emergency, plus what waiting adds; in thousandths, rounded down. Larger goes first. Waiting adds without bound, so whatever has
/// waited an hour longer goes before anything else: everything runs in the end.
#[must_use]
pub fn priority_milli(standing: &Standing) -> u64 {
    let factor = standing.purpose.factor_milli(standing.access);
    let region_halves: u64 = match (standing.access, standing.vulnerable) {
        (true, _) => 4,
        (false, true) => 3,
        (false, false) => 2,
    };
    let urgent = standing.emergency && standing.purpose == Purpose::DisasterResponse;
    let renewable = u64::from(standing.renewable_ppm.min(1_000_000)).saturating_add(2_000_000);
    let scaled = factor
        .saturating_mul(region_halves)
        .saturating_mul(if urgent { EMERGENCY } else { 1 })
        .saturating_mul(renewable)
        .checked_div(4_000_000)
        .unwrap_or(0);
    scaled.saturating_add(standing.waited_ms.checked_div(AGEING_MS).unwrap_or(0))
}
