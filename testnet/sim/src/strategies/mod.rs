//! What is compared.

pub(crate) mod first_draft;

use std::fmt;
use std::str::FromStr;

use mesh30k_core::event::{ArrivalParams, Strategy};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::SimError;

/// One way of bringing about arrival at T.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StrategyKind {
    /// Half the round trip, the class's usual work and a buffer; thrown from the root.
    FirstDraft,
    /// The learned median, thrown from the lead.
    LearnedThrow,
    /// Prepared early and held.
    Hold,
    /// Held, and a standby for whoever is late.
    HoldHedge,
}

impl StrategyKind {
    /// All, from the first idea to the best.
    pub const ALL: [Self; 4] = [Self::FirstDraft, Self::LearnedThrow, Self::Hold, Self::HoldHedge];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstDraft => "first_draft",
            Self::LearnedThrow => "learned_throw",
            Self::Hold => "hold",
            Self::HoldHedge => "hold_hedge",
        }
    }

    /// Wanted probability of being armed by T when nothing else is asked for: without a standby as high as pays, with one
    /// lower, since the standby catches the rest (2.4).
    #[must_use]
    pub const fn usual_p(self) -> f64 {
        match self {
            Self::FirstDraft | Self::LearnedThrow => 0.5,
            Self::Hold => 0.999,
            Self::HoldHedge => 0.99,
        }
    }

    /// What the event says.
    pub(crate) const fn of_event(self) -> Strategy {
        match self {
            Self::FirstDraft | Self::LearnedThrow => Strategy::Throw,
            Self::Hold | Self::HoldHedge => Strategy::Hold,
        }
    }

    /// Standbys allowed in one event, parts per million of everybody enrolled.
    pub(crate) const fn hedge_budget_ppm(self) -> u64 {
        match self {
            Self::FirstDraft | Self::LearnedThrow | Self::Hold => 0,
            Self::HoldHedge => 50_000,
        }
    }

    /// Parameters of the machines.
    pub(crate) fn params(self, p: f64) -> ArrivalParams {
        ArrivalParams { arm_probability: p, hedge: self == Self::HoldHedge, ..ArrivalParams::default() }
    }
}

impl fmt::Display for StrategyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StrategyKind {
    type Err = SimError;

    fn from_str(text: &str) -> Result<Self, SimError> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| SimError::Strategy(text.chars().take(40).collect()))
    }
}

impl Serialize for StrategyKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for StrategyKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
