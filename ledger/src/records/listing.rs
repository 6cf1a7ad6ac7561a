//! What is offered on the market at a fixed price.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::ops::ListingTerms;
use crate::types::{AccountId, AgentId, TimeMs, serde_as_text};

/// What is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListingKind {
    /// A model: registered content of the seller's.
    Model,
    /// Data: registered content of the seller's.
    Data,
    /// The work of one agent of the seller's node.
    Agent(AgentId),
    /// The work of any agent of the seller's node.
    Compute,
}

impl ListingKind {
    /// Whether work is offered, not content.
    #[must_use]
    pub const fn is_work(self) -> bool {
        matches!(self, Self::Agent(_) | Self::Compute)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Data => "data",
            Self::Agent(_) => "agent",
            Self::Compute => "compute",
        }
    }
}

/// Where the energy behind an offer comes from. More than the grid's own share needs an attested share of the seller's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EnergySource {
    /// Not said.
    Unstated,
    /// The grid as it is.
    Grid,
    /// Contracted renewable energy.
    Contracted,
    /// Renewable energy made on the site.
    OnSite,
}

/// What reviewers say of the safety of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Safety {
    /// Nothing yet.
    Unreviewed,
    /// Enough of them found nothing wrong.
    Reviewed,
    /// Enough of them found it unsafe: it takes no orders.
    Unsafe,
}

/// Text that names none of a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{found}` is not one of {known}")]
pub struct ListingWordError {
    /// What was to be named.
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// What there is.
    pub known: &'static str,
}

macro_rules! words {
    ($kind:ident, $what:literal, $known:literal, $($variant:ident => $name:literal),*) => {
        impl $kind {
            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl FromStr for $kind {
            type Err = ListingWordError;
            fn from_str(text: &str) -> Result<Self, ListingWordError> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(ListingWordError { what: $what, found: text.chars().take(40).collect(), known: $known }),
                }
            }
        }
        serde_as_text!($kind);
    };
}

words!(EnergySource, "energy source", "unstated, grid, contracted, on-site",
    Unstated => "unstated", Grid => "grid", Contracted => "contracted", OnSite => "on-site");
words!(Safety, "safety", "unreviewed, reviewed, unsafe",
    Unreviewed => "unreviewed", Reviewed => "reviewed", Unsafe => "unsafe");

/// An offer from its first day on. It stays on record when it is over, for whoever rates what was ordered.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ListingRecord {
    /// Who sells.
    pub seller: AccountId,
    /// What.
    pub kind: ListingKind,
    /// At what terms.
    pub terms: ListingTerms,
    /// In force.
    pub safety: Safety,
    /// The last word of each reviewer that is not in force.
    pub words: BTreeMap<AccountId, Safety>,
    /// When it was listed.
    pub since: TimeMs,
    /// Whether it was withdrawn or its time is over.
    pub closed: bool,
    /// Orders that are neither paid in full nor refunded.
    pub open_orders: u32,
    /// Orders ever.
    pub orders: u64,
    /// Sum and number of ratings.
    pub stars: u64,
    /// See `stars`.
    pub ratings: u64,
}

impl ListingRecord {
    /// Whether it takes orders at this time.
    #[must_use]
    pub fn is_open(&self, now: TimeMs) -> bool {
        !self.closed && now < self.terms.until && self.safety != Safety::Unsafe
    }
}
